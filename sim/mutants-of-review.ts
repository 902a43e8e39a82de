/** Deliberate faults of a review that read the code for what the older list (mutant-list.ts) does not break. */
import type { Mutant } from './mutant.ts';

const machine = 'src/core/logger/logger-machine.js';
const owner = 'src/core/shard/serving/owner.js';
const reads = 'src/core/shard/serving/reads.js';
const follower = 'src/core/shard/following/follower.js';

export const reviewMutants: readonly Mutant[] = [
  {
    name: 'once-only results left out of snapshots',
    rule: 'S15',
    file: 'src/core/index/index-snapshot.js',
    find: '        const end = this.#fillOnce(out);',
    replace: '        const end = 0;',
  },
  {
    name: 'catch-up does not feed the once-only table',
    rule: 'S15',
    file: follower,
    find: '            applyDecoded(this.#state, event.zone, offsets[at] ?? 0, bytes, record);',
    replace: '            applyDecoded(this.#state, event.zone, offsets[at] ?? 0, bytes, { ...record, client: 0 });',
  },
  {
    name: 'standby indexes another address than the one it was told',
    rule: 'S14',
    file: follower,
    find: '            applyDecoded(this.#state, event.zone, offsets[at] ?? 0, bytes, record);',
    replace: '            applyDecoded(this.#state, event.zone, (offsets[at] ?? 0) + 1, bytes, record);',
  },
  {
    name: 'acknowledgement of an earlier zone counts for the new one',
    rule: 'S5',
    file: owner,
    find: '        if (zone !== this.#zone.zone || this.#deposed)\n            return;\n        // While frozen it is noted only: the change may turn out not to come.',
    replace: '        if (this.#deposed)\n            return;',
  },
  {
    name: 'any answer confirms what was sent last',
    rule: 'S7',
    file: owner,
    find: '        this.#zone.confirmed(logger, number, this.#nowMs);',
    replace: '        this.#zone.confirmed(logger, this.#reads.newest, this.#nowMs);',
    also: [
      {
        file: reads,
        find: '    #number = 0;',
        replace: '    #number = 0;\n    get newest() { return this.#number; }',
      },
    ],
  },
  {
    name: 'in flight at an owner that is deposed: told not applied',
    rule: 'promise 4',
    file: owner,
    find: "            this.#refuse(write, 'not-owner', message, 'unknown');",
    replace: "            this.#refuse(write, 'not-owner', message, 'not-applied');",
  },
  {
    name: 'values cached by address alone',
    rule: 'S16',
    file: 'src/gateway/shards/value-fetcher.js',
    find: '        const cached = this.#parts.cache.get(shard, read.lba);',
    replace: '        const cached = this.#parts.cache.get(0, read.lba);',
    also: [
      {
        file: 'src/gateway/shards/value-fetcher.js',
        find: '        this.#parts.cache.set(shard, lba, value);',
        replace: '        this.#parts.cache.set(0, lba, value);',
      },
    ],
  },
  {
    name: 'evidence behind the intact prefix dropped at a restart',
    rule: 'S9',
    file: 'src/logger/recovery.js',
    find: "scan.length, scan.tail !== 'clean');",
    replace: 'scan.length, false);',
  },
  {
    name: 'fence is checked by confirmations of known zones only',
    rule: 'S4',
    file: machine,
    find: "        if (this.#table.isFenced(item.shard, item))\n            return 'fenced';\n        const zone = this.#table.find(item.shard, item.zone);",
    replace:
      "        const zone = this.#table.find(item.shard, item.zone);\n        if (zone !== undefined && this.#table.isFenced(item.shard, item))\n            return 'fenced';",
  },
  {
    name: 'floor left out of snapshots',
    rule: 'S15',
    file: 'src/core/index/index-snapshot.js',
    find: '            floor: source.once.floor,',
    replace: '            floor: 0,',
  },
  {
    name: 'forwarded without its number',
    rule: 'S15',
    file: 'src/gateway/router.js',
    find: '        ? (out) => writePut(out, write, source, source,',
    replace:
      '        ? (out) => writePut(out, { condition: write.condition, client: 0, number: 0, firstIncomplete: 0 }, source, source,',
  },
  {
    name: 'zone ids are not retired',
    rule: 'S4',
    file: 'src/core/logger/zone-table.js',
    find: '        if (id <= held.zoneFloor)\n            return [];',
    replace: '        if (true)\n            return [];',
  },
  {
    name: 'tail too long to be kept is kept without its end',
    rule: 'S8',
    file: 'src/core/shard/taking/tail.js',
    find: '            this.#kept = undefined;\n',
    replace: '            void 0;\n',
  },
  {
    name: 'every tenth read refused though nothing is wrong',
    rule: 'promise 3',
    file: reads,
    find: '        read.arrivedMs = nowMs;\n',
    replace: '        read.arrivedMs = nowMs;\n        if (++this.#number % 10 === 0)\n            return false;\n',
  },
  {
    name: 'client counts a copy of unknown outcome as refused',
    rule: 'promise 4',
    file: 'src/client/dispatcher.js',
    find: "        if (error.outcome === 'not-applied')\n            request.copiesOut--;",
    replace: '        request.copiesOut--;',
  },
  {
    name: 'zeros ahead begin where data lies',
    rule: 'section 12',
    file: 'src/env/file-device/file-device.js',
    find: '        found.zeroedTo = Math.max(found.zeroedTo, end);\n',
    replace: '',
  },
  {
    name: 'values are not checked when they are read',
    rule: 'S16',
    file: 'src/codec/log-format.js',
    find: "return isIntact ? result : { kind: 'damaged', reason: 'record: wrong checksum' };",
    replace: 'return result;',
  },
  {
    name: 'clients that were forgotten count as new ones',
    rule: 'S15',
    file: 'src/core/once/once-table.js',
    find: '            if (this.#forgotten.has(client))\n                return forgotten;\n',
    replace: '',
  },
  {
    name: 'take-over goes on without a first-hand answer',
    rule: 'S9',
    file: 'src/core/shard/taking/seal-length.js',
    find: 'if (!firstHand && awaited.length > 0 && evidence.waitsForFirstHand)',
    replace: 'if (false)',
  },
  {
    name: 'shard time is what the clock of its owner says',
    rule: 'S18',
    file: 'src/core/shard/serving/batch-builder.js',
    find: 'millis(Math.max(Math.floor(wallMs), state.shardTimeMs, zone.sentTimeMs))',
    replace: 'millis(Math.floor(wallMs))',
  },
  {
    name: 'client id counter goes back: ids are given out twice',
    rule: 'S15',
    file: 'src/coordinator/client-ids.js',
    find: '        const first = leasedEnd(entry);',
    replace: '        const first = Math.max(1, leasedEnd(entry) - count);',
  },
  // What only lives with small limits reach.
  {
    name: 'read budget never gets room back',
    rule: 'promise 3',
    file: 'src/gateway/shards/read-budget.js',
    find: '        this.#bytes -= bytes;\n',
    replace: '',
  },
  {
    name: 'batch longer than a piece of log is not read as a whole',
    rule: 'S14',
    file: 'src/core/shard/following/log-reader.js',
    find: 'this.#wanted = Math.max(this.#chunkBytes, needed);',
    replace: 'this.#wanted = this.#chunkBytes;',
  },
  {
    name: 'once-only results beyond one step left out of snapshots',
    rule: 'S15',
    file: 'src/core/index/index-snapshot.js',
    find: 'this.#nextNumber = (state.results[fitting - 1]?.number ?? 0) + 1;',
    replace: 'this.#toNextClient();',
  },
];
