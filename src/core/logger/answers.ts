/** Answers of a logger's machine: refusals at once, everything else when it is stable (S3). */
import { assert, unreachable } from '../../base/assert.ts';
import type { InstanceId, Lba } from '../../base/ids.ts';
import type { LoggerRefusalCode, SealAnswer, ShardKnowledge } from '../../codec/logger-protocol.ts';
import { loggerRefusals, refusal } from '../../codec/logger-protocol.ts';
import type { MachineAnswer, MachineEffect } from './machine-events.ts';
import type { HeldZone } from './zone-table.ts';

/** A request that was carried out and is answered when that is stable. */
export type Waiter<Ticket> =
  /** `end`: the end of the append's bytes in the zone. */
  | {
      readonly kind: 'append';
      readonly ticket: Ticket;
      readonly zone: HeldZone;
      readonly end: number;
      readonly lba: Lba;
    }
  /** `zone` is undefined when it was never seen; `end`: its write pointer when the seal came. */
  | {
      readonly kind: 'seal';
      readonly ticket: Ticket;
      readonly zone: HeldZone | undefined;
      readonly end: number;
      readonly process: InstanceId;
      readonly known: ShardKnowledge;
    }
  | { readonly kind: 'fill' | 'copy'; readonly ticket: Ticket; readonly zone: HeldZone; readonly end: number }
  | { readonly kind: 'done'; readonly ticket: Ticket };

/** REQUIRES: everything accepted before the request is stable. */
export function answer<Ticket>(waiter: Waiter<Ticket>): MachineEffect<Ticket> {
  return { kind: 'answer', ticket: waiter.ticket, answer: answerOf(waiter) };
}

export function refuseSeal<Ticket>(
  ticket: Ticket,
  code: LoggerRefusalCode,
  known: ShardKnowledge,
  detail = 0,
): MachineEffect<Ticket> {
  const answer = { ...refusal(code, loggerRefusals[code], detail), known };
  return { kind: 'answer', ticket, answer: { kind: 'sealed', answer } };
}

export function refuse<Ticket>(ticket: Ticket, code: LoggerRefusalCode, detail = 0): MachineEffect<Ticket> {
  return { kind: 'answer', ticket, answer: refusal(code, loggerRefusals[code], detail) };
}

function answerOf<Ticket>(waiter: Waiter<Ticket>): MachineAnswer {
  switch (waiter.kind) {
    case 'append':
      // A zone that was finished or reset meanwhile holds less; nobody waits for such an append any more, but it must
      // not be said to be stable.
      if (waiter.zone.stable < waiter.end) return refusal('sealed', loggerRefusals.sealed, waiter.zone.stable);
      return { kind: 'appended', lba: waiter.lba };
    case 'seal':
      return { kind: 'sealed', answer: sealAnswer(waiter) };
    case 'fill':
      if (waiter.zone.stable < waiter.end) return refusal('sealed', loggerRefusals.sealed, waiter.zone.stable);
      return { kind: 'filled', length: waiter.zone.stable };
    case 'copy':
      // One that was replaced meanwhile is no copy any more.
      if (waiter.zone.isDropped) return refusal('other-copy', loggerRefusals['other-copy']);
      if (waiter.zone.stable < waiter.end) return refusal('sealed', loggerRefusals.sealed, waiter.zone.stable);
      return { kind: 'copied', length: waiter.zone.stable, copyId: waiter.zone.copyId };
    case 'done':
      return { kind: 'done' };
    default:
      return unreachable(waiter);
  }
}

function sealAnswer<Ticket>({ zone, end, process, known }: Waiter<Ticket> & { kind: 'seal' }) {
  // Its bytes are gone, so nothing is said of their length.
  if (zone?.isDropped === true) return { ...refusal('retired-zone', loggerRefusals['retired-zone'], 0), known };
  return { ...sealed(zone, end), process, known };
}

type Sealed = Pick<SealAnswer, 'length' | 'seen' | 'doubtful' | 'tail' | 'cut'>;

/** What is stable; a Fill may be under way behind it. */
function sealed(zone: HeldZone | undefined, end: number): Sealed {
  if (zone === undefined) return { length: 0, seen: 0, doubtful: false, tail: 'clean' };
  const isKept = zone.stable >= end || zone.state === 'finished';
  assert(isKept, 'S3 a seal is answered when every append accepted before is stable');
  const { stable: length, seen, tail, cut } = zone;
  const doubtful = tail === 'damaged' || seen > length;
  return { length, seen, doubtful, tail, ...(cut === undefined ? {} : { cut }) };
}
