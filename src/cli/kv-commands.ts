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

/** Options of the commands that take a key. */
interface KeyOptions extends RequestOptions {
  /** The key is given in hexadecimal. */
  readonly hex?: boolean | undefined;
}

/** The key, and how `--json` shows it. @throws KvError `bad-argument` */
function keyOf(text: string, { hex }: KeyOptions): { readonly key: string | Uint8Array; readonly shown: object } {
  if (hex !== true) return { key: text, shown: { key: text } };
  if (!/^([0-9a-fA-F]{2})*$/.test(text))
    throw new KvError(
      'bad-argument',
      `--hex: found '${text}'; allowed: two hexadecimal digits for each byte of the key`,
    );
  const key = Buffer.from(text, 'hex');
  return { key, shown: { keyHex: key.toString('hex') } };
}

export interface GetOptions extends KeyOptions {
  readonly stale?: boolean | undefined;
  readonly raw?: boolean | undefined;
}

export async function get(io: CliIo, text: string, options: GetOptions): Promise<ExitCode> {
  const { key, shown } = keyOf(text, options);
  return await withClient(io, options, async (client) => {
    const entry = await client.get(key, { consistency: options.stale === true ? 'stale' : 'linearizable' });
    if (entry === undefined) {
      if (options.json === true) io.out.write(`${JSON.stringify({ ...shown, found: false })}\n`);
      else io.err.write(`kv-filelog: there is no key '${text}'\n`);
      return exitCodes.absent;
    }
    if (options.json === true)
      io.out.write(`${JSON.stringify({ ...shown, found: true, version: entry.version, ...jsonValue(entry.value) })}\n`);
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

export interface PutOptions extends KeyOptions {
  readonly ifVersion?: number | undefined;
  readonly ifAbsent?: boolean | undefined;
}

/** `value` undefined or `-`: standard input, to its end. */
export async function put(io: CliIo, text: string, value: string | undefined, options: PutOptions): Promise<ExitCode> {
  const { key, shown } = keyOf(text, options);
  const bytes = value === undefined || value === '-' ? await readInput(io) : Buffer.from(value, 'utf8');
  return await withClient(io, options, async (client) => {
    const condition = {
      ...(options.ifVersion === undefined ? {} : { ifVersion: options.ifVersion }),
      ...(options.ifAbsent === true ? { ifAbsent: true } : {}),
    };
    const { version } = await client.put(key, bytes, condition);
    io.out.write(
      options.json === true ? `${JSON.stringify({ ...shown, version })}\n` : `stored as version ${version}\n`,
    );
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

export interface DeleteOptions extends KeyOptions {
  readonly ifVersion?: number | undefined;
}

export async function del(io: CliIo, text: string, options: DeleteOptions): Promise<ExitCode> {
  const { key, shown } = keyOf(text, options);
  return await withClient(io, options, async (client) => {
    const { existed, version } = await client.delete(
      key,
      options.ifVersion === undefined ? {} : { ifVersion: options.ifVersion },
    );
    if (options.json === true) io.out.write(`${JSON.stringify({ ...shown, existed, version })}\n`);
    else if (existed) io.out.write(`deleted as version ${version}\n`);
    else io.err.write(`kv-filelog: there is no key '${text}'\n`);
    return existed ? exitCodes.ok : exitCodes.absent;
  });
}
