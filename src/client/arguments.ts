/** Checks what the caller passed and turns it into what requests are made of. Every error here is `not-applied`. */
import { KvError } from '../base/errors.ts';
import { clientSettings } from '../base/settings.ts';
import { condition } from '../codec/client-requests.ts';
import { referenceBytesMin } from '../codec/message-writer.ts';
import type { Bytes, ClientOptions, PutOptions, RequestOptions } from './types.ts';

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
  if (typeof options !== 'object' || options === null) throw bad('options', 'an object', options);
  const timeoutMs = inRange('timeoutMs', options.timeoutMs, clientSettings.timeoutMs.default);
  return {
    timeoutMs,
    connectTimeoutMs: inRange('connectTimeoutMs', options.connectTimeoutMs, timeoutMs),
    requestsMax: inRange('requestsMax', options.requestsMax, clientSettings.requestsMax.default),
    bytesMax: inRange('bytesMax', options.bytesMax, clientSettings.bytesMax.default),
    connectionsPerGateway: inRange(
      'connectionsPerGateway',
      options.connectionsPerGateway,
      clientSettings.connectionsPerGateway.default,
    ),
    direct: options.direct ?? true,
  };
}

/** Splits, checks and tidies the endpoints. @throws KvError `bad-argument`, `address-invalid` */
export function endpointsOf(endpoints: string | readonly string[]): string[] {
  const parts: unknown[] =
    typeof endpoints === 'string' ? endpoints.split(',') : Array.isArray(endpoints) ? endpoints : [endpoints];
  const addresses = parts.map((part) => {
    if (typeof part !== 'string') throw bad('an endpoint', "a string 'host:port'", part);
    return checkAddress(part.trim());
  });
  if (addresses.length === 0)
    throw new KvError('bad-argument', 'connect needs at least one endpoint, the client port of a gateway');
  return [...new Set(addresses)];
}

function checkAddress(address: string): string {
  const match = /^(\[[0-9a-fA-F:.]+\]|[^\s:[\]]+):(\d{1,5})$/.exec(address);
  const port = Number(match?.[2]);
  if (match === null || port < 1 || port > 65_535) {
    throw new KvError(
      'address-invalid',
      `'${address}' is not an endpoint; one looks like 127.0.0.1:7101 or [::1]:7101`,
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
  if (input instanceof Uint8Array) return input;
  throw bad(what, 'a string or a Uint8Array', input);
}

/** The protocol's condition. @throws KvError `bad-argument` */
export function conditionOf(options: PutOptions | undefined): number {
  if (options === undefined) return condition.none;
  const { ifVersion, ifAbsent } = options;
  if (ifAbsent !== undefined && typeof ifAbsent !== 'boolean') throw bad('ifAbsent', 'a boolean', ifAbsent);
  if (ifVersion === undefined) return ifAbsent === true ? condition.absent : condition.none;
  if (ifAbsent === true) throw new KvError('bad-argument', 'ifVersion and ifAbsent exclude each other');
  if (!Number.isSafeInteger(ifVersion) || ifVersion < 0) throw bad('ifVersion', 'a version, or 0 for none', ifVersion);
  return ifVersion;
}

/** @throws KvError `bad-argument` */
export function timeoutOf(options: RequestOptions | undefined, fallback: number): number {
  return options?.timeoutMs === undefined ? fallback : inRange('timeoutMs', options.timeoutMs, fallback);
}

function inRange(name: keyof typeof clientSettings, value: unknown, fallback: number): number {
  if (value === undefined) return fallback;
  const { min, max } = clientSettings[name];
  if (typeof value !== 'number' || !(value >= min && value <= max))
    throw bad(name, `a number from ${min} to ${max}`, value);
  return value;
}

function bad(what: string, wanted: string, got: unknown): KvError {
  const shown =
    typeof got === 'number' ? String(got) : got === null ? 'null' : Array.isArray(got) ? 'an array' : `a ${typeof got}`;
  return new KvError('bad-argument', `${what} must be ${wanted}, got ${shown}`);
}
