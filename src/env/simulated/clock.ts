/**
 * Simulated time: a queue of events, run one after another. The same calls in the same order give the same run.
 *
 * A *turn* is one event, the microtasks that it set off, then the callbacks that asked for the end of the turn, in the
 * order of their calls, each with its microtasks. A callback that asks again gets the end of the next turn; when no
 * event is due at that instant, that turn is an empty one, so time never passes before a turn has ended. Events of one
 * instant run in the order in which they were scheduled.
 *
 * `NodeClock` is one node's view: its wall clock may be off, and when the node crashes nothing that it scheduled runs
 * any more.
 */
import { assert } from '../../base/assert.ts';
import type { Millis } from '../../base/ids.ts';
import { millis } from '../../base/ids.ts';
import type { Clock, Timer } from '../clock.ts';

class Event implements Timer {
  readonly at: number;
  readonly order: number;
  callback: (() => void) | undefined;
  #onCancel: (() => void) | undefined;

  constructor(at: number, order: number, callback: () => void, onCancel: () => void) {
    this.at = at;
    this.order = order;
    this.callback = callback;
    this.#onCancel = onCancel;
  }

  cancel(): void {
    if (this.callback === undefined) return;
    this.callback = undefined;
    this.#onCancel?.();
    this.#onCancel = undefined;
  }
}

/** 2026-01-01, so that runs don't depend on the day. */
const wallStartDefault = 1_767_225_600_000;
/** Turns between two passes of Node's own event loop. */
const turnsPerLoop = 1000;
/** Heaps with fewer cancelled events than this are not compacted. */
const cancelledMax = 1024;

export class SimulatedClock implements Clock {
  #now = 0;
  readonly #wallStart: number;
  #order = 0;
  #heap: Event[] = [];
  #cancelled = 0;
  #ending: (() => void)[] = [];
  #turns = 0;
  readonly #countCancelled = (): void => {
    this.#cancelled++;
  };

  constructor(options: { readonly wallStartMs?: number } = {}) {
    this.#wallStart = options.wallStartMs ?? wallStartDefault;
  }

  now(): Millis {
    return millis(this.#now);
  }

  wall(): Millis {
    return millis(Math.floor(this.#wallStart + this.#now));
  }

  /** Turns run so far. */
  get turns(): number {
    return this.#turns;
  }

  /** Events that wait, without ends of turn. */
  get waiting(): number {
    return this.#heap.length - this.#cancelled;
  }

  /** Neither an event nor an end of turn waits: nothing will ever happen again. */
  get idle(): boolean {
    return this.waiting === 0 && this.#ending.length === 0;
  }

  after(delayMs: number, callback: () => void): Timer {
    assert(!Number.isNaN(delayMs), 'a delay is a number');
    const event = new Event(this.#now + Math.max(delayMs, 0), this.#order++, callback, this.#countCancelled);
    if (event.at < Number.POSITIVE_INFINITY) this.#push(event);
    return event;
  }

  endOfTurn(callback: () => void): void {
    this.#ending.push(callback);
  }

  /** A node's view. `wallOffsetMs`: by how much its wall clock is ahead. */
  node(options: { readonly wallOffsetMs?: number } = {}): NodeClock {
    return new NodeClock(this, options.wallOffsetMs ?? 0);
  }

  /**
   * Runs one turn without draining microtasks: for tests of code that makes no promises. False when nothing was there
   * to run.
   */
  runNext(): boolean {
    const event = this.#nextEvent(Number.POSITIVE_INFINITY);
    if (event === undefined && this.#ending.length === 0) return false;
    this.#turns++;
    if (event !== undefined) this.#begin(event);
    for (const callback of this.#takeEnding()) callback();
    return true;
  }

  /** Runs all turns up to `time`, without draining microtasks, and sets the clock to it. */
  advanceTo(time: number): void {
    assert(time >= this.#now, 'time does not go back');
    while (this.#ending.length > 0 || (this.#peek()?.at ?? Number.POSITIVE_INFINITY) <= time) this.runNext();
    this.#now = time;
  }

  /** The same for a duration. */
  advance(durationMs: number): void {
    this.advanceTo(this.#now + durationMs);
  }

  /**
   * Runs turns with their microtasks until `goal` is a time that has come (the clock then shows it), or a condition
   * that holds after a turn. False when nothing is left to run before that, or `turnsMax` turns have run.
   */
  async runUntil(goal: number | (() => boolean), turnsMax = Number.POSITIVE_INFINITY): Promise<boolean> {
    const time = typeof goal === 'number' ? goal : Number.POSITIVE_INFINITY;
    for (let turns = 0; turns < turnsMax; turns++) {
      if (turns % turnsPerLoop === 0) await eventLoopPassed();
      if (typeof goal === 'function' && goal()) return true;
      const event = this.#nextEvent(time);
      if (event === undefined && this.#ending.length === 0) {
        if (typeof goal === 'number') this.#now = Math.max(this.#now, time);
        return typeof goal === 'number';
      }
      this.#turns++;
      if (event !== undefined) {
        this.#begin(event);
        await microtasksDrained();
      }
      for (const callback of this.#takeEnding()) {
        callback();
        await microtasksDrained();
      }
    }
    return typeof goal === 'function' && goal();
  }

  /** Takes the event of the next turn: an end of turn that waits lets no time pass. */
  #nextEvent(before: number): Event | undefined {
    const next = this.#peek();
    if (next === undefined || next.at > (this.#ending.length > 0 ? this.#now : before)) return undefined;
    return this.#pop();
  }

  #begin(event: Event): void {
    assert(event.at >= this.#now, 'time does not go back');
    this.#now = event.at;
    const callback = event.callback;
    event.callback = undefined;
    callback?.();
  }

  #takeEnding(): readonly (() => void)[] {
    if (this.#ending.length === 0) return none;
    const ending = this.#ending;
    this.#ending = [];
    return ending;
  }

  #peek(): Event | undefined {
    for (;;) {
      const first = this.#heap[0];
      if (first === undefined || first.callback !== undefined) return first;
      this.#pop();
      this.#cancelled--;
    }
  }

  #push(event: Event): void {
    if (this.#cancelled > cancelledMax && this.#cancelled > this.#heap.length / 2) this.#compact();
    this.#heap.push(event);
    siftUp(this.#heap, this.#heap.length - 1);
  }

  #pop(): Event | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (last !== undefined && last !== first) {
      heap[0] = last;
      siftDown(heap, 0);
    }
    return first;
  }

  /** Timers are mostly cancelled; those far in the future must not pile up. */
  #compact(): void {
    this.#heap = this.#heap.filter((event) => event.callback !== undefined).sort((a, b) => (before(a, b) ? -1 : 1));
    this.#cancelled = 0;
  }
}

export class NodeClock implements Clock {
  readonly #clock: SimulatedClock;
  /** Offset by which the node's wall clock is ahead; may be changed: wall clocks jump. */
  wallOffsetMs: number;
  #stopped = false;

  constructor(clock: SimulatedClock, wallOffsetMs: number) {
    this.#clock = clock;
    this.wallOffsetMs = wallOffsetMs;
  }

  now(): Millis {
    return this.#clock.now();
  }

  wall(): Millis {
    return millis(this.#clock.wall() + this.wallOffsetMs);
  }

  after(delayMs: number, callback: () => void): Timer {
    return this.#clock.after(delayMs, () => {
      if (!this.#stopped) callback();
    });
  }

  endOfTurn(callback: () => void): void {
    this.#clock.endOfTurn(() => {
      if (!this.#stopped) callback();
    });
  }

  /** The node crashed: nothing it scheduled runs any more. */
  stop(): void {
    this.#stopped = true;
  }
}

const none: readonly (() => void)[] = [];

/** Lets Node handle signals, timers of the test runner and the like now and then. */
function eventLoopPassed(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/**
 * Resolves when all microtasks that are waiting, and those they set off, have run. REQUIRES: called from a microtask,
 * as the code behind an `await` is: Node runs the ticks that microtasks ask for when no microtask is left. (An
 * immediate would do as well, at three times the price.)
 */
function microtasksDrained(): Promise<void> {
  return new Promise((resolve) => {
    process.nextTick(resolve);
  });
}

function before(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

function siftUp(heap: Event[], from: number): void {
  let index = from;
  const event = heap[index];
  if (event === undefined) return;
  while (index > 0) {
    const parentIndex = (index - 1) >> 1;
    const parent = heap[parentIndex];
    if (parent === undefined || !before(event, parent)) break;
    heap[index] = parent;
    index = parentIndex;
  }
  heap[index] = event;
}

function siftDown(heap: Event[], from: number): void {
  let index = from;
  const event = heap[index];
  if (event === undefined) return;
  for (;;) {
    let childIndex = 2 * index + 1;
    let child = heap[childIndex];
    if (child === undefined) break;
    const right = heap[childIndex + 1];
    if (right !== undefined && before(right, child)) {
      child = right;
      childIndex++;
    }
    if (!before(child, event)) break;
    heap[index] = child;
    index = childIndex;
  }
  heap[index] = event;
}
