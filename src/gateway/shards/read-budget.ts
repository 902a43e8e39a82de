/**
 * Memory that values on their way to readers may take, and its fair share by connection. A read begins (its value is
 * fetched, or asked of another gateway) only when its answer finds room: in its connection's share, where what the
 * socket has not taken counts, too, and in what there is for all. What finds none waits: connections in turn, the reads
 * of one in their order, small values before large ones. Reads of a connection that closed are dropped.
 *
 *   tryBegin -> (answered)                 there is room
 *   wait ... begin -> (answered)           there is none yet
 *
 * It owns the reads that wait. It does not own where values come from (value-fetcher.ts, router.ts), nor replies: it is
 * told by the read itself that it was answered.
 */
import { limits } from '../../base/limits.ts';
import { times } from '../../base/times.ts';
import type { Outlet, ReadCount, ShardRead } from '../../core/shard/requests.ts';
import type { Clock, Timer } from '../../env/clock.ts';

interface Waiting {
  readonly read: ShardRead;
  readonly bytes: number;
  readonly sinceMs: number;
  readonly begin: () => void;
}

/** One connection. */
interface Reader {
  readonly outlet: Outlet;
  /** Bytes of reads that have begun and are not answered: all, and those of large values. */
  bytes: number;
  largeBytes: number;
  small: Waiting[];
  large: Waiting[];
  /** Time at which one of its reads began last. */
  begunMs: number;
}

export interface BudgetLimits {
  /** Values up to this many bytes are small. */
  readonly smallBytes: number;
  /** Bytes of one connection: at which no large value begins any more, and of all. */
  readonly largeBytesPerConnection: number;
  readonly bytesPerConnection: number;
  /** Bytes of all connections; large values take three quarters at most. */
  readonly bytesMax: number;
}

export const readLimits: BudgetLimits = {
  smallBytes: limits.smallValueBytes,
  largeBytesPerConnection: limits.readLargeBytesPerConnection,
  bytesPerConnection: limits.outputBytesPause,
  bytesMax: limits.readBytesUnderWayMax,
};

/** Share of all bytes that large values may take. */
const largeShare = 0.75;

export class ReadBudget implements ReadCount {
  readonly #clock: Clock;
  readonly #limits: BudgetLimits;
  readonly #readers = new WeakMap<Outlet, Reader>();
  /** Readers with reads that wait, the next one first. */
  #queue: Reader[] = [];
  #bytes = 0;
  #timer: Timer | undefined;
  #isPumping = false;

  constructor(clock: Clock, budgetLimits: BudgetLimits = readLimits) {
    this.#clock = clock;
    this.#limits = budgetLimits;
  }

  /** Bytes of the reads that have begun and are not answered. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Reads that wait for room. */
  get waiting(): number {
    return this.#queue.reduce((sum, { small, large }) => sum + small.length + large.length, 0);
  }

  /** Whether a read whose answer takes `bytes` begins now; if not, `wait` is called next. */
  tryBegin(read: ShardRead, bytes: number): boolean {
    const { outlet } = read.replyTo;
    if (outlet === undefined) return true;
    const reader = this.#reader(outlet);
    if (this.#line(reader, bytes).length > 0 || !this.#hasRoom(reader, bytes)) return false;
    this.#begun(reader, read, bytes);
    return true;
  }

  /**
   * `begin` is called when there is room. When no read of the connection began for `times.readWaitMs` it is refused as
   * `overloaded`.
   */
  wait(read: ShardRead, bytes: number, begin: () => void): void {
    const { outlet } = read.replyTo;
    if (outlet === undefined || !outlet.isOpen) return;
    const reader = this.#reader(outlet);
    if (reader.small.length + reader.large.length === 0) this.#queue.push(reader);
    this.#line(reader, bytes).push({ read, bytes, sinceMs: this.#clock.now(), begin });
    this.#arm();
  }

  answered(read: ShardRead): void {
    const { outlet } = read.replyTo;
    if (outlet === undefined || read.chargedBytes === 0) return;
    const reader = this.#reader(outlet);
    const bytes = read.chargedBytes;
    read.chargedBytes = 0;
    this.#bytes -= bytes;
    reader.bytes -= bytes;
    if (this.#isLarge(bytes)) reader.largeBytes -= bytes;
    if (this.#queue.length > 0) this.#pump();
  }

  close(): void {
    this.#timer?.cancel();
    this.#queue = [];
  }

  #reader(outlet: Outlet): Reader {
    let reader = this.#readers.get(outlet);
    if (reader === undefined) {
      reader = { outlet, bytes: 0, largeBytes: 0, small: [], large: [], begunMs: 0 };
      this.#readers.set(outlet, reader);
    }
    return reader;
  }

  #isLarge(bytes: number): boolean {
    return bytes > this.#limits.smallBytes;
  }

  #line(reader: Reader, bytes: number): Waiting[] {
    return this.#isLarge(bytes) ? reader.large : reader.small;
  }

  #hasRoom(reader: Reader, bytes: number): boolean {
    const { largeBytesPerConnection, bytesPerConnection, bytesMax } = this.#limits;
    const unsent = reader.outlet.waitingBytes;
    if (!this.#isLarge(bytes)) {
      return reader.bytes + unsent + bytes <= bytesPerConnection && this.#bytes + bytes <= bytesMax;
    }
    if (reader.largeBytes + unsent >= largeBytesPerConnection) return false;
    return this.#bytes === 0 || this.#bytes + bytes <= largeShare * bytesMax;
  }

  #begun(reader: Reader, read: ShardRead, bytes: number): void {
    reader.begunMs = this.#clock.now();
    read.chargedBytes = bytes;
    read.count = this;
    this.#bytes += bytes;
    reader.bytes += bytes;
    if (this.#isLarge(bytes)) reader.largeBytes += bytes;
  }

  /** Begins what finds room, one read of each connection at a time. */
  #pump(): void {
    // A read that begins may be answered at once, from the cache.
    if (this.#isPumping) return;
    this.#isPumping = true;
    for (let idle = 0; idle < this.#queue.length; ) {
      const reader = this.#queue.shift();
      if (reader === undefined) break;
      const began = this.#beginOne(reader);
      if (reader.small.length + reader.large.length > 0) this.#queue.push(reader);
      idle = began ? 0 : idle + 1;
    }
    this.#isPumping = false;
  }

  #beginOne(reader: Reader): boolean {
    if (!reader.outlet.isOpen) {
      reader.small = [];
      reader.large = [];
      return false;
    }
    for (const line of [reader.small, reader.large]) {
      const [first] = line;
      if (first === undefined || !this.#hasRoom(reader, first.bytes)) continue;
      line.shift();
      this.#begun(reader, first.read, first.bytes);
      first.begin();
      return true;
    }
    return false;
  }

  /** Sockets say nothing while they take what they were given: looked at again and again while reads wait. */
  #arm(): void {
    this.#timer ??= this.#clock.after(times.readBudgetTickMs, () => {
      this.#timer = undefined;
      this.#pump();
      this.#refuseLate();
      if (this.#queue.length > 0) this.#arm();
    });
  }

  #refuseLate(): void {
    const lateMs = this.#clock.now() - times.readWaitMs;
    for (const { small, large, begunMs } of this.#queue) {
      if (begunMs >= lateMs) continue;
      for (const line of [small, large]) {
        while (line[0] !== undefined && line[0].sinceMs < lateMs) {
          const message = `the read found no room beside the connection's other reads for ${times.readWaitMs} ms`;
          line.shift()?.read.fail({ kind: 'failed', code: 'overloaded', message, outcome: 'not-applied' });
        }
      }
    }
    this.#queue = this.#queue.filter(({ small, large }) => small.length + large.length > 0);
  }
}
