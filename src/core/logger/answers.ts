/** Answers of a logger's machine: refusals at once, everything else when it is stable (S3). */
import { assert, unreachable } from '../../base/assert.ts';
import type { Lba } from '../../base/ids.ts';
import type { LoggerRefusalCode } from '../../codec/logger-protocol.ts';
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
  /** `zone` is undefined when it was never seen. */
  | { readonly kind: 'seal'; readonly ticket: Ticket; readonly zone: HeldZone | undefined }
  | { readonly kind: 'done'; readonly ticket: Ticket };

/** REQUIRES: everything accepted before the request is stable. */
export function answer<Ticket>(waiter: Waiter<Ticket>): MachineEffect<Ticket> {
  return { kind: 'answer', ticket: waiter.ticket, answer: answerOf(waiter) };
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
      return sealAnswer(waiter.zone);
    case 'done':
      return { kind: 'done' };
    default:
      return unreachable(waiter);
  }
}

function sealAnswer(zone: HeldZone | undefined): MachineAnswer {
  if (zone === undefined) return { kind: 'sealed', answer: { length: 0, seen: 0, doubtful: false, tail: 'clean' } };
  assert(zone.stable === zone.written, 'S3 a seal is answered when every append accepted before is stable');
  const { stable: length, seen, tail } = zone;
  return { kind: 'sealed', answer: { length, seen, doubtful: tail === 'damaged' || seen > length, tail } };
}
