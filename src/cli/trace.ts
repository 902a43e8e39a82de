/**
 * Traces: text files of requests, one a line, as the testbed's generator makes them.
 *
 *   PUT <key> <value>
 *   GET <key>
 *   DEL <key>
 *
 * Commands in any case; fields are separated by spaces or tabs; a value is the rest of the line after the separator.
 * Empty lines are skipped. Keys are taken as text; what is no UTF-8 is a mistake.
 */
import { KvError } from '../base/errors.ts';
import type { Random } from '../env/random.ts';
import { below } from '../env/random.ts';

export type TraceRequest =
  | { readonly kind: 'put'; readonly key: string; readonly value: string }
  | { readonly kind: 'get'; readonly key: string }
  | { readonly kind: 'del'; readonly key: string };

/** A line whose bytes are no UTF-8: as text, different keys would become one. */
export const notText = Symbol('no UTF-8');

export type TraceLine = string | typeof notText;

/**
 * One line; undefined for an empty one. `lineNumber` starts at 1 and is for the error.
 * @throws KvError `trace-invalid`
 */
export function parseTraceLine(line: TraceLine, lineNumber: number): TraceRequest | undefined {
  if (line === notText) throw new KvError('trace-invalid', `line ${lineNumber}: found bytes that are no UTF-8`);
  const text = line.endsWith('\r') ? line.slice(0, -1) : line;
  if (text.trim() === '') return undefined;
  const match = /^[ \t]*(\S+)(?:[ \t]+(\S+)(?:[ \t](.*))?)?$/s.exec(text);
  const [command, key, value] = [match?.[1]?.toUpperCase(), match?.[2], match?.[3]];
  if (key === undefined) throw invalid(lineNumber, text);
  switch (command) {
    case 'PUT':
      if (value === undefined) throw invalid(lineNumber, text);
      return { kind: 'put', key, value };
    case 'GET':
    case 'DEL':
      if (value !== undefined && value.trim() !== '') throw invalid(lineNumber, text);
      return { kind: command === 'GET' ? 'get' : 'del', key };
    default:
      throw invalid(lineNumber, text);
  }
}

/** A whole trace. @throws KvError `trace-invalid` with the number of the first bad line */
export function parseTrace(text: string): TraceRequest[] {
  return text.split('\n').flatMap((line, index) => parseTraceLine(line, index + 1) ?? []);
}

export function formatTraceRequest(request: TraceRequest): string {
  switch (request.kind) {
    case 'put':
      return `PUT ${request.key} ${request.value}`;
    case 'get':
      return `GET ${request.key}`;
    case 'del':
      return `DEL ${request.key}`;
  }
}

function invalid(lineNumber: number, text: string): KvError {
  const shown = text.length > 60 ? `${text.slice(0, 60)}...` : text;
  return new KvError(
    'trace-invalid',
    `line ${lineNumber}: expected 'PUT key value', 'GET key' or 'DEL key', found '${shown}'`,
  );
}

export interface TraceOptions {
  readonly requests: number;
  /** Keys are integers in [0, keysMax). Default 32,768, as the testbed's. */
  readonly keysMax?: number;
  /** Values have 1..valueLengthMax letters and digits. Default 4,095. */
  readonly valueLengthMax?: number;
  /** Share of puts, 0..1; default 0.5. */
  readonly putShare?: number;
  /**
   * Share of deletes, 0..1; default 0: the testbed's generator makes none. The rest are gets of keys that were put
   * before.
   */
  readonly deleteShare?: number;
}

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

/** A trace of the testbed's kind; the same random numbers make the same trace. The first request is a put. */
export function* generateTrace(random: Random, options: TraceOptions): Generator<TraceRequest, void, undefined> {
  const { requests, keysMax = 32_768, valueLengthMax = 4_095, putShare = 0.5, deleteShare = 0 } = options;
  const known: string[] = [];
  const isKnown = new Set<string>();
  for (let index = 0; index < requests; index++) {
    const choice = random.uint32() / 2 ** 32;
    const old = known[below(random, Math.max(known.length, 1))];
    if (old === undefined || choice < putShare) {
      const key = String(below(random, keysMax));
      if (!isKnown.has(key)) {
        isKnown.add(key);
        known.push(key);
      }
      yield { kind: 'put', key, value: randomValue(random, 1 + below(random, valueLengthMax)) };
    } else {
      yield { kind: choice < putShare + deleteShare ? 'del' : 'get', key: old };
    }
  }
}

/** Letters and digits. */
export function randomValue(random: Random, length: number): string {
  const bytes = Buffer.from(random.bytes(length));
  for (let index = 0; index < length; index++)
    bytes[index] = alphabet.charCodeAt((bytes[index] ?? 0) % alphabet.length);
  return bytes.toString('latin1');
}
