/** Commands in this process, against a cluster in this process. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { z } from 'zod';
import { connect } from '../../src/client/index.ts';
import { exitCodes } from '../../src/cli/exit-codes.ts';
import { startCluster, type Cluster } from '../../src/server/index.ts';
import { runCommand, type CommandResult, type FakeOptions } from './fake-io.ts';

let folder = '';
let cluster: Cluster;
let endpoints = '';

before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'kv-filelog-'));
  cluster = await startCluster({
    folder: path.join(folder, 'data'),
    gateways: 2,
    loggers: 2,
    zoneSize: 1024 * 1024,
    device: { capacityBytes: 128 * 1024 * 1024 },
  });
  endpoints = cluster.endpoints.join(',');
});

after(async () => {
  await cluster.close();
  await rm(folder, { recursive: true, force: true });
});

function run(argv: readonly string[], input?: string | Uint8Array): Promise<CommandResult> {
  return runCommand(folder, argv, {
    variables: { KV_FILELOG_ENDPOINTS: endpoints },
    ...(input === undefined ? {} : { input }),
  });
}

function json<T>(text: string, shape: z.ZodType<T>): T {
  return shape.parse(JSON.parse(text));
}

describe('get, put, del', () => {
  test('a value is stored, read and deleted; what is not there is exit code 3', async () => {
    const stored = await run(['put', 'greeting', 'hello']);
    assert.match(stored.out, /^stored as version \d+\n$/);
    assert.deepEqual(
      [(await run(['get', 'greeting'])).out, (await run(['get', 'greeting', '--raw'])).out],
      ['hello\n', 'hello'],
    );
    assert.match((await run(['del', 'greeting'])).out, /^deleted as version \d+\n$/);
    const absent = await run(['get', 'greeting']);
    assert.deepEqual(
      [absent.code, absent.out, absent.err],
      [exitCodes.absent, '', "kv-filelog: there is no key 'greeting'\n"],
    );
    assert.equal((await run(['del', 'greeting'])).code, exitCodes.absent);
  });

  test('bytes from standard input come back as they were', async () => {
    const bytes = Buffer.from(Array.from({ length: 70_000 }, (_, index) => (index * 31) % 256));
    assert.equal((await run(['put', 'bytes'], bytes)).code, exitCodes.ok);
    assert.ok((await run(['get', 'bytes', '--raw'])).outBytes.equals(bytes));
    const found = json((await run(['get', 'bytes', '--json'])).out, z.object({ base64: z.string() }));
    assert.ok(Buffer.from(found.base64, 'base64').equals(bytes));
  });

  test('conditions: a version that does not hold is exit code 3, and nothing changes', async () => {
    const { version } = json((await run(['put', 'c', '1', '--json'])).out, z.object({ version: z.int() }));
    const refused = await run(['put', 'c', '2', '--if-absent']);
    assert.equal(refused.code, exitCodes.absent);
    assert.match(refused.err, /\[condition-failed\]\n$/);
    assert.equal((await run(['put', 'c', '3', '--if-version', String(version)])).code, exitCodes.ok);
    assert.equal((await run(['get', 'c'])).out, '3\n');
    assert.equal((await run(['del', 'c', '--if-version', String(version)])).code, exitCodes.absent);
  });

  test('bad arguments are exit code 2 and say what is allowed', async () => {
    const empty = await run(['put', '', 'x']);
    assert.deepEqual([empty.code, /\[key-empty\]\n$/.test(empty.err)], [exitCodes.usage, true]);
    const long = await run(['put', 'k'.repeat(1_025), 'x']);
    assert.deepEqual([long.code, /1,?024.*\[key-too-long\]\n$/s.test(long.err)], [exitCodes.usage, true], long.err);
    const both = await run(['put', 'k', 'v', '--if-absent', '--if-version', '1']);
    assert.equal(both.code, exitCodes.usage, both.err);
  });
});

describe('keys that are no text', () => {
  test('arguments that are no UTF-8 are refused: Node has decoded them, and two keys would become one', async () => {
    for (const argv of [
      ['put', 'a\ufffd', 'x'],
      ['get', 'a\ufffd'],
      ['put', 'a', 'x\ufffd'],
      ['del', '\ufffd'],
    ]) {
      const refused = await run(argv);
      assert.equal(refused.code, exitCodes.usage);
      assert.match(refused.err, /argument \d: found bytes that are no UTF-8.*--hex.*\[bad-argument\]\n$/);
    }
  });

  test('--hex takes the bytes of a key', async () => {
    assert.equal((await run(['put', '61ff', 'first', '--hex'])).code, exitCodes.ok);
    assert.equal((await run(['put', '61FE', 'second', '--hex'])).code, exitCodes.ok);
    assert.equal((await run(['get', '61FF', '--hex'])).out, 'first\n');
    const found = json((await run(['get', '61fe', '--hex', '--json'])).out, z.looseObject({ keyHex: z.string() }));
    assert.equal(found.keyHex, '61fe');
    assert.equal((await run(['put', '6b6579', 'text', '--hex'])).code, exitCodes.ok);
    assert.equal((await run(['get', 'key'])).out, 'text\n');
    assert.equal((await run(['del', '61ff', '--hex'])).code, exitCodes.ok);
    assert.equal((await run(['get', '61ff', '--hex'])).code, exitCodes.absent);
    for (const wrong of ['6', '6g', '0x61', ''])
      assert.equal((await run(['get', wrong, '--hex'])).code, exitCodes.usage);
  });
});

describe('standard output that takes nothing more', () => {
  const failing = (code: string, argv: readonly string[], more: FakeOptions = {}): Promise<CommandResult> =>
    runCommand(folder, argv, { variables: { KV_FILELOG_ENDPOINTS: endpoints }, outFails: code, ...more });
  const full = 'kv-filelog: standard output: no space left on device (ENOSPC)';

  test('a write that was applied keeps its exit code, and a line says that it was carried out', async () => {
    const put = await failing('ENOSPC', ['put', 'unseen', 'x']);
    assert.deepEqual(
      [put.code, put.err],
      [exitCodes.ok, `${full}; the command itself was carried out [output-failed]\n`],
    );
    assert.equal((await run(['get', 'unseen'])).out, 'x\n');
    assert.equal((await failing('EIO', ['del', 'unseen', '--json'])).code, exitCodes.ok);
    const absent = await failing('ENOSPC', ['del', 'unseen', '--json']);
    assert.deepEqual([absent.code, absent.err], [exitCodes.absent, `${full} [output-failed]\n`]);
  });

  test('a command that is there for its output has failed', async () => {
    await run(['put', 'seen', 'x']);
    for (const argv of [
      ['get', 'seen'],
      ['status'],
      ['zones'],
      ['trace', '--requests', '9'],
      ['--help'],
      ['get', '-h'],
    ]) {
      const { code, err } = await failing('ENOSPC', argv);
      assert.deepEqual([code, err], [exitCodes.failed, `${full} [output-failed]\n`], argv.join(' '));
    }
    const io = await failing('EIO', ['get', 'seen']);
    assert.equal(io.err, 'kv-filelog: standard output: input/output error (EIO) [output-failed]\n');
  });

  test('a reader that is gone is no complaint', async () => {
    for (const [argv, expected] of [
      [['put', 'seen', 'y'], exitCodes.ok],
      [['get', 'seen'], exitCodes.failed],
      [['trace'], exitCodes.failed],
      [['get', 'never', '--json'], exitCodes.absent],
    ] as const) {
      const { code, err } = await failing('EPIPE', argv);
      assert.deepEqual([code, err], [expected, ''], argv.join(' '));
    }
  });

  test('`client 0` stops at the first value that it cannot print', async () => {
    const { code, err } = await failing('ENOSPC', ['client', '0'], { input: 'PUT w 1\nGET w\nPUT w 2\n' });
    assert.deepEqual([code, err], [exitCodes.failed, `${full} [output-failed]\n`]);
    assert.equal((await run(['get', 'w'])).out, '1\n');
  });

  test('standard error that takes nothing more changes no exit code', async () => {
    for (const code of ['ENOSPC', 'EPIPE', 'EIO']) {
      const options = { variables: { KV_FILELOG_ENDPOINTS: endpoints }, errFails: code };
      assert.equal((await runCommand(folder, ['get', 'never'], options)).code, exitCodes.absent);
      assert.equal((await runCommand(folder, ['client', '0'], { ...options, input: 'no\n' })).code, exitCodes.failed);
      assert.equal((await runCommand(folder, ['nonsense'], options)).code, exitCodes.usage);
    }
  });
});

describe('client and trace', () => {
  test('client 0 takes commands in any case; GET prints the value alone', async () => {
    const result = await run(['client', '0'], 'put a one two\nGET a\nDel a\nget a\n');
    assert.deepEqual([result.code, result.out, result.err], [exitCodes.failed, 'one two\n', "there is no key 'a'\n"]);
  });

  test('a trace is replayed, checked, read back; its measurements are appended', async () => {
    const made = await run(['trace', '--requests', '400', '--seed', '7', '--value-max', '200']);
    assert.equal(
      made.out,
      (await run(['trace', '--requests', '400', '--seed', '7', '--value-max', '200'])).out,
      'the same seed',
    );
    await writeFile(path.join(folder, 'trace.txt'), made.out);
    for (const number of ['1', '2']) {
      const replayed = await run(['client', number, 'trace.txt', '--in-flight', '32', '--verify']);
      assert.equal(replayed.code, exitCodes.ok, replayed.err);
      assert.match(
        replayed.out,
        /^put: \d+ requests.*\nget: \d+ requests.*\n400 requests in .*\n\d+ keys read back, each as the trace left it\n$/,
      );
    }
    const lines = (await readFile(path.join(folder, 'statistics-put.txt'), 'utf8')).trimEnd().split('\n');
    assert.deepEqual(
      lines.slice(1).map((line) => line.split('\t').slice(1, 3)),
      [
        ['1', 'trace.txt'],
        ['2', 'trace.txt'],
      ],
    );
  });

  test('a bad line of a trace is told with its number', async () => {
    await writeFile(path.join(folder, 'bad.txt'), 'PUT 1 x\nFOO 2\n');
    const result = await run(['client', '1', 'bad.txt']);
    assert.deepEqual(
      [result.code, /line 2.*\[trace-invalid\]\n$/.test(result.err)],
      [exitCodes.usage, true],
      result.err,
    );
    assert.equal((await run(['client', '1', 'missing.txt'])).code, exitCodes.usage);
    assert.equal((await run(['client', '1'])).code, exitCodes.usage);
  });
});

describe('views', () => {
  test('status shows gateways, loggers and shards', async () => {
    const { code, out } = await run(['status']);
    assert.equal(code, exitCodes.ok);
    for (const text of [
      cluster.record.cluster,
      ...cluster.endpoints,
      cluster.loggers[0]?.readAddress ?? '?',
      'shard',
      'gateway 0',
      'gateway 1',
    ])
      assert.ok(out.includes(text), `${text} in\n${out}`);
    const shape = z.object({
      cluster: z.string(),
      shards: z.array(z.object({ owner: z.int().min(0), replicas: z.array(z.string()).length(2) })).length(2),
    });
    assert.equal(json((await run(['status', '--json'])).out, shape).cluster, cluster.record.cluster);
  });

  test('loggers have the numbers of the config, whatever their UUIDs, and a full one is not shown as ready', async () => {
    const data = path.join(folder, 'numbers');
    const device = { capacityBytes: 8 * 1024 * 1024 };
    await using many = await startCluster({ folder: data, loggers: 5, replicas: 1, zoneSize: 1024 * 1024, device });
    await using client = await connect(many.endpoints);
    const shape = z.object({
      loggers: z.array(z.looseObject({ number: z.int(), address: z.string(), full: z.boolean() })),
    });
    const look = (...more: readonly string[]): Promise<CommandResult> =>
      runCommand(folder, ['status', '--endpoints', many.endpoints.join(','), ...more]);
    const { loggers } = json((await look('--json')).out, shape);
    assert.deepEqual(
      loggers.map(({ number, address }) => [number, address]),
      many.loggers.map(({ readAddress }, number) => [number, readAddress]),
    );
    assert.ok(loggers.every(({ full }) => !full));
    await assert.rejects(
      async () => {
        for (let index = 0; index < 200; index++) await client.put(`k${index}`, Buffer.alloc(500_000));
      },
      { code: 'disk-full' },
    );
    assert.match((await look()).out, /^\d +127.0.0.1:\d+ .* full$/m);
  });

  test('one endpoint is enough to see all', async () => {
    const { out } = await runCommand(folder, ['status', '--endpoints', cluster.endpoints[1] ?? '']);
    assert.ok(out.includes(cluster.endpoints[0] ?? '?'), out);
  });

  test('digests of what the replicas hold are equal', async () => {
    for (let index = 0; index < 50; index++) await run(['put', `digest-${index}`, 'x'.repeat(index)]);
    const shape = z.object({
      zones: z.array(z.object({ logger: z.int(), shard: z.int(), zone: z.int(), length: z.int(), digest: z.string() })),
      differing: z.array(z.string()),
    });
    const result = await run(['zones', '--digest', '--json']);
    const { zones, differing } = json(result.out, shape);
    assert.deepEqual([result.code, differing], [exitCodes.ok, []]);
    const byZone = new Map<string, string[]>();
    for (const { shard, zone, digest } of zones)
      byZone.set(`${shard}/${zone}`, [...(byZone.get(`${shard}/${zone}`) ?? []), digest]);
    assert.ok([...byZone.values()].some((digests) => digests.length === 2));
    for (const digests of byZone.values()) assert.equal(new Set(digests).size, 1);
    assert.match((await run(['zones', '--digest'])).out, /SHA-256 of the committed bytes\n.*[0-9a-f]{64}\n/);
  });

  test('bench prints puts and gets per second', async () => {
    const { code, out } = await run([
      'bench',
      '--requests',
      '200',
      '--in-flight',
      '16',
      '--value-bytes',
      '100',
      '--json',
    ]);
    assert.equal(code, exitCodes.ok);
    const { puts, gets } = json(
      out,
      z.object({
        puts: z.object({ count: z.int(), perSecond: z.number().positive() }),
        gets: z.object({ count: z.int() }),
      }),
    );
    assert.deepEqual([puts.count, gets.count], [200, 200]);
  });

  test('inspect refuses a logger that runs', async () => {
    const { code, err } = await run(['inspect', 'data/logger-0']);
    assert.deepEqual([code, /\[folder-in-use\]\n$/.test(err)], [exitCodes.failed, true], err);
  });
});

test('inspect reads the devices of a stopped cluster, changes nothing, and finds damage', async () => {
  const data = path.join(folder, 'inspected');
  const stopped = await startCluster({
    folder: data,
    zoneSize: 1024 * 1024,
    device: { capacityBytes: 64 * 1024 * 1024 },
  });
  const here = (argv: readonly string[]): Promise<CommandResult> =>
    runCommand(folder, argv, { variables: { KV_FILELOG_ENDPOINTS: stopped.endpoints.join(',') } });
  await here(['put', 'needle', 'y'.repeat(5_000)]);
  await stopped.close();
  const device = path.join(data, 'logger-0', 'device');
  const bytes = await readFile(device);
  const sound = await here(['inspect', 'inspected', '--records']);
  assert.equal(sound.code, exitCodes.ok, sound.err);
  assert.match(sound.out, /put "needle" 5000 bytes/);
  assert.ok((await readFile(device)).equals(bytes), 'nothing was changed');
  const at = bytes.indexOf('y'.repeat(100));
  bytes.write('z', at + 50);
  await writeFile(device, bytes);
  const damaged = await here(['inspect', 'inspected/logger-0']);
  assert.equal(damaged.code, exitCodes.wrong, damaged.out);
});

test('a port that is not the client port of a gateway is named as such, at once', async () => {
  const [gateway, logger] = [cluster.gateways[0], cluster.loggers[0]];
  assert.ok(gateway !== undefined && logger !== undefined);
  const at = (command: readonly string[], address: string): Promise<CommandResult> =>
    runCommand(folder, [...command, '--endpoints', address]);
  const peer = await at(['get', 'k'], gateway.peerAddress);
  assert.equal(peer.code, exitCodes.usage);
  const clients = `its client port is ${gateway.clientAddress} [wrong-port]`;
  assert.equal(peer.err, `kv-filelog: this is the peer port of gateway 0; ${clients}\n`);
  for (const address of [logger.readAddress, logger.writeAddress]) {
    const put = await at(['put', 'k', 'v'], address);
    const message = `${address} is not the client port of a gateway: a logger listens there [wrong-port]`;
    assert.deepEqual([put.code, put.err], [exitCodes.usage, `kv-filelog: ${message}\n`]);
    assert.match((await at(['status'], address)).err, new RegExp(`${address} is not the client port of a gateway`));
  }
});

describe('a command without a cluster', () => {
  const alone = (argv: readonly string[]): Promise<CommandResult> => runCommand(path.join(folder, 'data'), argv);

  test('no cluster found: exit code 2, and how to say which', async () => {
    const { code, err } = await alone(['get', 'x']);
    assert.deepEqual(
      [code, /up.*--config.*--endpoints.*\$KV_FILELOG_ENDPOINTS \[config-not-found\]\n$/s.test(err)],
      [exitCodes.usage, true],
      err,
    );
  });

  test('endpoints that are none', async () => {
    const { code, err } = await alone(['get', 'x', '--endpoints', '127.0.0.1']);
    assert.deepEqual(
      [code, err],
      [
        exitCodes.usage,
        "kv-filelog: --endpoints: found '127.0.0.1'; allowed: HOST:PORT,HOST:PORT,... (client ports) [address-invalid]\n",
      ],
    );
  });

  test('nobody listens: exit code 1', async () => {
    const { code, err } = await alone(['get', 'x', '--endpoints', '127.0.0.1:1', '--timeout', '300']);
    assert.deepEqual([code, /\[unavailable\]\n$/.test(err)], [exitCodes.failed, true], err);
    assert.equal((await alone(['status', '--endpoints', '127.0.0.1:1', '--timeout', '300'])).code, exitCodes.failed);
  });

  test('a config that is not there, one with a mistake, an id that is not in it, an address that is not loopback', async () => {
    assert.equal((await alone(['status', '--config', 'nope.json'])).code, exitCodes.usage);
    const file = path.join(folder, 'bad.json');
    await writeFile(file, '{"gateways": ["127.0.0.1:1, 2"], "loggers": ["0.0.0.0:3, 4"], "zones": 1}');
    const bad = await alone(['status', '--config', file]);
    assert.deepEqual([bad.code, bad.err.includes('$: found unknown names "zones"')], [exitCodes.usage, true]);
    await writeFile(file, '{"gateways": ["127.0.0.1:1, 2"], "loggers": ["0.0.0.0:3, 4"]}');
    const unknown = await alone(['gateway', '1', '--config', file]);
    assert.deepEqual(
      [unknown.code, unknown.err],
      [exitCodes.usage, `kv-filelog: ${file}: there is no gateway 1; allowed: 0 to 0 [unknown-id]\n`],
    );
    const open = await alone(['logger', '0', '--config', file]);
    assert.deepEqual(
      [open.code, /--insecure \[address-invalid\]\n$/.test(open.err)],
      [exitCodes.usage, true],
      open.err,
    );
  });
});

describe('the command line', () => {
  const alone = (argv: readonly string[], variables: Record<string, string> = {}): Promise<CommandResult> =>
    runCommand(folder, argv, { variables });
  const names = [
    'up',
    'gateway',
    'logger',
    'get',
    'put',
    'del',
    'client',
    'trace',
    'status',
    'zones',
    'inspect',
    'bench',
  ];

  test('help names every command; every command has a description and an example', async () => {
    const { code, out } = await alone(['--help']);
    assert.equal(code, exitCodes.ok);
    for (const name of names) {
      assert.match(out, new RegExp(`^  ${name}\\b`, 'm'));
      const help = await alone([name, '--help']);
      assert.equal(help.code, exitCodes.ok);
      assert.match(help.out, new RegExp(`Examples:\n  kv-filelog ${name}\\b`), name);
    }
    assert.match(out, /Exit codes: 0 done; 1 failed; 2 .* 3 .* 4 /s);
  });

  test('docs/operating.md lists every command', async () => {
    const { repositoryRoot } = await import('../support/repository.ts');
    const operating = await readFile(path.join(repositoryRoot, 'docs/operating.md'), 'utf8');
    for (const name of names) assert.match(operating, new RegExp(`^\\|.*\`${name}( [^\`]*)?\``, 'm'), name);
  });

  test('in a checkout the examples are what to type there', async () => {
    assert.match((await alone(['--help'], { npm_lifecycle_event: 'kv' })).out, /npm run -s kv -- status/);
  });

  const mistakes: readonly (readonly [argv: readonly string[], message: RegExp])[] = [
    [['nonsense'], /^kv-filelog: unknown command 'nonsense'/],
    [['stats'], /Did you mean .*status/s],
    [['get'], /^kv-filelog: missing required argument 'key'/],
    [['get', 'a', 'b'], /^kv-filelog: too many arguments/],
    [['get', 'a', '--nope'], /^kv-filelog: unknown option '--nope'/],
    [
      ['up', '--gateways', '0'],
      /^kv-filelog: option '--gateways <n>' argument '0' is invalid. Allowed: an integer from 1 to 100/,
    ],
    [['up', '--zone-size', '1k'], /Allowed: an integer from 65536 to 2147483648, also as 64KiB/],
    [['up', '--base-port', '65500'], /Allowed: an integer from 1024 to 65136/],
    [['gateway', '0'], /^kv-filelog: required option '--config <file>' not specified/],
    [
      ['gateway', 'x', '--config', 'c'],
      /^kv-filelog: id: found 'x'; allowed: an integer from 0 to 127 \[bad-argument\]/,
    ],
    [['get', 'a', '--config', 'x', '--endpoints', 'y'], /^kv-filelog: --config and --endpoints: allowed: one of them/],
  ];
  for (const [argv, message] of mistakes) {
    test(`a mistake: ${argv.join(' ')}`, async () => {
      const { code, err, out } = await alone(argv);
      assert.deepEqual([code, out], [exitCodes.usage, '']);
      assert.match(err, message);
    });
  }

  test('the version', async () => {
    const { code, out } = await alone(['--version']);
    assert.deepEqual([code, out], [exitCodes.ok, '1.2.3\n']);
  });
});
