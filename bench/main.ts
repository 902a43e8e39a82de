/** `npm run bench`: the canonical workload, as a table and two numbers. `--help` says how to change it. */
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import type { Cell, Operation } from './cluster.ts';
import { runBench } from './cluster.ts';

const usage = `puts and confirmed gets through the SDK, three gateways and three loggers as processes on this machine
  --quick              1 KiB only, one second a cell
  --sizes LIST         value sizes in bytes (100,1024,4096)
  --in-flight LIST     requests in flight (1,16,64,256)
  --operations LIST    put, get, get-uncached (all)
  --seconds N          measured time of a cell (5)
  --keys N             number of keys (10000)
  --connections N      connections to each gateway (1)
  --clients N          clients in this process (1)
  --endpoints LIST     client ports of a cluster that runs already; no CPU times then, and no get-uncached
  --up ARGS            further arguments of up, separated by spaces
  --json FILE          the results as JSON, too`;

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    sizes: { type: 'string' },
    'in-flight': { type: 'string' },
    operations: { type: 'string', default: 'put,get,get-uncached' },
    seconds: { type: 'string' },
    keys: { type: 'string', default: '10000' },
    connections: { type: 'string', default: '1' },
    clients: { type: 'string', default: '1' },
    endpoints: { type: 'string', default: '' },
    up: { type: 'string', default: '' },
    json: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

function fail(message: string): never {
  console.error(`${message}\n${usage}`);
  process.exit(2);
}

function numbers(name: string, text: string): number[] {
  return text.split(',').map((part) => {
    const value = Number(part);
    return Number.isFinite(value) && value > 0 ? value : fail(`--${name}: '${part}' is not a number above 0`);
  });
}

function number(name: string, text: string): number {
  return numbers(name, text)[0] ?? fail(`--${name} needs a number`);
}

function operations(text: string): Operation[] {
  return text
    .split(',')
    .map((part) =>
      part === 'put' || part === 'get' || part === 'get-uncached' ? part : fail(`--operations: no '${part}'`),
    );
}

if (values.help) {
  console.log(usage);
  process.exit(0);
}
process.once('SIGINT', () => process.exit(130));
process.once('SIGTERM', () => process.exit(143));

function row(cell: Cell): string {
  const cpu = Object.entries(cell.cpu)
    .map(([kind, seconds]) => `${kind} ${seconds.toFixed(2)}`)
    .join(', ');
  return [
    cell.operation.padEnd(12),
    String(cell.valueBytes).padStart(6),
    String(cell.inFlight).padStart(9),
    cell.perSecond.toFixed(0).padStart(9),
    cell.p50Ms.toFixed(2).padStart(8),
    cell.p99Ms.toFixed(2).padStart(8),
    cell.cpuMicrosPerRequest.toFixed(1).padStart(9),
    `  ${cpu}`,
  ].join(' ');
}

const seconds = number('seconds', values.seconds ?? (values.quick ? '1' : '5'));
console.log('operation     bytes in flight     ops/s   p50 ms   p99 ms CPU us/op   CPU seconds');
const result = await runBench(
  {
    endpoints: values.endpoints === '' ? [] : values.endpoints.split(','),
    sizes: numbers('sizes', values.sizes ?? (values.quick ? '1024' : '100,1024,4096')),
    inFlight: numbers('in-flight', values['in-flight'] ?? '1,16,64,256'),
    warmUpMs: Math.min(1_000, seconds * 300),
    compileMs: values.quick ? 4_000 : 15_000,
    measuredMs: seconds * 1_000,
    keys: number('keys', values.keys),
    connectionsPerGateway: number('connections', values.connections),
    clients: number('clients', values.clients),
    operations: operations(values.operations),
    upArguments: values.up.split(' ').filter((part) => part !== ''),
  },
  (cell) => console.log(row(cell)),
);
const { machine, cells } = result;
console.log(`\n${machine.cpus} x ${machine.cpu}, Node ${machine.node}`);
const headline = cells.find((cell) => cell.operation === 'put' && cell.inFlight === 64 && cell.valueBytes === 1_024);
if (headline !== undefined) {
  console.log(
    `puts of 1 KiB, 64 in flight: ${headline.perSecond.toFixed(0)} a second, latency ${headline.p50Ms.toFixed(2)} ms median, ${headline.p99Ms.toFixed(2)} ms p99`,
  );
}
if (values.json !== undefined) await writeFile(values.json, `${JSON.stringify(result, null, 2)}\n`);
