/**
 * The testbed's client: `client <n> <trace>` replays a trace and appends its measurements to statistics files; `client
 * 0` takes commands from its input. The caller brings the client, the streams and the files.
 */
import { isUtf8 } from 'node:buffer';
import { KvError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { Client } from '../client/index.ts';
import type { Clock } from '../env/clock.ts';
import type { Files } from '../env/files.ts';
import type { LatencySummary } from './latencies.ts';
import type { ReplayOptions, ReplaySummary } from './replay.ts';
import { replayTrace } from './replay.ts';
import type { TraceLine, TraceRequest } from './trace.ts';
import { notText, parseTraceLine } from './trace.ts';

/** Where text goes: a process's stdout or stderr, or a test's array. */
export interface TextSink {
  /** Waited for when it is a promise. */
  write(chunk: string | Uint8Array): unknown;
}

/** Longest line of a trace or an input: a value of the largest size, a key and a command. */
const lineBytesMax = limits.valueBytesMax + 4 * limits.keyBytesMax;

export const statisticsFiles = { put: 'statistics-put.txt', get: 'statistics-get.txt' } as const;
const statisticsHeader = 'time\tclient\ttrace\trequests\taverage-ms\tper-second\tp99-ms\n';

/**
 * Lines of a stream of bytes, without their ends; `notText` for each that is no UTF-8.
 * @throws KvError `bad-argument` when one is longer than any request can be
 */
export async function* linesOf(input: AsyncIterable<Uint8Array | string>): AsyncGenerator<TraceLine, void, undefined> {
  let parts: Buffer[] = [];
  let length = 0;
  for await (const chunk of input) {
    const bytes =
      typeof chunk === 'string' ? Buffer.from(chunk) : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    let start = 0;
    for (let end = bytes.indexOf(10); end !== -1; end = bytes.indexOf(10, start)) {
      parts.push(bytes.subarray(start, end));
      yield textOf(Buffer.concat(parts));
      parts = [];
      length = 0;
      start = end + 1;
    }
    if (start === bytes.length) continue;
    // A copy: a stream may use its chunk's memory again.
    parts.push(Buffer.from(bytes.subarray(start)));
    length += bytes.length - start;
    if (length > lineBytesMax) throw new KvError('bad-argument', `a line is longer than ${lineBytesMax} bytes`);
  }
  if (length > 0) yield textOf(Buffer.concat(parts));
}

function textOf(line: Buffer): TraceLine {
  return isUtf8(line) ? line.toString('utf8') : notText;
}

/** Requests of a trace that is read as it is replayed. @throws KvError `trace-invalid` */
export async function* requestsOf(lines: AsyncIterable<TraceLine>): AsyncGenerator<TraceRequest, void, undefined> {
  let lineNumber = 0;
  for await (const line of lines) {
    const request = parseTraceLine(line, ++lineNumber);
    if (request !== undefined) yield request;
  }
}

export interface BatchOptions extends ReplayOptions {
  /** `<n>` of the command line: whose measurements these are. */
  readonly number: number;
  /** For the statistics: the trace's name. */
  readonly trace: string;
  /** Folder of the statistics files; '' for the current one. */
  readonly folder: string;
}

/**
 * `client <n> <trace>`: replays, prints a summary and appends one line to each of `statistics-put.txt` and
 * `statistics-get.txt`: tab-separated time (ISO 8601), client number, trace, requests, average latency in ms, requests
 * per second, 99th percentile in ms; under a header line. Latency is from the call to the settled promise; the rate
 * counts the time in which a request of the kind was under way.
 */
export async function runBatch(
  client: Client,
  requests: AsyncIterable<TraceRequest>,
  output: TextSink,
  environment: { readonly clock: Clock; readonly files: Files },
  options: BatchOptions,
): Promise<ReplaySummary> {
  const { clock, files } = environment;
  const summary = await replayTrace(client, requests, clock, options);
  await output.write(summaryText(summary));
  const time = new Date(clock.wall()).toISOString();
  const prefix = options.folder === '' ? '' : `${options.folder}/`;
  for (const [kind, latencies] of [
    ['put', summary.puts],
    ['get', summary.gets],
  ] as const) {
    const figures = [
      latencies.count,
      latencies.averageMs.toFixed(3),
      latencies.perSecond.toFixed(1),
      latencies.p99Ms.toFixed(3),
    ];
    await appendLine(
      files,
      `${prefix}${statisticsFiles[kind]}`,
      [time, options.number, options.trace, ...figures].join('\t'),
    );
  }
  return summary;
}

export function summaryText(summary: ReplaySummary): string {
  const rows = [
    ['put', summary.puts],
    ['get', summary.gets],
    ['del', summary.deletes],
  ] as const;
  const line = ([name, { count, averageMs, perSecond, p99Ms }]: readonly [string, LatencySummary]): string =>
    `${name}: ${count} requests, average latency ${averageMs.toFixed(3)} ms, throughput ${perSecond.toFixed(1)} requests/s, P99 ${p99Ms.toFixed(3)} ms\n`;
  const checked = summary.gets.count - summary.unchecked;
  const seconds = (summary.elapsedMs / 1_000).toFixed(2);
  return `${rows
    .filter(([, { count }]) => count > 0)
    .map(line)
    .join('')}${summary.requests} requests in ${seconds} s; ${checked} gets verified\n`;
}

async function appendLine(files: Files, path: string, line: string): Promise<void> {
  const file = await files.open(path, { create: true });
  try {
    const size = file.size();
    file.write(size, Buffer.from(`${size === 0 ? statisticsHeader : ''}${line}\n`));
    await file.sync();
  } finally {
    await file.close();
  }
}

/**
 * `client 0`: PUT, GET and DEL in any case, one a line, one after another until the input ends. GET writes the value
 * alone and a line end; PUT and DEL write nothing. What goes wrong, also a key that is not there, is a line on
 * `errors`. Returns how many commands failed.
 */
export async function runInteractive(
  client: Client,
  lines: AsyncIterable<TraceLine>,
  output: TextSink,
  errors: TextSink,
): Promise<number> {
  let failures = 0;
  let lineNumber = 0;
  for await (const line of lines) {
    lineNumber++;
    try {
      const request = parseTraceLine(line, lineNumber);
      if (request !== undefined) await perform(client, request, output);
    } catch (error) {
      if (!(error instanceof KvError) && !(error instanceof NotFound)) throw error;
      failures++;
      errors.write(`${error instanceof KvError ? `${error.code}: ` : ''}${error.message}${outcomeText(error)}\n`);
    }
  }
  return failures;
}

const lineEnd = Buffer.from('\n');

class NotFound extends Error {
  override readonly name = 'NotFound';
}

async function perform(client: Client, request: TraceRequest, output: TextSink): Promise<void> {
  switch (request.kind) {
    case 'put':
      await client.put(request.key, request.value);
      return;
    case 'del':
      if (!(await client.delete(request.key)).existed) throw new NotFound(`there is no key '${request.key}'`);
      return;
    case 'get': {
      const entry = await client.get(request.key);
      if (entry === undefined) throw new NotFound(`there is no key '${request.key}'`);
      await output.write(Buffer.concat([entry.value, lineEnd]));
    }
  }
}

function outcomeText(error: Error): string {
  return error instanceof KvError && error.outcome === 'unknown' ? ' (it may have been applied)' : '';
}
