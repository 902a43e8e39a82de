/**
 * A machine with the smallest possible device: writes always succeed unless told otherwise, syncs return when the test
 * says so.
 */
import type { AppendItem } from '../../../src/codec/logger-protocol.ts';
import type { MachineAnswer, MachineEffect, MachineEvent } from '../../../src/core/logger/machine-events.ts';
import { LoggerMachine } from '../../../src/core/logger/logger-machine.ts';
import type { MetadataEntry } from '../../../src/core/logger/metadata-format.ts';
import type { RestoredState } from '../../../src/core/logger/restored-state.ts';
import { emptyState, foldFrames } from '../../../src/core/logger/restored-state.ts';
import { epoch, shardId, zoneId } from '../../../src/base/ids.ts';
import { testCluster, ZoneWriter } from '../../logger/zone-writer.ts';

export interface RigOptions {
  readonly alignment?: number;
  readonly zoneSize?: number;
  readonly deviceZones?: readonly number[];
  readonly restored?: RestoredState;
}

export class Rig {
  readonly machine: LoggerMachine<string>;
  /** What each ticket was answered: once. */
  readonly answers = new Map<string, MachineAnswer>();
  readonly persisted: MetadataEntry[] = [];
  readonly data = new Map<number, Buffer>();
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
        drawCopyId: () => (copies += 1).toString(16).padStart(16, '0'),
      },
      options.restored ?? emptyState,
    );
  }

  append(item: AppendItem): string {
    return this.#ask((ticket) => ({ kind: 'append', ticket, item }));
  }

  seal(shard: number, zone: number, at: number): string {
    return this.#ask((ticket) => ({
      kind: 'seal',
      ticket,
      shard: shardId(shard),
      zone: zoneId(zone),
      epoch: epoch(at),
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

  confirm(shard: number, zone: number, at: number): string {
    return this.machine.confirm({ shard: shardId(shard), zone: zoneId(zone), epoch: epoch(at) }) ?? 'confirmed';
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
    return new Rig({ ...options, restored: { fences: recorded.fences, zoneFloors: recorded.zoneFloors, zones } });
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
        this.data.set(
          deviceZone,
          Buffer.concat([(this.data.get(deviceZone) ?? Buffer.alloc(0)).subarray(0, item.offset), item.bytes]),
        );
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

/** What a seal was answered with; the refusal if it was refused. */
export function sealAnswer(rig: Rig, ticket: string): unknown {
  const answer = rig.answers.get(ticket);
  return answer?.kind === 'sealed' ? answer.answer : answer;
}

export { ZoneWriter };
