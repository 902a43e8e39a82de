/** All deliberate faults that the simulator must find (mutants.ts). */
import type { Edit, Mutant } from './mutant.ts';
import { changeMutants } from './mutants-of-changes.ts';
import { reviewMutants } from './mutants-of-review.ts';

export function editsOf(mutant: Mutant): readonly Edit[] {
  return [mutant, ...(mutant.also ?? [])];
}

const machine = 'src/core/logger/logger-machine.js';
const owner = 'src/core/shard/serving/owner.js';
const takeover = 'src/core/shard/taking/takeover.js';
const question = 'src/core/shard/taking/question.js';
const decider = 'src/core/shard/serving/decider.js';
const reads = 'src/core/shard/serving/reads.js';
const keeper = 'src/core/shard/head/head-keeper.js';
const detector = 'src/core/members/detector.js';

export const mutants: readonly Mutant[] = [
  {
    name: 'ack before sync',
    rule: 'S3',
    file: machine,
    find: "        else\n            this.#rounds.wait({ kind: 'append', ticket, zone, end: zone.written, lba: this.#lbaOf(item) });",
    replace:
      "        else { zone.stable = zone.written; effects.push({ kind: 'answer', ticket, answer: { kind: 'appended', lba: this.#lbaOf(item) } }); }",
  },
  {
    name: 'ack before all replicas',
    rule: 'S5',
    file: 'src/core/shard/serving/zone-writer.js',
    find: 'least(this.#acknowledged) < batch.end',
    replace: 'Math.max(...this.#acknowledged) < batch.end',
  },
  {
    name: 'append acknowledged by its first piece',
    rule: 'S5',
    file: 'src/gateway/loggers/outbox.js',
    find: 'this.#appended(append, append.offset)',
    replace: 'this.#appended(append, append.end)',
  },
  {
    name: 'confirmation from one replica only',
    rule: 'S7',
    file: 'src/core/shard/serving/zone-writer.js',
    find: 'return least(this.#confirmed);',
    replace: 'return Math.max(...this.#confirmed);',
  },
  {
    name: 'confirmation sent before the read was called',
    rule: 'S7',
    file: reads,
    find: 'this.#groups.push({ number: this.#confirm(zone), sentMs: nowMs, reads });',
    replace:
      'this.#groups.push({ number: this.#number, sentMs: nowMs, reads }); this.#confirm(zone); this.release(zone);',
  },
  {
    name: 'fence does not stop confirmations',
    rule: 'S4',
    file: machine,
    find: "        if (this.#table.isFenced(item.shard, item))\n            return 'fenced';",
    replace: '',
  },
  {
    name: 'fence does not stop appends',
    rule: 'S4',
    file: machine,
    find: '        if (this.#table.isFenced(item.shard, item))\n            return [this.#refuseFenced(ticket, item.shard)];',
    replace: '',
  },
  {
    name: 'fence not synced before a seal is answered',
    rule: 'S3',
    file: machine,
    find: "        this.#rounds.changed();\n        return [{ kind: 'persist', entries }];",
    replace: "        return [{ kind: 'persist', entries }];",
  },
  {
    name: 'place left out of the checksum',
    rule: 'S16',
    file: 'src/codec/log-format.js',
    find: 'Buffer.from(`${cluster}/${shard}/${zone}/${epoch}/${instance}`',
    replace: 'Buffer.from(`${cluster}`',
  },
  {
    name: 'zones read before the claim: it does not compare the head',
    rule: 'S8',
    file: keeper,
    find: 'compares: [{ key: headKey(this.#shard), revision: headRevision }],',
    replace: "compares: purpose === 'zone-change' ? [{ key: headKey(this.#shard), revision: headRevision }] : [],",
  },
  {
    name: 'fence not durable',
    rule: 'S4',
    file: machine,
    find: "        return [{ kind: 'persist', entries }];\n    }\n    #ownerKnown",
    replace: '        return [];\n    }\n    #ownerKnown',
  },
  {
    name: 'seal answered with an append still queued',
    rule: 'S3',
    file: machine,
    find: "...this.#waitOrAnswer({ kind: 'seal', ticket, zone, end: zone?.written ?? 0, process, known })];",
    replace: "answer({ kind: 'seal', ticket, zone, end: zone?.written ?? 0, process, known })];",
  },
  {
    name: 'epoch resumed after a restart',
    rule: 'S2',
    file: takeover,
    find: '        if (head === undefined)\n            return this.#begin();',
    replace:
      "        if (head?.owner.node === self.node) { this.#epoch = head.epoch; this.#parts = { ...this.#parts, self: head.owner }; if (head.openZone.epoch === head.epoch) this.#done(); else if (this.#step === 'close-check') this.#close(); else this.#seal(head); return; }\n        if (head === undefined)\n            return this.#begin();",
    also: [
      {
        file: 'src/core/shard/shard.js',
        find: 'this.#owner = new ShardOwner({ ...parts, ...rest }, head, this.#nowMs);',
        replace: 'this.#owner = new ShardOwner({ ...parts, ...rest, self: head.owner }, head, this.#nowMs);',
      },
    ],
  },
  {
    name: 'open zone continued by a restarted logger',
    rule: 'S3',
    file: 'src/core/logger/zone-table.js',
    find: "state: zone.finished ? 'finished' : 'restarted',",
    replace: "state: zone.finished ? 'finished' : 'open',",
  },
  {
    name: 'unacknowledged tail not made stable after a restart',
    rule: 'S3',
    file: 'src/logger/recovery.js',
    find: '    await device.recover(entry.deviceZone, Math.min(scan.seen, scan.length)',
    replace: '    await device.recover(entry.deviceZone, scan.length',
  },
  {
    name: 'torn tail taken for a record',
    rule: 'S9',
    file: 'src/core/logger/zone-scan.js',
    find: "        if (piece.kind !== 'batch' || piece.body !== 'good')\n            break;\n        seen",
    replace: "        if (piece.kind !== 'batch')\n            break;\n        seen",
  },
  {
    name: 'failed sync taken for a good one',
    rule: 'S17',
    file: 'src/logger/log-store.js',
    find: '(error) => this.#fail(error instanceof Error ? error : new Error(String(error))));',
    replace: "() => { this.#guarded(() => metadata.synced()); this.#step({ kind: 'synced' }); });",
  },
  {
    name: 'new zone not entered in the metadata log',
    rule: 'S3',
    file: machine,
    find: "            effects.push({ kind: 'persist', entries: [...this.#table.retire(item.shard, item.zone - 1), entryOf(zone)] });",
    replace: '',
  },
  {
    name: 'fences of damaged metadata are not taken from the heads',
    rule: 'S4',
    file: 'src/logger/salvage.js',
    find: 'fences: fencesOf(recorded.fences, owners),',
    replace: 'fences: recorded.fences,',
    also: [{ file: 'src/logger/logger.js', find: 'await this.#learnOwners(store, owners);', replace: '' }],
  },
  {
    name: 'zones whose entries rotted are dropped',
    rule: 'S9',
    file: 'src/logger/salvage.js',
    find: 'return claims.find(isItself) ?? takenUp(at, deviceZone, parts);',
    replace: 'return claims.find(isItself);',
  },
  {
    name: 'restart overwrites the newest metadata',
    rule: 'S3',
    file: 'src/logger/metadata-log.js',
    find: "this.#zone = found.kind === 'found' ? found.zone : metadataZones[1];",
    replace: 'this.#zone = metadataZones[1];',
  },
  {
    name: 'commits go on while a zone is changed',
    rule: 'S6',
    file: owner,
    find: '        if (this.#isFrozen)\n            return; // S6\n        if (tookMs',
    replace: '        if (tookMs',
  },
  // Reads that were confirmed before the freeze may be released when the change is seen: it was applied after they were
  // called, so this was their owner then. Those that arrived during the freeze may not: the change may be seen long
  // after it was applied.
  {
    name: 'waiting reads are not confirmed by a new zone',
    rule: 'S6',
    file: reads,
    find: '        if (this.#groups.length === 0)\n            return;\n        const number = this.#confirm(zone);',
    replace:
      '        for (const read of this.#called) lookUp(this.#state, read, this.#effects);\n        this.#groups.push({ number: 0, sentMs: nowMs, reads: this.#called.splice(0) });\n        for (const group of this.#groups) group.number = 0;\n        if (true) return this.release(zone);\n        const number = 0;',
  },
  {
    name: 'records in flight answered but not appended again',
    rule: 'S6',
    file: owner,
    find: '        queue.unshift(again);',
    replace:
      "        for (const write of again) this.#out({ effect: 'answer-write', write, result: { kind: 'put', version: old.zone * state.zoneSize + write.recordOffset } });",
  },
  {
    name: 'take-over records the smallest sound length, as it once did',
    rule: 'S9',
    file: 'src/core/shard/taking/seal-length.js',
    find: 'answers.reduce((most, [, answer]) => Math.max(most, answer.length), 0);',
    replace:
      'sound.length === 0 ? answers.reduce((most, [, answer]) => Math.max(most, answer.length), 0) : Math.min(...sound.map(([, answer]) => answer.length));',
  },
  {
    name: 'take-over records what was seen committed, not what all hold',
    rule: 'S9',
    file: 'src/core/shard/taking/seal-length.js',
    find: "    return { kind: 'length', length, holders, proof };",
    replace: "    return { kind: 'length', length: committed, holders, proof };",
  },
  {
    name: 'take-over goes on although all are doubtful and one is missing',
    rule: 'S9',
    file: 'src/core/shard/taking/seal-length.js',
    find: 'if (sound.length === 0 && awaited.length > 0)',
    replace: 'if (false)',
    also: [
      // Of what the doubtful ones tell of, a length below it is never taken: that guard is broken here too.
      {
        file: 'src/core/shard/taking/seal-length.js',
        find: 'if (length < least)',
        replace: 'if (false)',
      },
      // Nor is anything first-hand then, which is waited for, too.
      {
        file: 'src/core/shard/taking/seal-length.js',
        find: 'if (!firstHand && awaited.length > 0 && evidence.waitsForFirstHand)',
        replace: 'if (false)',
      },
    ],
  },
  {
    name: 'take-over lists a copy that was not completed',
    rule: 'S10',
    file: takeover,
    find: 'const holders = [...decision.holders, ...this.#tail.filledCopies];',
    replace:
      'const holders = [...new Set([...decision.holders, ...this.#seals.answers.of(head.openZone.replicas).keys()])];',
  },
  {
    name: 'copy listed before it is whole',
    rule: 'S10',
    file: 'src/core/shard/repairing/repairer.js',
    find: "else if (copier.step === 'proven' && keeper.purpose === undefined) {",
    replace: 'else if (keeper.purpose === undefined) {',
  },
  {
    name: 'listing taken for the change of the zone that took it over',
    rule: 'S1',
    file: 'src/core/shard/head/head-keeper.js',
    find: ' && head.openZone.zone >= proposed.openZone.zone ?',
    replace: ' ?',
  },
  {
    name: 'Fill answered before it is stable',
    rule: 'S19',
    file: machine,
    find: '            this.#rounds.wait({ kind: filling(write), ticket, zone, end: zone.written });',
    replace: "            effects.push({ kind: 'answer', ticket, answer: { kind: 'filled', length: zone.written } });",
  },
  {
    name: 'metadata that went back is believed',
    rule: 'S20',
    file: 'src/core/shard/taking/regression.js',
    find: 'const { fence, zones } = known;',
    replace: 'const { fence, zones } = { fence: undefined, zones: [] };',
  },
  {
    name: 'shard is claimed without a question',
    rule: 'S20',
    file: takeover,
    find: 'if (this.#epoch > 0)\n            return this.#load();\n        this.#step',
    replace: 'return this.#load();\n        this.#step',
    also: [
      { file: question, find: 'isComplete(head, nowMs) {', replace: 'isComplete() {\n        return true;' },
      { file: question, find: 'unheard(what, loggers) {', replace: 'unheard() {\n        return undefined;' },
    ],
  },
  {
    name: 'what loggers know before a claim is not compared',
    rule: 'S20',
    file: takeover,
    find: 'return this.#question.regression(head, metadata);',
    replace: 'return undefined;',
  },
  {
    name: 'take-over serves before the tail is applied',
    rule: 'S8',
    file: 'src/core/shard/shard.js',
    find: "this.#takeover?.step === 'done' && this.#follower.isCurrent",
    replace: "this.#takeover?.step === 'done'",
  },
  {
    name: 'take-over without seals',
    rule: 'S8',
    file: takeover,
    find: 'return head.openZone.epoch === this.#epoch ? this.#opened(head) : this.#seal(head);',
    replace:
      "if (head.openZone.epoch === this.#epoch) return this.#opened(head);\n                const { position } = this.#parts.state;\n                this.#decision = { kind: 'length', length: position.zone === head.openZone.zone ? position.offset : 0, holders: head.openZone.replicas, proof: 'sound' };\n                return this.#close();",
  },
  // A taker that lost is told twice: by what it reads after its claim, and by the watch.
  {
    name: 'answer of a transaction trusted: a lost claim goes on',
    rule: 'S1',
    file: keeper,
    find: "if (!sameOwner(head.owner, proposed.owner) || head.epoch > proposed.epoch)\n            return 'lost';",
    replace: "if (head.epoch > proposed.epoch)\n            return 'lost';",
    also: [
      {
        file: takeover,
        find: '\n        assert(head.epoch === this.#epoch && sameOwner',
        replace: '\n        if (false) assert(head.epoch === this.#epoch && sameOwner',
      },
    ],
  },
  {
    name: 'hand-over without a freeze',
    rule: 'S6',
    file: owner,
    find: 'return this.#change.isFrozen || this.#deposed;',
    replace: 'return (this.#change.isFrozen && !this.#change.isHandOver) || this.#deposed;',
    also: [
      {
        file: 'src/core/shard/serving/zone-change.js',
        find: "assert(phase.length === committed, 'S6 nothing committed since the freeze');",
        replace: '',
      },
    ],
  },
  {
    name: 'hand-over while batches are in flight, told not applied',
    rule: 'S6',
    file: owner,
    find: 'if (!this.#change.isClosing || (this.#zone.inFlight.length > 0 && !this.#change.isForced))',
    replace: 'if (!this.#change.isClosing)',
    also: [
      {
        file: owner,
        find: "this.#refuse(write, 'not-owner', message, 'unknown');",
        replace: "this.#refuse(write, 'not-owner', message);",
      },
    ],
  },
  {
    name: 'request number not remembered',
    rule: 'S15',
    file: 'src/core/shard/serving/commit.js',
    find: 'applyRecord(state, zone, recordOffset, source, write, recordBytes, reply);',
    replace:
      'applyRecord(state, zone, recordOffset, source, { kind, keyStart: write.keyStart, keyLength: write.keyLength, valueLength: write.valueLength, client: 0 }, recordBytes, reply);',
  },
  {
    name: 'request numbers in the log not remembered',
    rule: 'S15',
    file: 'src/core/shard/following/apply.js',
    find: '    applyRecord(state, zone, offset, bytes, record, record.length, reply);',
    replace: '    applyRecord(state, zone, offset, bytes, { ...record, client: 0 }, record.length, reply);',
  },
  {
    name: 'repetition of a write in flight applied again',
    rule: 'S15',
    file: decider,
    find: '                (seen.token.repetitions ??= []).push(write);\n                return false;',
    replace: '                return true;',
  },
  {
    name: 'refusal answered at once',
    rule: 'S7',
    file: decider,
    find: '        this.#choose(write, pending, exists, current);\n        return true;',
    replace:
      "        this.#choose(write, pending, exists, current);\n        if (write.kind === recordKind.refusal && write.condition !== -1 && write.decidedOn === undefined && pending === undefined) { out.push({ effect: 'answer-write', write, result: { kind: 'refused', currentVersion: current } }); return false; }\n        return true;",
  },
  {
    name: 'condition decided without what is in flight',
    rule: 'S12',
    file: decider,
    find: '        const pending = this.#newest.find(write);\n',
    replace: '        const pending = undefined;\n',
  },
  {
    name: 'gaps not noticed by standbys',
    rule: 'S14',
    file: 'src/core/shard/following/follower.js',
    find: '        if (event.previousZone === -1 || (zone === event.zone && offset > 0))\n            return false;',
    replace: '        if (true)\n            return true;',
  },
  {
    name: 'older record wins',
    rule: 'S12',
    file: 'src/core/index/key-index.js',
    find: '            if (version < this.#entries.version(id))\n                return false;',
    replace: '            if (version > this.#entries.version(id) && version % 7 === 0)\n                return false;',
  },
  {
    name: 'values cached by shard, address without its zone',
    rule: 'S16',
    file: 'src/gateway/shards/value-fetcher.js',
    find: '        const cached = this.#parts.cache.get(shard, read.lba);',
    replace:
      '        const cached = this.#parts.cache.get(shard, read.lba) ?? this.#parts.cache.get(shard, read.lba - this.#parts.zoneSize);',
  },
  {
    name: 'client sends a repetition under a new number',
    rule: 'S15',
    file: 'src/client/retries.js',
    find: "        request.state = 'delayed';",
    replace:
      "        if (request.window !== undefined) { request.window.end(request.number); request.window = undefined; }\n        request.state = 'delayed';",
  },
  ...reviewMutants,
  ...changeMutants,
  {
    name: 'a process that is dead is never suspected',
    rule: 'promise 3',
    file: detector,
    find: "                if (this.#isLost || this.#verdict === 'silent')\n                    this.#suspect('dead');",
    replace: '',
    also: [
      {
        // Its silence would be noticed a moment later.
        file: detector,
        find: "            this.#suspect('silent');",
        replace: '            ;',
      },
    ],
  },
  {
    name: 'lost keys of a cut zone owed by nobody',
    rule: 'S9',
    file: 'src/core/shard/head/head-edits.js',
    find: 'lost.keys.length > 0 ? zone : isEmpty',
    replace: 'lost.keys.length > 0 ? undefined : isEmpty',
  },
  {
    name: 'lost keys named again by every later take-over',
    rule: 'S9',
    file: 'src/core/shard/head/head-edits.js',
    find: 'isEmpty ? owed : undefined;',
    replace: 'owed;',
  },
  {
    name: 'writes decided before the lost keys are in the log',
    rule: 'S9',
    file: owner,
    find: 'const writes = this.#own.isOwed ? [] : this.#takeWrites();',
    replace: 'const writes = this.#takeWrites();',
  },
];
