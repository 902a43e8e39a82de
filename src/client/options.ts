/**
 * Options of the SDK's methods, checked as those of a config file are: a name that the method does not have, or a value
 * of another type or range, is refused. An option that was ignored would make an unconditional write of a conditional
 * one. Every error here is `not-applied`.
 */
import { KvError } from '../base/errors.ts';
import { clientSettings, type IntegerSetting } from '../base/settings.ts';
import { times } from '../base/times.ts';
import { condition } from '../codec/client-requests.ts';
import type { AbortSignalLike } from './types.ts';

const ofRequests = ['timeoutMs', 'signal'];
const ofReads = ['consistency', ...ofRequests];

/** Names that each method takes. */
const optionNames = {
  connect: [...Object.keys(clientSettings), 'direct'],
  close: ['timeoutMs'],
  get: ofReads,
  getMany: ofReads,
  has: ofRequests,
  put: ['ifVersion', 'ifAbsent', ...ofRequests],
  putMany: ofRequests,
  delete: ['ifVersion', ...ofRequests],
} as const satisfies Readonly<Record<string, readonly string[]>>;

export type OptionsOf = keyof typeof optionNames;

/** What a request was called with, the defaults filled in. */
export interface Terms {
  readonly timeoutMs: number;
  readonly signal: AbortSignalLike | undefined;
  /** Only of reads. */
  readonly isStale: boolean;
  /** The protocol's condition of a write. */
  readonly condition: number;
}

/** `timeoutMs`: the client's, for a call without one. @throws KvError `bad-argument` */
export function termsOf(method: OptionsOf, options: unknown, timeoutMs: number): Terms {
  const given = Given.of(method, options);
  if (given === undefined) return { timeoutMs, signal: undefined, isStale: false, condition: condition.none };
  return {
    timeoutMs: given.integer('timeoutMs', clientSettings.timeoutMs) ?? timeoutMs,
    signal: given.signal(),
    isStale: given.oneOf('consistency', ['linearizable', 'stale']) === 'stale',
    condition: conditionOf(given),
  };
}

/** How long `close` may wait, in ms. @throws KvError `bad-argument` */
export function closeGraceOf(options: unknown): number {
  const range = { ...clientSettings.timeoutMs, min: 0 };
  return Given.of('close', options)?.integer('timeoutMs', range) ?? times.closeGraceMs;
}

function conditionOf(given: Given): number {
  const isAbsent = given.boolean('ifAbsent') === true;
  const version = given.integer('ifVersion', versions);
  if (version === undefined) {
    // A version that was not found (`entry?.version`) must not become a write without a condition.
    if (given.has('ifVersion')) throw given.wrong('ifVersion', `${versionText}, or left out`);
    return isAbsent ? condition.absent : condition.none;
  }
  if (isAbsent) throw new KvError('bad-argument', 'ifVersion and ifAbsent exclude each other');
  return version;
}

const versionText = 'a version (0: only if there is no such key)';
const versions = { min: 0, max: Number.MAX_SAFE_INTEGER, text: versionText };

/** Options of one call, with whatever their caller put there. */
export class Given {
  readonly #method: OptionsOf;
  readonly #values: ReadonlyMap<string, unknown>;

  /** Undefined when there are none. @throws KvError `bad-argument` for another thing than an object, or other names */
  static of(method: OptionsOf, options: unknown): Given | undefined {
    if (options === undefined) return undefined;
    const what = `the options of ${method}`;
    return readSafely(what, () => {
      if (!isRecord(options)) throw wrong(what, 'an object', options);
      const names: readonly string[] = optionNames[method];
      const others: string[] = [];
      for (const name in options) if (!names.includes(name)) others.push(`"${name}"`);
      if (others.length > 0) {
        const found = `${what}: found unknown names ${others.join(', ')}`;
        throw new KvError('bad-argument', `${found}; allowed: ${names.join(', ')}`);
      }
      // By name, so that those a class has count too.
      const values = names.filter((name) => name in options).map((name) => [name, options[name]] as const);
      return new Given(method, new Map(values));
    });
  }

  private constructor(method: OptionsOf, values: ReadonlyMap<string, unknown>) {
    this.#method = method;
    this.#values = values;
  }

  /** Also with the value undefined. */
  has(name: string): boolean {
    return this.#values.has(name);
  }

  integer(name: string, range: Pick<IntegerSetting, 'min' | 'max'> & { readonly text?: string }): number | undefined {
    const value = this.#values.get(name);
    if (value === undefined) return undefined;
    if (typeof value === 'number' && Number.isInteger(value) && value >= range.min && value <= range.max) return value;
    throw this.wrong(name, range.text ?? `an integer from ${range.min} to ${range.max}`);
  }

  boolean(name: string): boolean | undefined {
    const value = this.#values.get(name);
    if (value === undefined || typeof value === 'boolean') return value;
    throw this.wrong(name, 'true or false');
  }

  oneOf<T extends string>(name: string, allowed: readonly T[]): T | undefined {
    const value = this.#values.get(name);
    const found = allowed.find((one) => one === value);
    if (value === undefined || found !== undefined) return found;
    throw this.wrong(name, allowed.map((one) => `'${one}'`).join(' or '));
  }

  signal(): AbortSignalLike | undefined {
    const value = this.#values.get('signal');
    if (value === undefined || isAbortSignal(value)) return value;
    throw this.wrong('signal', 'an AbortSignal');
  }

  wrong(name: string, wanted: string): KvError {
    return wrong(`${name}, an option of ${this.#method},`, wanted, this.#values.get(name));
  }
}

/** `read`, where what the caller passed may throw anything. @throws KvError `bad-argument` */
export function readSafely<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof KvError) throw error;
    throw new KvError('bad-argument', `${what} can't be read: ${String(error)}`, { cause: error });
  }
}

/** Error for an argument, with what was found instead. */
export function wrong(what: string, wanted: string, found: unknown): KvError {
  return new KvError('bad-argument', `${what} must be ${wanted}, found ${shown(found)}`);
}

function shown(value: unknown): string {
  if (value === null) return 'null';
  if (typeof value === 'object') return Array.isArray(value) ? 'an array' : 'an object';
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}...` : value);
  return value === undefined || typeof value === 'number' || typeof value === 'boolean'
    ? String(value)
    : `a ${typeof value}`;
}

/** Not a Map, a Promise or a signal, say: their content would be ignored. */
function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && Object.prototype.toString.call(value) === '[object Object]';
}

/** By its form: one of another realm, or of a polyfill, is no instance of this realm's class. */
function isAbortSignal(value: unknown): value is AbortSignalLike {
  return (
    typeof value === 'object' &&
    value !== null &&
    'aborted' in value &&
    typeof value.aborted === 'boolean' &&
    'addEventListener' in value &&
    typeof value.addEventListener === 'function' &&
    'removeEventListener' in value &&
    typeof value.removeEventListener === 'function'
  );
}
