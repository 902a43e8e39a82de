/**
 * `npm run bench:bare`: the floor. The product's shape and nothing else, to know what Node, TCP and the disk of this
 * machine give at this moment: a client with so many requests in flight, three gateways, three loggers, each a process.
 * A put goes to the gateway of its key, which gathers the puts of a turn into one batch (one in flight), sends it to
 * all loggers, and answers when all have it on stable storage. A get is answered from memory when all loggers have
 * confirmed that they are there, one small frame for all gets of a turn.
 *
 * Left out, so that a product can only come near: failures of any kind (an error ends it), epochs, fences and zones,
 * checksums, conditions, versions beside the batch's position, once-only, standbys, snapshots, recovery, limits and
 * overload, more than one client of a gateway or a routing that changes, caches that evict, promises, copies of values
 * for the caller (the client checks their length and first bytes where they lie), and an index beyond a Map. The log is
 * used round and round in a file full of zeros, a value replaces the former one in its memory.
 *
 * On a busy machine the processor time of all seven processes per operation says more than the rate. It moves too, up
 * to a factor of two, with cold caches and the size of batches: compare with the product in turns, several times. The
 * kernel's own threads for the disk are not in it.
 *   npm run bench:bare -- [--seconds 3] [--value-bytes 1024] [--in-flight 1,16,64,256]
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { byKind, cpuSeconds, cpuSince } from '../lib/cpu.ts';
import { BareClient, type Operation } from './client.ts';

const processesOfAKind = 3;
/** A shard's part of a logger's file. */
const regionBytes = 32 * 1024 * 1024;
const keyCount = 10_000;
const warmUpMs = 5_000;
const settleMs = 500;

const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string', default: '3' },
    'value-bytes': { type: 'string', default: '1024' },
    'in-flight': { type: 'string', default: '1,16,64,256' },
  },
});

function numbers(text: string): number[] {
  const parsed = text.split(',').map(Number);
  return parsed.every((number) => Number.isInteger(number) && number > 0)
    ? parsed
    : fail(`'${text}': not a whole number above 0`);
}

const [seconds = 0] = numbers(options.seconds);
const [valueBytes = 0] = numbers(options['value-bytes']);
const inFlights = numbers(options['in-flight']);
const processes = new Map<string, ChildProcess>();

/** Resolves to its port. */
async function start(kind: string, index: number, ...processArguments: string[]): Promise<string> {
  const child = fork(fileURLToPath(new URL(`./${kind}.js`, import.meta.url)), processArguments);
  processes.set(`${kind} ${index}`, child);
  child.once('exit', (code) => {
    if (child.connected || code !== 0) fail(`${kind} ${index} ended`);
  });
  const messages: unknown[] = await once(child, 'message');
  const [address] = messages;
  if (typeof address !== 'object' || address === null || !('port' in address))
    throw new Error(`${kind} ${index} has no port`);
  return String(address.port);
}

function fail(message: string): never {
  console.error(message);
  process.exit(1);
}

function startAll(kind: string, argumentsOf: (index: number) => string[]): Promise<string[]> {
  return Promise.all(Array.from({ length: processesOfAKind }, (_, index) => start(kind, index, ...argumentsOf(index))));
}

async function measure(client: BareClient, operation: Operation, inFlight: number): Promise<void> {
  const pids = new Map([...processes].map(([name, { pid = 0 }]) => [name, pid])).set('client', process.pid);
  await client.run(operation, inFlight, settleMs);
  const before = cpuSeconds(pids);
  const { count, seconds: elapsed, p50Ms, p99Ms } = await client.run(operation, inFlight, seconds * 1000);
  const cpu = byKind(cpuSince(before, cpuSeconds(pids)));
  const perOperation = Object.entries(cpu).map(([kind, used]) => [kind, (used * 1e6) / count] as const);
  const all = perOperation.reduce((sum, [, micros]) => sum + micros, 0);
  const columns = [(count / elapsed).toFixed(0), p50Ms.toFixed(2), p99Ms.toFixed(2), all.toFixed(1)];
  const kinds = perOperation.map(([kind, micros]) => `${kind} ${micros.toFixed(1)}`).join(', ');
  console.log(
    `${operation.padEnd(9)} ${String(inFlight).padStart(9)} ${columns.map((column) => column.padStart(9)).join(' ')}  ${kinds}`,
  );
}

const dir = mkdtempSync(join(tmpdir(), 'kv-filelog-bare-'));
process.once('exit', () => rmSync(dir, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

const loggerPorts = await startAll('logger', (index) => [
  String(regionBytes),
  String(processesOfAKind),
  join(dir, `logger-${index}`),
]);
const gatewayPorts = await startAll('gateway', () => [String(regionBytes), ...loggerPorts]);
const client = await BareClient.connect(gatewayPorts.map(Number), keyCount, valueBytes);
for (const operation of ['put', 'get'] as const) await client.run(operation, 64, warmUpMs);
console.log('operation in flight     ops/s    p50 ms    p99 ms CPU us/op  of these');
for (const operation of ['put', 'get'] as const) {
  for (const inFlight of inFlights) await measure(client, operation, inFlight);
}
// They end when this channel does, and this process when their connections have.
for (const child of processes.values()) child.disconnect();
