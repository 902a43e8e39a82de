/** `client 0`: commands by hand; `client <n> <trace>`: a replay with measurements; `trace`: makes a trace. */
import * as path from 'node:path';
import { createInterface } from 'node:readline';
import { KvError } from '../base/errors.ts';
import type { Random } from '../env/random.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import type { CliIo } from './io.ts';
import { withClient, type RequestOptions } from './kv-commands.ts';
import { Progress } from './progress.ts';
import { verifyModel } from './replay.ts';
import { notDecoded, openChunks } from './text-files.ts';
import { linesOf, requestsOf, runBatch, runInteractive, type TextSink } from './testbed-client.ts';
import { formatTraceRequest, generateTrace, notText, type TraceLine, type TraceOptions } from './trace.ts';

export interface ClientCommandOptions extends RequestOptions {
  readonly inFlight: number;
  readonly verify?: boolean | undefined;
  readonly statistics?: string | undefined;
}

/** @throws KvError `bad-argument`, `config-not-found`, `trace-invalid`, `verify-failed` and the client's errors */
export async function client(
  io: CliIo,
  number: number,
  trace: string | undefined,
  options: ClientCommandOptions,
): Promise<ExitCode> {
  if (trace !== undefined) return await replay(io, number, trace, options);
  if (number !== 0)
    throw new KvError(
      'bad-argument',
      `client ${number}: a trace is missing; allowed: \`client ${number} TRACE\`, or \`client 0\` for commands by hand`,
    );
  const failures = await withClient(io, options, (kv) =>
    runInteractive(kv, interactiveLines(io), sink(io.out), { write: (text) => io.err.write(String(text)) }),
  );
  return failures === 0 ? exitCodes.ok : exitCodes.failed;
}

/** With a prompt and a history where a person types. */
function interactiveLines(io: CliIo): AsyncIterable<TraceLine> {
  if (io.input.isTTY !== true || !io.out.isTerminal) return linesOf(io.input);
  io.err.write('PUT key value, GET key, DEL key; Ctrl-D ends\n');
  const reader = createInterface({ input: io.input, output: io.terminal, prompt: '> ', historySize: 1_000 });
  return promptedLines(reader);
}

async function* promptedLines(reader: ReturnType<typeof createInterface>): AsyncGenerator<TraceLine, void, undefined> {
  reader.on('SIGINT', () => reader.close());
  reader.prompt();
  for await (const line of reader) {
    yield line.includes(notDecoded) ? notText : line;
    // Asked for the next line: the last one's answer is printed.
    reader.prompt();
  }
}

/** Ends the command when the output takes nothing more: what follows could not be seen. */
function sink(output: CliIo['out']): TextSink {
  return { write: (chunk) => output.flush(chunk) };
}

async function replay(io: CliIo, number: number, trace: string, options: ClientCommandOptions): Promise<ExitCode> {
  const { clock, files } = io.environment;
  const aborter = new AbortController();
  const stop = io.onSignal(() => aborter.abort());
  const progress = new Progress(io.err, clock, 'requests');
  const { chunks, size, position } = await openChunks(files, path.resolve(io.folder, trace));
  try {
    return await withClient(io, options, async (kv) => {
      const summary = await runBatch(kv, requestsOf(linesOf(chunks)), clearing(io, progress), io.environment, {
        number,
        trace,
        folder: path.resolve(io.folder, options.statistics ?? '.'),
        inFlight: options.inFlight,
        signal: aborter.signal,
        onProgress: (done) => progress.update(done, size === 0 ? 1 : position() / size),
      });
      if (options.verify === true)
        io.out.write(`${await verifyModel(kv, summary.model)} keys read back, each as the trace left it\n`);
      return exitCodes.ok;
    });
  } finally {
    progress.finish();
    stop();
  }
}

/** The summary comes in place of the bar. */
function clearing(io: CliIo, progress: Progress): TextSink {
  return {
    write: (chunk) => {
      progress.finish();
      return sink(io.out).write(chunk);
    },
  };
}

export interface TraceCommandOptions extends TraceOptions {
  readonly seed?: number | undefined;
}

/** Writes a trace to standard output, as fast as its reader takes it. */
export async function trace(io: CliIo, options: TraceCommandOptions): Promise<ExitCode> {
  const random = options.seed === undefined ? io.environment.random : seeded(options.seed);
  let text = '';
  for (const request of generateTrace(random, options)) {
    text += `${formatTraceRequest(request)}\n`;
    if (text.length < 1024 * 1024) continue;
    await io.out.flush(text);
    text = '';
  }
  await io.out.flush(text);
  return exitCodes.ok;
}

/** SplitMix32: the same seed makes the same trace on every machine. */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  const uint32 = (): number => {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return (mixed ^ (mixed >>> 15)) >>> 0;
  };
  return { uint32, bytes: (count) => Uint8Array.from({ length: count }, () => uint32() & 0xff) };
}
