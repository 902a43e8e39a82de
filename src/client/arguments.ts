/** Checks what the caller passed and turns it into what requests are made of. Every error here is `not-applied`. */
import { KvError } from '../base/errors.ts';
import { clientSettings } from '../base/settings.ts';
import { referenceBytesMin } from '../codec/message-writer.ts';
import { Given, readSafely, wrong } from './options.ts';
import type { Bytes, ClientOptions } from './types.ts';

/** All options, with their defaults. */
export interface Settings {
  readonly timeoutMs: number;
  readonly connectTimeoutMs: number;
  readonly requestsMax: number;
  readonly bytesMax: number;
  readonly connectionsPerGateway: number;
  readonly direct: boolean;
}

/** @throws KvError `bad-argument` */
export function settingsOf(options: ClientOptions): Settings {
  const given = Given.of('connect', options);
  const integer = (name: keyof typeof clientSettings): number | undefined => given?.integer(name, clientSettings[name]);
  const timeoutMs = integer('timeoutMs') ?? clientSettings.timeoutMs.default;
  return {
    timeoutMs,
    connectTimeoutMs: integer('connectTimeoutMs') ?? timeoutMs,
    requestsMax: integer('requestsMax') ?? clientSettings.requestsMax.default,
    bytesMax: integer('bytesMax') ?? clientSettings.bytesMax.default,
    connectionsPerGateway: integer('connectionsPerGateway') ?? clientSettings.connectionsPerGateway.default,
    direct: given?.boolean('direct') ?? true,
  };
}

/** Splits, checks and tidies the endpoints. @throws KvError `bad-argument`, `address-invalid` */
export function endpointsOf(endpoints: string | readonly string[]): string[] {
  const parts: readonly unknown[] =
    typeof endpoints === 'string'
      ? endpoints.split(',')
      : Array.isArray(endpoints)
        ? Array.from<unknown>(endpoints)
        : [endpoints];
  const addresses = parts.map((part) => {
    if (typeof part !== 'string') throw wrong('an endpoint', "a string 'host:port'", part);
    return checkAddress(part.trim());
  });
  if (addresses.length === 0)
    throw new KvError('bad-argument', 'connect needs at least one endpoint, the client port of a gateway');
  return [...new Set(addresses)];
}

function checkAddress(address: string): string {
  const match = /^(\[[0-9a-fA-F:.]+\]|[^\s:,[\]]+):(\d{1,5})$/.exec(address);
  const port = Number(match?.[2]);
  if (match === null || port < 1 || port > 65_535) {
    throw new KvError(
      'address-invalid',
      `'${address}' is not an endpoint; one looks like 127.0.0.1:7400 or [::1]:7400`,
    );
  }
  return address;
}

/** @throws KvError `bad-argument`, `key-empty`, `key-too-long` */
export function keyBytes(key: Bytes, bytesMax: number): Uint8Array {
  const bytes = toBytes('a key', key);
  if (bytes.length === 0)
    throw new KvError('key-empty', 'the key is empty; a key has 1 to ' + String(bytesMax) + ' bytes');
  if (bytes.length > bytesMax) {
    throw new KvError('key-too-long', `the key has ${bytes.length} bytes; at most ${bytesMax} are allowed`);
  }
  return bytes;
}

/** @throws KvError `bad-argument`, `value-too-large` */
export function valueBytes(value: Bytes, bytesMax: number): Uint8Array {
  const bytes = toBytes('a value', value);
  if (bytes.length > bytesMax) {
    throw new KvError('value-too-large', `the value has ${bytes.length} bytes; at most ${bytesMax} are allowed`);
  }
  // A message refers to a long value until the network has taken it, which may be after a timeout told the caller that
  // he has it back.
  return bytes === value && bytes.length >= referenceBytesMin ? new Uint8Array(bytes) : bytes;
}

function toBytes(what: string, input: unknown): Uint8Array {
  if (typeof input === 'string') {
    const bytes = Buffer.from(input, 'utf8');
    // Only then can there be half a surrogate pair, which UTF-8 can't carry: two different strings would become one
    // key.
    if (bytes.length !== input.length && /\p{Surrogate}/u.test(input)) {
      throw new KvError(
        'bad-argument',
        `${what} is a string with half a surrogate pair, which has no UTF-8 form; pass bytes`,
      );
    }
    return bytes;
  }
  if (!isBytes(input)) throw wrong(what, 'a string or a Uint8Array', input);
  // Memory that was given away (to a worker, say) looks empty.
  if (input.length === 0 && isDetached(input))
    throw new KvError('bad-argument', `${what} is an array whose memory was transferred elsewhere`);
  return input;
}

/** Also one of another realm (a test runner's, say), which is no instance of this one's class. */
function isBytes(input: unknown): input is Uint8Array {
  if (!ArrayBuffer.isView(input)) return false;
  return input instanceof Uint8Array || Object.prototype.toString.call(input) === '[object Uint8Array]';
}

function isDetached(bytes: Uint8Array): boolean {
  try {
    return new Uint8Array(bytes.buffer).length < 0;
  } catch {
    return true;
  }
}

/** Items of what `getMany` or `putMany` was given. @throws KvError `bad-argument` */
export function itemsOf<T>(what: string, items: Iterable<T>): readonly T[] {
  return readSafely(what, () => {
    // Both can be iterated over: into letters and into numbers, which nobody means.
    if (typeof items === 'string' || isBytes(items)) throw wrong(what, 'an array or another iterable', items);
    return [...items];
  });
}

/** @throws KvError `bad-argument`: what is no pair, and what has more in it, like options that would be ignored */
export function pairOf(entry: readonly [key: Bytes, value: Bytes]): readonly [key: Bytes, value: Bytes] {
  if (Array.isArray(entry) && entry.length === 2) return entry;
  throw wrong('an entry', 'an array of a key and a value', entry);
}
