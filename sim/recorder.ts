/**
 * Records calls of clients in the history, with their outcomes, and judges what they were told at once: a value must be
 * one that somebody wrote, an error one that faults explain.
 */
import { KvError } from '../src/base/errors.ts';
import type { Entry } from '../src/client/types.ts';
import type { History, HistoryCall, HistoryEvent, HistoryType, HistoryValue } from './history.ts';
import { decodeValue } from './values.ts';

/** Call that was made and has not ended. */
interface Call {
  readonly process: number;
  readonly f: HistoryCall;
  readonly key: string;
  readonly value: HistoryValue;
  /** Condition of the call. */
  readonly version: number | undefined;
}

/** Fields that the end of a call has beyond those of the call. */
type Told = Partial<Pick<HistoryEvent, 'value' | 'version' | 'newVersion' | 'currentVersion' | 'error'>>;

/** Answer that cannot be: bytes that nobody wrote, an error that no fault explains. */
export class WrongAnswer extends Error {
  override readonly name = 'WrongAnswer';
}

/** Errors that a call may end in while things go wrong. Any other is a bug. */
const explained: ReadonlySet<string> = new Set([
  'timeout',
  'unavailable',
  'connection-lost',
  'not-owner',
  'overloaded',
  'condition-failed',
  // Whether the key is lost, the log says at the end (check/lost-keys.ts).
  'damaged',
  'client-forgotten',
  'request-superseded',
  'window-exceeded',
  'closed',
]);

export class Recorder {
  readonly #history: History;
  readonly #now: () => number;
  readonly #onOutcome: (error: KvError) => void;
  readonly #explained: ReadonlySet<string>;
  #processes = 0;
  #values = 0;

  /** `alsoExplained`: errors that the faults of this life explain beside those of any. */
  constructor(
    history: History,
    now: () => number,
    onOutcome: (error: KvError) => void,
    alsoExplained: readonly string[] = [],
  ) {
    this.#explained = new Set([...explained, ...alsoExplained]);
    this.#history = history;
    this.#now = now;
    this.#onOutcome = onOutcome;
  }

  /** A process that was never used. */
  newProcess(): number {
    return this.#processes++;
  }

  newName(): string {
    return `v${this.#values++}`;
  }

  #record({ process, f, key, value, version }: Call, type: HistoryType, told: Told = {}): void {
    this.#history.record({
      process,
      f,
      key,
      value: told.value === undefined ? value : told.value,
      version: told.version ?? version,
      newVersion: told.newVersion,
      currentVersion: told.currentVersion,
      ...(told.error === undefined ? {} : { error: told.error }),
      type,
      time: this.#now(),
    });
  }

  /** Reads, and gives the process to use for the next call: another one after an unknown outcome. */
  async get(
    process: number,
    key: string,
    read: () => Promise<Entry | undefined>,
  ): Promise<{ readonly process: number; readonly version: number | undefined; readonly isLost: boolean }> {
    const call: Call = { process, f: 'get', key, value: null, version: undefined };
    this.#record(call, 'invoke');
    try {
      const entry = await read();
      this.#record(call, 'ok', {
        value: entry === undefined ? null : nameOf(key, entry.value),
        version: entry?.version ?? 0,
      });
      return { process, version: entry?.version ?? 0, isLost: false };
    } catch (error) {
      const isLost = error instanceof KvError && error.code === 'damaged';
      return { process: this.#failed(call, error), version: undefined, isLost };
    }
  }

  /** `condition`: undefined, or the version that the key must have. Gives also the version that is known afterwards. */
  async put(
    process: number,
    key: string,
    name: string,
    condition: number | undefined,
    write: () => Promise<{ readonly version: number }>,
  ) {
    const call = writeCall(process, 'put', key, name, condition);
    this.#record(call, 'invoke');
    try {
      const { version } = await write();
      this.#record(call, 'ok', condition === undefined ? { version } : { newVersion: version });
      return { process, version };
    } catch (error) {
      return {
        process: this.#failed(call, error),
        version: error instanceof KvError ? error.currentVersion : undefined,
      };
    }
  }

  async delete(
    process: number,
    key: string,
    condition: number | undefined,
    write: () => Promise<{ readonly existed: boolean; readonly version: number }>,
  ) {
    const call = writeCall(process, 'del', key, null, condition);
    this.#record(call, 'invoke');
    try {
      const { existed } = await write();
      this.#record(call, 'ok', condition === undefined ? { version: existed ? 1 : 0 } : {});
      return { process, version: 0 };
    } catch (error) {
      return {
        process: this.#failed(call, error),
        version: error instanceof KvError ? error.currentVersion : undefined,
      };
    }
  }

  #failed(call: Call, error: unknown): number {
    if (error instanceof WrongAnswer) throw error;
    if (!(error instanceof KvError) || !this.#explained.has(error.code)) throw unexplained(call, error);
    this.#onOutcome(error);
    if (error.code === 'condition-failed') this.#record(call, 'fail', { currentVersion: error.currentVersion ?? 0 });
    else if (error.code === 'damaged') this.#record(call, 'fail', { error: 'damaged' });
    else if (call.f !== 'get' && error.outcome === 'unknown') this.#record(call, 'info');
    else this.#record(call, 'fail');
    return call.f !== 'get' && error.outcome === 'unknown' ? this.newProcess() : call.process;
  }
}

/** A write as a call; `blind`: its form without a condition. */
function writeCall(
  process: number,
  blind: 'put' | 'del',
  key: string,
  value: HistoryValue,
  condition: number | undefined,
): Call {
  return { process, f: condition === undefined ? blind : 'cas', key, value, version: condition };
}

function unexplained(call: Call, error: unknown): WrongAnswer {
  const what =
    error instanceof Error
      ? `${error.name} ${error instanceof KvError ? error.code : ''}: ${error.message}`
      : String(error);
  return new WrongAnswer(`${call.f} ${call.key} of process ${call.process} ended in ${what}`, { cause: error });
}

function nameOf(key: string, value: Uint8Array): string {
  const name = decodeValue(value);
  if (name === undefined)
    throw new WrongAnswer(
      `get ${key} gave ${value.length} bytes that nobody wrote: ${Buffer.from(value.subarray(0, 40)).toString('latin1')}...`,
    );
  return name;
}
