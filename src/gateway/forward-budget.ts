/**
 * What one connection may have under way at other gateways: of writes, the bytes that are not answered; of reads, as
 * many as bring what a connection may be sent, by the size of the values that came lately, since nobody knows the next
 * one's. It owns the sums. What finds no room is held or refused by the router.
 */
import { limits } from '../base/limits.ts';
import type { Outlet } from '../core/shard/requests.ts';

interface Sums {
  writeBytes: number;
  /** Size of a value that came lately; falls by half with each smaller one. */
  usualReadBytes: number;
}

export class ForwardBudget {
  readonly #sums = new WeakMap<Outlet, Sums>();

  /** Whether a write of `bytes` may be forwarded now; if so `answered` is called once. */
  tryWrite(outlet: Outlet | undefined, bytes: number): boolean {
    if (outlet === undefined) return true;
    const sums = this.#of(outlet);
    if (sums.writeBytes > 0 && sums.writeBytes + bytes > limits.forwardedBytesPerConnection) return false;
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
      sums = { writeBytes: 0, usualReadBytes: limits.forwardedReadBytes };
      this.#sums.set(outlet, sums);
    }
    return sums;
  }
}
