import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { KvError } from '../../src/base/errors.ts';
import { isLoopback, parseConfig, requireLoopback } from '../../src/cli/config.ts';

const base = { gateways: ['127.0.0.1:7500, 7400', '127.0.0.1:7501, 7401'], loggers: ['127.0.0.1:7600, 7700'] };

function failure(content: unknown): string[] {
  try {
    parseConfig(typeof content === 'string' ? content : JSON.stringify(content), '/data/cluster.json');
  } catch (error) {
    assert.ok(error instanceof KvError);
    assert.equal(error.code, 'config-invalid');
    return error.message.split('\n').map((line) => line.replace('/data/cluster.json: ', ''));
  }
  return [];
}

test("the testbed's form alone is a whole config: the rest has defaults, paths are absolute", () => {
  const config = parseConfig(JSON.stringify(base), '/data/cluster.json');
  assert.deepEqual(config.gateways[1], { id: 1, peerAddress: '127.0.0.1:7501', clientAddress: '127.0.0.1:7401' });
  assert.deepEqual(config.loggers[0], { id: 0, readAddress: '127.0.0.1:7600', writeAddress: '127.0.0.1:7700' });
  assert.deepEqual(config.coordinator, { kind: 'sqlite', file: '/data/coordinator.sqlite' });
  assert.equal(config.dir, '/data');
  assert.equal(config.shards, 2, 'one shard per gateway');
  assert.equal(config.zoneSize, 268_435_456);
  assert.equal(config.replicas, 3);
  assert.equal(config.device.alignment, 512);
});

test('settings and paths of the file are taken', () => {
  const config = parseConfig(
    JSON.stringify({
      ...base,
      dir: 'data',
      coordinator: { kind: 'sqlite', file: 'c.db' },
      shards: 16,
      valueCacheBytes: 0,
      device: { alignment: 4096 },
    }),
    '/etc/kv/cluster.json',
  );
  assert.equal(config.dir, '/etc/kv/data');
  assert.equal(config.coordinator.file, '/etc/kv/c.db');
  assert.equal(config.shards, 16);
  assert.equal(config.valueCacheBytes, 0);
  assert.equal(config.device.alignment, 4096);
  assert.equal(config.device.capacityBytes, 68_719_476_736);
});

describe('a mistake is told with its place, what was found and what is allowed', () => {
  const cases: readonly (readonly [what: string, content: unknown, message: RegExp])[] = [
    ['no JSON', '{"gateways": [', /^line 1, column 15: found the end of the file, which is no JSON there$/],
    ['not an object', [], /^\$: found \[\]; allowed: an object/],
    [
      'no gateways',
      { loggers: base.loggers },
      /^\$\.gateways: found nothing; gateways are missing; allowed: a list of 1 to 128 texts "host:peerPort, clientPort"$/,
    ],
    ['an empty list', { ...base, loggers: [] }, /^\$\.loggers: found \[\]; allowed: a list of 1 to 128/],
    [
      'too many',
      { ...base, loggers: Array.from({ length: 129 }, (_, id) => `h:${id + 1}, ${id + 1000}`) },
      /^\$\.loggers: found .*; allowed: a list of 1 to 128/,
    ],
    ['not a text', { ...base, loggers: [7] }, /^\$\.loggers\[0\]: found 7; allowed: "host:readPort, writePort"/],
    [
      'one port only',
      { ...base, gateways: ['127.0.0.1:7500'] },
      /^\$\.gateways\[0\]: found "127\.0\.0\.1:7500"; allowed: "host:peerPort, clientPort" with ports from 1 to 65535$/,
    ],
    [
      'a port too high',
      { ...base, gateways: ['127.0.0.1:7500, 70000'] },
      /^\$\.gateways\[0\]: found "127\.0\.0\.1:7500, 70000"; allowed/,
    ],
    ['port 0', { ...base, gateways: ['127.0.0.1:0, 7400'] }, /^\$\.gateways\[0\]: found/],
    [
      'a port twice',
      { ...base, loggers: ['127.0.0.1:7600, 7400'] },
      /^\$\.loggers\[0\]: found 127\.0\.0\.1:7400 as write port of logger 0, which is already the client port of gateway 0/,
    ],
    [
      'an unknown name',
      { ...base, zonesize: 1 },
      /^\$: found unknown names "zonesize"; allowed: gateways, loggers, .*zoneSize/,
    ],
    [
      'an unknown name of the device',
      { ...base, device: { size: 1 } },
      /^\$\.device: found unknown names "size"; allowed: capacityBytes, alignment, prefillBytes$/,
    ],
    [
      'more zeros ahead than a device takes',
      { ...base, device: { prefillBytes: 64 * 1024 * 1024 + 1 } },
      /^\$\.device\.prefillBytes: found 67108865; allowed: an integer from 0 to 67108864 \(bytes\)$/,
    ],
    ['a fraction', { ...base, shards: 1.5 }, /^\$\.shards: found 1\.5; allowed: an integer from 1 to 1024 \(shards\)$/],
    ['beyond the range', { ...base, shards: 2000 }, /^\$\.shards: found 2000; allowed: an integer from 1 to 1024/],
    [
      'a wrong type',
      { ...base, valueCacheBytes: '64MiB' },
      /^\$\.valueCacheBytes: found "64MiB"; allowed: an integer from 0 to/,
    ],
    [
      'not a power of two',
      { ...base, device: { alignment: 1000 } },
      /^\$\.device\.alignment: found 1000; allowed: an integer from 1 to 65536 \(bytes\), a power of two$/,
    ],
    [
      'another coordinator',
      { ...base, coordinator: { kind: 'raft', file: 'x' } },
      /^\$\.coordinator\.kind: found "raft"; allowed: "sqlite"$/,
    ],
    [
      'minReplicas over loggers',
      { ...base, minReplicas: 2 },
      /^\$\.minReplicas: found 2; allowed: at most replicas \(3\) and the number of loggers \(1\)$/,
    ],
    [
      'an unaligned zone',
      { ...base, zoneSize: 65_537 },
      /^\$\.zoneSize: found 65537; allowed: a multiple of device\.alignment \(512\)$/,
    ],
  ];
  for (const [what, content, message] of cases) {
    test(what, () => {
      const lines = failure(content);
      assert.ok(
        lines.some((line) => message.test(line)),
        `found: ${lines.join('\n')}`,
      );
    });
  }

  test('all mistakes at once', () => {
    assert.equal(failure({ ...base, shards: 0, zoneSize: 'x', foo: 1 }).length, 3);
  });
});

test('only loopback addresses need no --insecure', () => {
  for (const address of ['127.0.0.1:1', '127.9.9.9:1', 'localhost:1', '[::1]:1'])
    assert.ok(isLoopback(address), address);
  for (const address of ['0.0.0.0:1', '[::]:1', '192.168.0.1:1', 'example.org:1', '127.0.0.1.example.org:1'])
    assert.ok(!isLoopback(address), address);
  assert.throws(() => requireLoopback(['127.0.0.1:1', '0.0.0.0:1'], false), {
    code: 'address-invalid',
    message: /^0\.0\.0\.0:1 can be reached/,
  });
  requireLoopback(['0.0.0.0:1'], true);
});
