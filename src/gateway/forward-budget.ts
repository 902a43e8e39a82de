/**
 * What one connection may have under way at other gateways: of writes, the bytes that are not answered; of reads, as
 * many as bring what a connection may be sent, by the size of the values that came lately, since nobody knows the next
 * one's. It owns the sums. What finds no room is held or refused by the router.
 */
import { limits } from '../base/limits.ts';
import type { Outlet } from '../core/shard/requests.ts';

/** Limits of one connection. */
export interface ForwardLimits {
  /** Writes that were forwarded and are not answered; one is always allowed. */
  readonly writeBytesMax: number;
  /** What the first read is taken to bring. */
  readonly firstReadBytes: number;
  /** Bytes that the other gateway has not taken, at which nothing more is written to it. */
  readonly unsentBytesMax: number;
}

export const forwardLimits: ForwardLimits = {
  writeBytesMax: limits.forwardedBytesPerConnection,
  firstReadBytes: limits.forwardedReadBytes,
  unsentBytesMax: limits.outputBytesPause,
};

interface Sums {
  writeBytes: number;
  /** Size of a value that came lately; falls by half with each smaller one. */
  usualReadBytes: number;
}

export class ForwardBudget {
  readonly #limits: ForwardLimits;
  readonly #sums = new WeakMap<Outlet, Sums>();

  constructor(bounds: ForwardLimits = forwardLimits) {
    this.#limits = bounds;
  }

  /** Whether the other gateway takes what it is sent. */
  takes(channel: { readonly waitingBytes: number }): boolean {
    return channel.waitingBytes <= this.#limits.unsentBytesMax;
  }

  /** Whether a write of `bytes` may be forwarded now; if so `answered` is called once. */
  tryWrite(outlet: Outlet | undefined, bytes: number): boolean {
    if (outlet === undefined) return true;
    const sums = this.#of(outlet);
    if (sums.writeBytes > 0 && sums.writeBytes + bytes > this.#limits.writeBytesMax) return false;
    sums.writeBytes += bytes;
    return true;
  }

  written(outlet: Outlet | undefined, bytes: number): void {
    if (outlet !== undefined) this.#of(outlet).writeBytes -= bytes;
  }

  /** Bytes that the next read is taken to bring. */
  usualReadBytes(outlet: Outlet | undefined): number {
    return outlet === undefined ? 0 : this.#of(outlet).usualReadBytes;
  }

  /** A read brought a value of `bytes`. */
  read(outlet: Outlet | undefined, bytes: number): void {
    if (outlet === undefined) return;
    const sums = this.#of(outlet);
    sums.usualReadBytes = Math.max(bytes, Math.ceil(sums.usualReadBytes / 2));
  }

  #of(outlet: Outlet): Sums {
    let sums = this.#sums.get(outlet);
    if (sums === undefined) {
      sums = { writeBytes: 0, usualReadBytes: this.#limits.firstReadBytes };
      this.#sums.set(outlet, sums);
    }
    return sums;
  }
}
