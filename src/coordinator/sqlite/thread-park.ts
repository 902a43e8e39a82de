/**
 * Words of memory that the coordinator's thread and its owner share, and the park where the thread waits for its end.
 * `process.exit` and `terminate` end threads in the middle of what they do; libsql's native part, when it calls back
 * into a thread that is being ended, aborts the whole process (SIGABRT). So the thread is asked to stand still outside
 * SQLite first.
 */

/** Places in the shared words: the count of messages that were sent, which wakes the thread, and its state. */
const [messages, state] = [0, 1];
const states = { runs: 0, asked: 1, parked: 2 } as const;
/** Milliseconds that is waited for a thread to stand still; it may hang in the disk. */
const parkMsMax = 250;

/** Shared words of threads that have not ended. */
const running = new Set<Int32Array>();

export function sharedWords(): Int32Array {
  return new Int32Array(new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT));
}

/** Tells the thread that a message was sent. */
export function wake(words: Int32Array): void {
  Atomics.add(words, messages, 1);
  Atomics.notify(words, messages);
}

/** Count of messages so far, to be compared by `sleep`. */
export function messagesSeen(words: Int32Array): number {
  return Atomics.load(words, messages);
}

/** Sleeps in the thread for at most `ms`, not at all when there were messages after `seen`; parks when asked to. */
export function sleep(words: Int32Array, seen: number, ms: number): void {
  park(words);
  Atomics.wait(words, messages, seen, ms);
  park(words);
}

/** Called in the thread wherever it is outside SQLite: stands still for good when it is to be ended. */
function park(words: Int32Array): void {
  if (Atomics.compareExchange(words, state, states.asked, states.parked) !== states.asked) return;
  Atomics.notify(words, state);
  Atomics.wait(words, state, states.parked);
}

/** From now until `forgetThread` an end of the process parks the thread first. */
export function parkAtExit(words: Int32Array): void {
  if (running.size === 0) process.on('exit', parkAll);
  Atomics.store(words, state, states.runs);
  running.add(words);
}

export function forgetThread(words: Int32Array): void {
  running.delete(words);
  if (running.size === 0) process.removeListener('exit', parkAll);
}

/** To be called before a thread is ended from outside; returns when it stands still, or hangs. */
export function parkThread(words: Int32Array): void {
  if (!running.has(words)) return;
  askToPark(words);
  Atomics.wait(words, state, states.asked, parkMsMax);
}

function parkAll(): void {
  for (const words of running) askToPark(words);
  for (const words of running) Atomics.wait(words, state, states.asked, parkMsMax);
}

function askToPark(words: Int32Array): void {
  Atomics.store(words, state, states.asked);
  wake(words);
}
