/**
 * A machine with the smallest possible device: writes always succeed unless told otherwise, syncs return when the test
 * says so.
 */
import type { AppendItem, CopyItem, FillItem, ShardKnowledge } from '../../../src/codec/logger-protocol.ts';
import type { MachineAnswer, MachineEffect, MachineEvent } from '../../../src/core/logger/machine-events.ts';
import { LoggerMachine } from '../../../src/core/logger/logger-machine.ts';
import type { MetadataEntry } from '../../../src/core/logger/metadata-format.ts';
import type { RestoredState } from '../../../src/core/logger/restored-state.ts';
import { emptyState, foldFrames } from '../../../src/core/logger/restored-state.ts';
import type { InstanceId } from '../../../src/base/ids.ts';
import { instanceId, shardId, zoneId } from '../../../src/base/ids.ts';
import { testCluster, testInstance, testWriter, ZoneWriter } from '../../logger/zone-writer.ts';

/** Process of the logger, and that of one that was restarted. */
export const firstProcess = instanceId('a'.repeat(16));
export const secondProcess = instanceId('b'.repeat(16));

export interface RigOptions {
  readonly alignment?: number;
  readonly zoneSize?: number;
  readonly deviceZones?: readonly number[];
  readonly restored?: RestoredState;
  readonly process?: InstanceId;
}

export class Rig {
  readonly machine: LoggerMachine<string>;
  /** What each ticket was answered: once. */
  readonly answers = new Map<string, MachineAnswer>();
  readonly persisted: MetadataEntry[] = [];
  readonly data = new Map<number, Buffer>();
  /** Orders to the device to finish a zone. */
  readonly finished: Omit<Extract<MachineEffect<string>, { readonly kind: 'finish-zone' }>, 'kind'>[] = [];
  /** What the effects were, in order, in short. */
  readonly trace: string[] = [];
  syncs = 0;
  full = false;
  #tickets = 0;

  constructor(options: RigOptions = {}) {
    let copies = 0;
    this.machine = new LoggerMachine<string>(
      {
        cluster: testCluster,
        zoneSize: options.zoneSize ?? 1024 * 1024,
        alignment: options.alignment ?? 1,
        deviceZones: options.deviceZones ?? [2, 3, 4, 5],
        process: options.process ?? firstProcess,
        drawCopyId: () => (copies += 1).toString(16).padStart(16, '0'),
      },
      options.restored ?? emptyState,
    );
  }

  append(item: AppendItem): string {
    return this.#ask((ticket) => ({ kind: 'append', ticket, item }));
  }

  seal(shard: number, zone: number, at: number, instance = testInstance): string {
    return this.#ask((ticket) => ({
      kind: 'seal',
      ticket,
      at: { shard: shardId(shard), zone: zoneId(zone), ...testWriter(at, instance) },
    }));
  }

  fill(item: FillItem): string {
    return this.#ask((ticket) => ({ kind: 'fill', ticket, item }));
  }

  copy(item: CopyItem): string {
    return this.#ask((ticket) => ({ kind: 'copy', ticket, item }));
  }

  ownerKnown(shard: number, at: number, instance = testInstance): string {
    return this.#ask((ticket) => ({
      kind: 'owner-known',
      ticket,
      shard: shardId(shard),
      owner: testWriter(at, instance),
    }));
  }

  finish(shard: number, zone: number, length: number): string {
    return this.#ask((ticket) => ({ kind: 'finish', ticket, shard: shardId(shard), zone: zoneId(zone), length }));
  }

  reset(shard: number, zone: number, copyId: string): string {
    return this.#ask((ticket) => ({ kind: 'reset', ticket, shard: shardId(shard), zone: zoneId(zone), copyId }));
  }

  probe(hasRoom = true): string {
    return this.#ask((ticket) => ({ kind: 'probe', ticket, hasRoom }));
  }

  confirm(shard: number, zone: number, at: number, instance = testInstance): string {
    const item = { shard: shardId(shard), zone: zoneId(zone), ...testWriter(at, instance) };
    return this.machine.confirm(item) ?? 'confirmed';
  }

  endTurn(): void {
    this.step({ kind: 'turn-ended' });
  }

  synced(): void {
    this.step({ kind: 'synced' });
  }

  /** Ends the turn and lets every sync return. */
  settle(): void {
    this.endTurn();
    for (let seen = -1; seen !== this.syncs; ) {
      seen = this.syncs;
      if (this.trace.filter((line) => line === 'sync').length > this.trace.filter((line) => line === 'synced').length)
        this.synced();
    }
  }

  step(event: MachineEvent<string>): void {
    if (event.kind === 'synced') this.trace.push('synced');
    for (const effect of this.machine.step(event)) this.#carryOut(effect);
  }

  /** `waiting`, `ok`, or the code of the refusal. */
  outcome(ticket: string): string {
    const answer = this.answers.get(ticket);
    if (answer === undefined) return 'waiting';
    if (answer.kind === 'sealed') return 'code' in answer.answer ? answer.answer.code : 'ok';
    return answer.kind === 'refused' ? answer.code : 'ok';
  }

  zone(shard: number, zone: number): ReturnType<LoggerMachine<string>['report']>[number] | undefined {
    return this.machine.report(shardId(shard), () => 0).find((status) => status.zone === zone);
  }

  /**
   * A machine as after a restart, with what the metadata log says and the given lengths of the zones that were open.
   */
  restarted(
    options: RigOptions = {},
    found: Readonly<
      Record<string, { readonly length: number; readonly seen?: number; readonly tail?: 'clean' | 'torn' | 'damaged' }>
    > = {},
  ): Rig {
    const recorded = foldFrames([
      {
        kind: 'checkpoint',
        cluster: testCluster,
        logger: testCluster,
        zoneSize: 0,
        alignment: 1,
        deviceZone: 0,
        generation: 1,
        offset: 0,
        stable: 0,
        totalLength: 0,
        entries: this.persisted,
      },
    ]);
    const zones = recorded.zones.flatMap((zone) => {
      const scan = found[`${zone.shard}/${zone.zone}`];
      const finished = zone.state === 'finished';
      if (!finished && scan === undefined) return [];
      const length = finished ? zone.length : (scan?.length ?? 0);
      return [{ ...zone, finished, length, seen: scan?.seen ?? 0, tail: scan?.tail ?? ('clean' as const) }];
    });
    const { fences, zoneFloors, lostTo } = recorded;
    const rig = new Rig({
      process: secondProcess,
      ...options,
      restored: { fences, zoneFloors, lostTo, zones, kept: new Set() },
    });
    rig.persisted.push(...this.persisted);
    for (const [deviceZone, bytes] of this.data) rig.data.set(deviceZone, bytes);
    return rig;
  }

  #ask(event: (ticket: string) => MachineEvent<string>): string {
    const ticket = `t${(this.#tickets += 1)}`;
    this.step(event(ticket));
    return ticket;
  }

  #carryOut(effect: MachineEffect<string>): void {
    this.trace.push(effect.kind === 'answer' ? `answer ${effect.ticket}` : effect.kind);
    switch (effect.kind) {
      case 'write': {
        if (this.full) return this.step({ kind: 'write-refused', write: effect.write });
        const { deviceZone, item } = effect.write;
        const held = this.data.get(deviceZone) ?? Buffer.alloc(0);
        const beyond = held.subarray(item.offset + item.bytes.length);
        this.data.set(deviceZone, Buffer.concat([held.subarray(0, item.offset), item.bytes, beyond]));
        return this.step({ kind: 'written', write: effect.write });
      }
      case 'compare': {
        const { deviceZone, item } = effect.comparison;
        const held = this.data.get(deviceZone)?.subarray(item.offset, item.offset + item.bytes.length);
        return this.step({
          kind: 'compared',
          comparison: effect.comparison,
          same: held !== undefined && held.equals(item.bytes),
        });
      }
      case 'persist':
        this.persisted.push(...effect.entries);
        return;
      case 'finish-zone': {
        const { deviceZone, length, keptTo } = effect;
        this.finished.push({ deviceZone, length, keptTo });
        return;
      }
      case 'rewind-zone':
        this.data.set(effect.deviceZone, (this.data.get(effect.deviceZone) ?? Buffer.alloc(0)).subarray(0, effect.to));
        return;
      case 'sync':
        this.syncs += 1;
        return;
      case 'answer':
        if (this.answers.has(effect.ticket)) throw new Error(`${effect.ticket} was answered twice`);
        this.answers.set(effect.ticket, effect.answer);
        return;
      default:
    }
  }
}

/** What a seal was answered of its zone, or the code of the refusal. */
export function sealAnswer(rig: Rig, ticket: string): unknown {
  const answer = rig.answers.get(ticket);
  if (answer?.kind !== 'sealed') return answer;
  if ('code' in answer.answer) return answer.answer.code;
  const { length, seen, doubtful, tail } = answer.answer;
  return { length, seen, doubtful, tail };
}

/** What a seal was told of its shard, refused or not. */
export function knownBy(rig: Rig, ticket: string): ShardKnowledge | undefined {
  const answer = rig.answers.get(ticket);
  return answer?.kind === 'sealed' ? answer.answer.known : undefined;
}

export { ZoneWriter };
