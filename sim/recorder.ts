/**
 * Records calls of clients in the history, with their outcomes, and judges what they were told at once: a value must be
 * one that somebody wrote, an error one that faults explain.
 */
import type { ErrorCode } from '../src/base/errors.ts';
import { KvError } from '../src/base/errors.ts';
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
  /** Life of a gateway that a stale read asks. */
  readonly at?: string | undefined;
}

/** Value that a read gives; its version where it tells one. */
interface Read {
  readonly value: Uint8Array;
  readonly version: number | undefined;
}

/** Calls that change nothing: their outcome is never unknown. */
const reads: ReadonlySet<HistoryCall> = new Set(['get', 'has', 'stale']);

/** Fields that the end of a call has beyond those of the call. */
type Told = Partial<Pick<HistoryEvent, 'value' | 'version' | 'newVersion' | 'currentVersion' | 'length' | 'error'>>;

/** Process to use for the next call, and the version that the key has as far as this one told. */
export interface Done {
  readonly process: number;
  readonly version: number | undefined;
  /** Reason why the call failed, if it did. */
  readonly error?: KvError;
}

/** Answer that cannot be: bytes that nobody wrote, an error that no fault explains. */
export class WrongAnswer extends Error {
  override readonly name = 'WrongAnswer';
}

/** What a life expects of its calls. */
export interface Demands {
  /** Whether something in this life explains the error of what began in calm times, or not. */
  explains(code: ErrorCode, wasCalm: boolean): boolean;
  /** Nothing goes wrong now: what is called from here on succeeds, and soon. */
  readonly isCalm: boolean;
}

/** Time that a call may take while nothing is wrong. */
const calmMsMax = 1_000;

export class Recorder {
  readonly #history: History;
  readonly #now: () => number;
  readonly #onOutcome: (error: KvError) => void;
  readonly #demands: Demands;
  /** When they began, of calls of calm times. */
  readonly #calm = new WeakMap<Call, number>();
  #processes = 0;
  #values = 0;

  constructor(history: History, now: () => number, onOutcome: (error: KvError) => void, demands: Demands) {
    this.#history = history;
    this.#now = now;
    this.#onOutcome = onOutcome;
    this.#demands = demands;
  }

  /** A process that was never used. */
  newProcess(): number {
    return this.#processes++;
  }

  newName(): string {
    return `v${this.#values++}`;
  }

  /** The call begins: calls of calm times are waited for. */
  #begin(call: Call): void {
    this.#record(call, 'invoke');
    if (this.#demands.isCalm) this.#calm.set(call, this.#now());
  }

  /** The call ends with what it was told. @throws WrongAnswer it took long though nothing is wrong */
  #end(call: Call, told: Told): void {
    this.#record(call, 'ok', told);
    const sinceMs = this.#calm.get(call);
    if (sinceMs !== undefined && this.#now() - sinceMs > calmMsMax)
      throw new WrongAnswer(`${describe(call)} took ${this.#now() - sinceMs} ms though nothing is wrong`);
  }

  #record({ process, f, key, value, version, at }: Call, type: HistoryType, told: Told = {}): void {
    this.#history.record({
      process,
      f,
      key,
      value: told.value === undefined ? value : told.value,
      version: told.version ?? version,
      newVersion: told.newVersion,
      currentVersion: told.currentVersion,
      ...(told.error === undefined ? {} : { error: told.error }),
      length: told.length,
      at,
      type,
      time: this.#now(),
    });
  }

  /** Reads, and gives the process to use for the next call: another one after an unknown outcome. */
  get(process: number, key: string, read: () => Promise<Read | undefined>): Promise<Done> {
    return this.#read({ process, f: 'get', key, value: null, version: undefined }, read);
  }

  /** Reads what the life `at` of a gateway knows, and gives the process to use next. */
  stale(process: number, key: string, at: string, read: () => Promise<Read | undefined>): Promise<Done> {
    return this.#read({ process, f: 'stale', key, value: null, version: undefined, at }, read);
  }

  async #read(call: Call, read: () => Promise<Read | undefined>): Promise<Done> {
    this.#begin(call);
    try {
      const entry = await read();
      const version = entry === undefined ? 0 : entry.version;
      this.#end(call, { value: entry === undefined ? null : nameOf(call.key, entry.value), version });
      return { process: call.process, version };
    } catch (error) {
      return this.#failed(call, error);
    }
  }

  /** Asks for version and length alone. */
  async has(
    process: number,
    key: string,
    read: () => Promise<{ readonly version: number; readonly length: number } | undefined>,
  ): Promise<Done> {
    const call: Call = { process, f: 'has', key, value: null, version: undefined };
    this.#begin(call);
    try {
      const found = await read();
      const version = found?.version ?? 0;
      this.#end(call, { version, length: found?.length });
      return { process, version };
    } catch (error) {
      return this.#failed(call, error);
    }
  }

  /** `condition`: undefined, or the version that the key must have. Gives also the version that is known afterwards. */
  async put(
    process: number,
    key: string,
    name: string,
    condition: number | undefined,
    write: () => Promise<{ readonly version: number | undefined }>,
  ): Promise<Done> {
    const call = writeCall(process, 'put', key, name, condition);
    this.#begin(call);
    try {
      const { version } = await write();
      this.#end(call, condition === undefined ? { version } : { newVersion: version });
      return { process, version };
    } catch (error) {
      return this.#failed(call, error);
    }
  }

  async delete(
    process: number,
    key: string,
    condition: number | undefined,
    write: () => Promise<{ readonly existed: boolean | undefined }>,
  ): Promise<Done> {
    const call = writeCall(process, 'del', key, null, condition);
    this.#begin(call);
    try {
      const { existed } = await write();
      this.#end(call, condition === undefined && existed !== undefined ? { version: existed ? 1 : 0 } : {});
      return { process, version: 0 };
    } catch (error) {
      return this.#failed(call, error);
    }
  }

  /** Something that is no call of the history was refused: not without a reason. @throws WrongAnswer */
  refused(what: string, error: unknown, wasCalm = this.#demands.isCalm): void {
    if (!(error instanceof KvError) || !this.#demands.explains(error.code, wasCalm)) throw unexplained(what, error);
  }

  #failed(call: Call, error: unknown): Done {
    if (error instanceof WrongAnswer) throw error;
    this.refused(describe(call), error, this.#calm.has(call));
    if (!(error instanceof KvError)) throw error;
    this.#onOutcome(error);
    if (error.code === 'condition-failed') this.#record(call, 'fail', { currentVersion: error.currentVersion ?? 0 });
    else if (error.code === 'damaged') this.#record(call, 'fail', { error: 'damaged' });
    else if (!reads.has(call.f) && error.outcome === 'unknown') this.#record(call, 'info');
    else this.#record(call, 'fail');
    const isUnknown = !reads.has(call.f) && error.outcome === 'unknown';
    return { process: isUnknown ? this.newProcess() : call.process, version: error.currentVersion, error };
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

function describe({ f, key, process }: Call): string {
  return `${f} ${key} of process ${process}`;
}

function unexplained(call: string, error: unknown): WrongAnswer {
  const what =
    error instanceof Error
      ? `${error.name} ${error instanceof KvError ? error.code : ''}: ${error.message}`
      : String(error);
  return new WrongAnswer(`${call} ended in ${what}`, { cause: error });
}

function nameOf(key: string, value: Uint8Array): string {
  const name = decodeValue(value);
  if (name === undefined)
    throw new WrongAnswer(
      `get ${key} gave ${value.length} bytes that nobody wrote: ${Buffer.from(value.subarray(0, 40)).toString('latin1')}...`,
    );
  return name;
}
