/** Latencies of one kind of request, and the time in which at least one of them was under way. */
export interface LatencySummary {
  readonly count: number;
  readonly averageMs: number;
  readonly p99Ms: number;
  /** Count divided by the time in which at least one request of the kind was under way; 0 without requests. */
  readonly perSecond: number;
}

export class Latencies {
  #values = new Float64Array(1_024);
  #count = 0;
  #sum = 0;
  #underWay = 0;
  #busySinceMs = 0;
  #busyMs = 0;

  begin(nowMs: number): void {
    if (this.#underWay++ === 0) this.#busySinceMs = nowMs;
  }

  /** REQUIRES: a `begin` at `sinceMs` before. */
  end(sinceMs: number, nowMs: number): void {
    if (--this.#underWay === 0) this.#busyMs += nowMs - this.#busySinceMs;
    if (this.#count === this.#values.length) {
      const values = new Float64Array(2 * this.#count);
      values.set(this.#values);
      this.#values = values;
    }
    this.#values[this.#count++] = nowMs - sinceMs;
    this.#sum += nowMs - sinceMs;
  }

  summary(): LatencySummary {
    if (this.#count === 0) return { count: 0, averageMs: 0, p99Ms: 0, perSecond: 0 };
    const sorted = this.#values.slice(0, this.#count).sort();
    // The smallest latency that at least 99 of 100 requests did not exceed (nearest rank).
    const p99Ms = sorted[Math.ceil(this.#count * 0.99) - 1] ?? 0;
    return {
      count: this.#count,
      averageMs: this.#sum / this.#count,
      p99Ms,
      perSecond: this.#busyMs > 0 ? (this.#count * 1_000) / this.#busyMs : 0,
    };
  }
}
