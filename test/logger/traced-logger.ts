/** Runs the harness, under strace or not, and reads strace's report. */
import type { ChildProcess } from 'node:child_process';
import { execFileSync, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Uuid } from '../../src/base/ids.ts';

export interface HarnessAddresses {
  readonly uuid: Uuid;
  readonly readAddress: string;
  readonly writeAddress: string;
}

export interface Harness {
  readonly addresses: HarnessAddresses;
  /** Closes its input and waits for its end. */
  stop(): Promise<void>;
}

/**
 * Why strace cannot be used here; undefined when it can. Installs it when it is missing and this is root on a system
 * with apt.
 */
export function straceMissing(): string | undefined {
  if (runs('strace', ['-V'])) return undefined;
  if (process.getuid?.() !== 0) return 'strace is not installed and this is not root, who could install it';
  if (!runs('apt-get', ['install', '-y', 'strace'])) return 'strace is not installed and apt-get could not install it';
  return runs('strace', ['-V']) ? undefined : 'strace was installed but does not run';
}

function runs(command: string, args: readonly string[]): boolean {
  try {
    execFileSync(command, args, { stdio: 'ignore', timeout: 120_000 });
    return true;
  } catch {
    return false;
  }
}

export interface TraceOptions {
  /** Where strace writes. */
  readonly output: string;
  readonly inject?: string;
}

/** One pool thread, so that all syncs are one thread's: strace counts injections by thread. */
export async function startHarness(folder: string, mode: 'honest' | 'cheat', trace?: TraceOptions): Promise<Harness> {
  const fromSource = import.meta.url.endsWith('.ts');
  const main = fileURLToPath(new URL(`harness-main.${fromSource ? 'ts' : 'js'}`, import.meta.url));
  const node = [process.execPath, ...(fromSource ? ['--import', 'tsx'] : []), main, folder, mode];
  const command = trace === undefined ? node : ['strace', ...straceArguments(trace), ...node];
  const child = spawn(command[0] ?? '', command.slice(1), {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, UV_THREADPOOL_SIZE: '1' },
  });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const line = await firstLine(child, ended);
  return {
    addresses: JSON.parse(line) as HarnessAddresses,
    stop: async () => {
      child.stdin?.end();
      await ended;
    },
  };
}

function straceArguments(trace: TraceOptions): string[] {
  const calls = 'trace=pwrite64,pwritev,pwritev2,fdatasync,fsync,write,writev,sendto,sendmsg';
  const inject = trace.inject === undefined ? [] : ['-e', `inject=${trace.inject}`];
  return ['-f', '--seccomp-bpf', '-yy', '-xx', '-s', '8192', '-o', trace.output, '-e', calls, ...inject];
}

async function firstLine(child: ChildProcess, ended: Promise<void>): Promise<string> {
  let text = '';
  const line = new Promise<string>((resolve) => {
    child.stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      const end = text.indexOf('\n');
      if (end >= 0) resolve(text.slice(0, end));
    });
  });
  return Promise.race([
    line,
    ended.then(() => Promise.reject(new Error(`the harness ended before it was ready: ${text}`))),
  ]);
}

/** A system call that has returned, or at which point in the report it began. */
export type TraceEvent =
  | { readonly kind: 'device-write'; readonly bytes: Buffer }
  | { readonly kind: 'sync-begins'; readonly thread: string }
  | { readonly kind: 'sync-returns'; readonly thread: string; readonly ok: boolean }
  /** Bytes handed to the connection whose own end is `port`. */
  | { readonly kind: 'sent'; readonly port: string; readonly bytes: Buffer };

/** What happened to the device and the sockets, in the order strace saw it. */
export function parseTrace(report: string): TraceEvent[] {
  const unfinished = new Map<string, string>();
  const events: TraceEvent[] = [];
  for (const line of report.split('\n')) {
    const match = /^(\d+) +(.*)$/.exec(line);
    const [, thread, quoted] = match ?? [];
    if (thread === undefined || quoted === undefined) continue;
    const rest = quoted.replace(
      /<((?:\\x[0-9a-f]{2})+)>/,
      (_, hex: string) => `<${Buffer.from(hex.replaceAll('\\x', ''), 'hex').toString()}>`,
    );
    if (/^f(data)?sync\(\d+<[^>]*\/device(\.new)?>/.test(rest)) events.push({ kind: 'sync-begins', thread });
    if (rest.endsWith('<unfinished ...>')) {
      unfinished.set(thread, rest.slice(0, -'<unfinished ...>'.length).trimEnd());
      continue;
    }
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(rest);
    const call = resumed === null ? rest : `${unfinished.get(thread) ?? ''}${resumed[1] ?? ''}`;
    const event = eventOf(thread, call);
    if (event !== undefined) events.push(event);
  }
  return events;
}

function eventOf(thread: string, call: string): TraceEvent | undefined {
  const match = /^(\w+)\(\d+<(.*?)>(, |\))(.*)= (-?\d+)( .*)?$/.exec(call);
  const [, name = '', target = '', , args = '', result = ''] = match ?? [];
  const isDevice = /\/device(\.new)?$/.test(target);
  if (/^f(data)?sync$/.test(name)) return isDevice ? { kind: 'sync-returns', thread, ok: result === '0' } : undefined;
  const bytes = Buffer.from(
    Array.from(args.matchAll(/"((?:\\x[0-9a-f]{2})*)"/g), (piece) => (piece[1] ?? '').replaceAll('\\x', '')).join(''),
    'hex',
  );
  if (isDevice && name.startsWith('pwrite')) return { kind: 'device-write', bytes };
  const socket = /TCP(?:v6)?:\[.*?:(\d+)->/.exec(call);
  if (socket === null || isDevice || Number(result) <= 0) return undefined;
  return { kind: 'sent', port: socket[1] ?? '', bytes: bytes.subarray(0, Number(result)) };
}
