/**
 * What the transport can carry: `node --import tsx bench/rpc.ts` (or the built dist/bench/rpc.js). Both ends run in
 * this process, so the rates of round trips are those of a client and a server together. Beside each rate stands the
 * processor time of the whole process per operation, which says more than the rate on a machine that is busy otherwise.
 */
import { MessageReader } from '../src/codec/message-reader.ts';
import { MessageScanner } from '../src/codec/message-scanner.ts';
import { MessageWriter } from '../src/codec/message-writer.ts';
import { RealClock } from '../src/env/real/clock.ts';
import { RealNetwork } from '../src/env/real/network.ts';
import { SimulatedClock } from '../src/env/simulated/clock.ts';
import { openChannel } from '../src/rpc/channel.ts';
import type { RpcChannel, RpcHandler } from '../src/rpc/channel-types.ts';
import { clientOptions, serverOptions } from '../src/rpc/options.ts';

const messageCount = 2_000_000;
const requestCount = 400_000;
const eventCount = 500_000;

function report(what: string, count: number, startMs: number, startCpu: NodeJS.CpuUsage): void {
  const seconds = (performance.now() - startMs) / 1000;
  const cpu = process.cpuUsage(startCpu);
  const perOperation = (cpu.user + cpu.system) / count;
  console.log(
    `${what.padEnd(64)} ${Math.round(count / seconds)
      .toLocaleString('en')
      .padStart(12)} /s  ${perOperation.toFixed(2).padStart(6)} us of processor each`,
  );
}

/** Requests of the hot path, without their values, in pieces as they come from a socket. */
function parse(): void {
  const out = new MessageWriter();
  const piece = 1000;
  for (let id = 0; id < piece; id++) {
    out.value([0, id, 'put', [Buffer.from('key-00000001'), Buffer.alloc(100), -1, 0, 17, id, id]]);
  }
  const bytes = Buffer.concat(out.take());
  const scanner = new MessageScanner({ frameBytesMax: 1 << 20, frameItemsMax: 1000 });
  const start = performance.now();
  const cpu = process.cpuUsage();
  let sum = 0;
  for (let round = 0; round < messageCount / piece; round++) {
    scanner.push(bytes);
    while (scanner.next()) sum += readPut(new MessageReader(scanner.bytes, scanner.start, scanner.end));
  }
  report(`scan and read a put of 100 bytes (checked sum ${sum % 1000})`, messageCount, start, cpu);
}

function readPut(message: MessageReader): number {
  message.array();
  message.integer();
  const id = message.integer();
  message.range();
  message.array();
  message.range();
  message.range();
  return id + message.integer() + message.integer() + message.integer() + message.integer() + message.integer();
}

function write(): void {
  const out = new MessageWriter();
  const key = Buffer.from('key-00000001');
  const value = Buffer.alloc(100);
  const start = performance.now();
  const cpu = process.cpuUsage();
  for (let id = 0; id < messageCount; id++) {
    out.array(4);
    out.integer(0);
    out.integer(id);
    out.text('put');
    out.array(7);
    out.binary(key);
    out.binary(value);
    for (let member = 0; member < 5; member++) out.integer(member);
    if (out.length > 64 * 1024) out.take();
  }
  report('write a put of 100 bytes', messageCount, start, cpu);
}

const quiet: RpcHandler = {
  onRequest: () => undefined,
  onNotice: () => undefined,
  onOpen: () => undefined,
  onClose: () => undefined,
  onDrain: () => undefined,
};

/** Puts over TCP on the loopback, `inFlight` at a time. */
async function roundTrips(inFlight: number, valueBytes: number, total: number): Promise<void> {
  const clock = new RealClock();
  const network = new RealNetwork();
  const listener = await network.listen('127.0.0.1:0', (connection) => {
    openChannel(connection, clock, serverOptions(), { ...quiet, onRequest: answer });
  });
  const channel = await opened(network, clock, listener.address);
  const start = performance.now();
  const cpu = process.cpuUsage();
  await pump(channel, inFlight, Buffer.alloc(valueBytes, 7), total);
  report(`put of ${valueBytes} bytes over TCP, ${inFlight} in flight`, total, start, cpu);
  channel.close('done');
  await listener.close();
}

function answer(channel: RpcChannel, id: number, _method: string, params: MessageReader): void {
  params.array();
  params.range();
  params.range();
  channel.beginAnswer(id).integer(params.rangeLength);
  channel.endAnswer();
}

function opened(network: RealNetwork, clock: RealClock, address: string): Promise<RpcChannel> {
  return new Promise((resolve) => {
    openChannel(network.connect(address), clock, clientOptions(), { ...quiet, onOpen: resolve });
  });
}

function pump(channel: RpcChannel, inFlight: number, value: Buffer, total: number): Promise<void> {
  const key = Buffer.from('key-00000001');
  return new Promise((resolve, reject) => {
    let sent = 0;
    let answered = 0;
    const next = (): void => {
      sent++;
      channel.request(
        'put',
        (out) => {
          out.array(2);
          out.binary(key);
          out.binary(value);
        },
        (failure, result) => {
          if (failure !== undefined || result?.integer() !== value.length) return reject(new Error('a request failed'));
          if (++answered === total) resolve();
          else if (sent < total) next();
        },
      );
    };
    for (let index = 0; index < inFlight; index++) next();
  });
}

async function simulate(): Promise<void> {
  const clock = new SimulatedClock();
  let run = 0;
  const tick = (): void => {
    run++;
    clock.endOfTurn(() => undefined);
    clock.after(1 + (run % 7), tick);
  };
  for (let index = 0; index < 100; index++) tick();
  const start = performance.now();
  const cpu = process.cpuUsage();
  await clock.runUntil(() => run >= eventCount);
  report('event of the simulated clock, microtasks drained twice', eventCount, start, cpu);
}

parse();
write();
await roundTrips(1, 1024, requestCount / 10);
await roundTrips(64, 1024, requestCount);
await roundTrips(64, 100, requestCount);
await roundTrips(16, 64 * 1024, requestCount / 20);
await simulate();
