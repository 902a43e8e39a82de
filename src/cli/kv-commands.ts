/** `get`, `put` and `del`: one request of the SDK each. */
import type { Client } from '../client/client.ts';
import { connect } from '../client/connect.ts';
import { KvError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import { findCluster, type ClusterOptions } from './find-cluster.ts';
import type { CliIo } from './io.ts';

export interface RequestOptions extends ClusterOptions {
  readonly timeout: number;
  readonly json?: boolean | undefined;
}

/** Connects, works, and closes whatever happens. */
export async function withClient<T>(
  io: CliIo,
  options: RequestOptions,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  const { endpoints } = await findCluster(io, options);
  await using client = await connect([...endpoints], { timeoutMs: options.timeout });
  return await work(client);
}

export interface GetOptions extends RequestOptions {
  readonly stale?: boolean | undefined;
  readonly raw?: boolean | undefined;
}

export async function get(io: CliIo, key: string, options: GetOptions): Promise<ExitCode> {
  return await withClient(io, options, async (client) => {
    const entry = await client.get(key, { consistency: options.stale === true ? 'stale' : 'linearizable' });
    if (entry === undefined) {
      if (options.json === true) io.out.write(`${JSON.stringify({ key, found: false })}\n`);
      else io.err.write(`kv-filelog: there is no key '${key}'\n`);
      return exitCodes.absent;
    }
    if (options.json === true)
      io.out.write(`${JSON.stringify({ key, found: true, version: entry.version, ...jsonValue(entry.value) })}\n`);
    else io.out.writeBytes(options.raw === true ? entry.value : Buffer.concat([entry.value, Buffer.from('\n')]));
    return exitCodes.ok;
  });
}

/** Text where the bytes are UTF-8, else base64: both without loss. */
function jsonValue(value: Uint8Array): { readonly value: string } | { readonly base64: string } {
  try {
    return { value: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(value) };
  } catch {
    return { base64: Buffer.from(value).toString('base64') };
  }
}

export interface PutOptions extends RequestOptions {
  readonly ifVersion?: number | undefined;
  readonly ifAbsent?: boolean | undefined;
}

/** `value` undefined or `-`: standard input, to its end. */
export async function put(io: CliIo, key: string, value: string | undefined, options: PutOptions): Promise<ExitCode> {
  const bytes = value === undefined || value === '-' ? await readInput(io) : Buffer.from(value, 'utf8');
  return await withClient(io, options, async (client) => {
    const condition = {
      ...(options.ifVersion === undefined ? {} : { ifVersion: options.ifVersion }),
      ...(options.ifAbsent === true ? { ifAbsent: true } : {}),
    };
    const { version } = await client.put(key, bytes, condition);
    io.out.write(options.json === true ? `${JSON.stringify({ key, version })}\n` : `stored as version ${version}\n`);
    return exitCodes.ok;
  });
}

async function readInput(io: CliIo): Promise<Uint8Array> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of io.input) {
    const bytes = Buffer.from(part);
    size += bytes.length;
    if (size > limits.valueBytesMax)
      throw new KvError(
        'value-too-large',
        `standard input: found more than ${limits.valueBytesMax} bytes; allowed: a value of at most that`,
      );
    parts.push(bytes);
  }
  return Buffer.concat(parts);
}

export interface DeleteOptions extends RequestOptions {
  readonly ifVersion?: number | undefined;
}

export async function del(io: CliIo, key: string, options: DeleteOptions): Promise<ExitCode> {
  return await withClient(io, options, async (client) => {
    const { existed, version } = await client.delete(
      key,
      options.ifVersion === undefined ? {} : { ifVersion: options.ifVersion },
    );
    if (options.json === true) io.out.write(`${JSON.stringify({ key, existed, version })}\n`);
    else if (existed) io.out.write(`deleted as version ${version}\n`);
    else io.err.write(`kv-filelog: there is no key '${key}'\n`);
    return existed ? exitCodes.ok : exitCodes.absent;
  });
}
