/**
 * Part of the harness in each node of the fault test (`node --import`), before the product: connections go through the
 * harness's proxies, and what goes to and comes from the coordinator's thread is held back while a file is there. It
 * changes nothing else.
 */
import { existsSync } from 'node:fs';
import { Socket } from 'node:net';
import { isMainThread, Worker } from 'node:worker_threads';

/** JSON: ports of proxies by the ports that they lead to. */
export const routesVariable = 'KV_FAULTS_ROUTES';
/** Path of the file that cuts the coordinator off while it is there. */
export const cutFileVariable = 'KV_FAULTS_CUT_FILE';
const lookEveryMs = 20;

const routes = process.env[routesVariable];
const cutFile = process.env[cutFileVariable];
if (isMainThread && routes !== undefined) leadConnections(routes);
if (isMainThread && cutFile !== undefined) holdMessages(cutFile);

function leadConnections(text: string): void {
  const table = new Map(entriesOf(JSON.parse(text)));
  const connect: unknown = Reflect.get(Socket.prototype, 'connect');
  if (typeof connect !== 'function') throw new Error('sockets have no connect');
  Reflect.set(Socket.prototype, 'connect', function connectByProxy(this: Socket, ...args: readonly unknown[]): unknown {
    // Node hands over what it was called with as one array, the options first.
    const [first] = args;
    const options: unknown = Array.isArray(first) ? first[0] : first;
    if (typeof options === 'object' && options !== null) {
      const by: unknown = table.get(String(Reflect.get(options, 'port')));
      if (typeof by === 'number') Reflect.set(options, 'port', by);
    }
    const result: unknown = Reflect.apply(connect, this, args);
    return result;
  });
}

function entriesOf(value: unknown): [string, unknown][] {
  return typeof value === 'object' && value !== null ? Object.entries(value) : [];
}

/** A node has one thread besides: its coordinator's. */
function holdMessages(file: string): void {
  const waiting: (() => unknown)[] = [];
  let isCut = false;
  for (const name of ['postMessage', 'emit']) {
    const method: unknown = Reflect.get(Worker.prototype, name);
    if (typeof method !== 'function') throw new Error(`workers have no ${name}`);
    Reflect.set(Worker.prototype, name, function heldBack(this: Worker, ...args: readonly unknown[]): unknown {
      const go = (): unknown => Reflect.apply(method, this, args);
      const isMessage = name === 'postMessage' || args[0] === 'message';
      if (!isMessage || !isCut) return go();
      waiting.push(go);
      return true;
    });
  }
  const look = setInterval(() => {
    isCut = existsSync(file);
    if (!isCut) for (const go of waiting.splice(0)) go();
  }, lookEveryMs);
  look.unref();
}
