import assert from 'node:assert/strict';
import { test } from 'node:test';
import { upSettings } from '../../src/base/settings.ts';
import { formatConfig, parseConfig, parseContent } from '../../src/cli/config.ts';
import { changedConfig, newConfig, type UpSettings } from '../../src/cli/up-plan.ts';

function stored(settings: UpSettings) {
  const text = formatConfig(newConfig(settings));
  return { config: parseConfig(text, '/d/cluster.json'), content: parseContent(text, '/d/cluster.json') };
}

test('a new cluster: three of each, one shard per gateway, the documented ports', () => {
  const { config } = stored({});
  assert.deepEqual([config.gateways.length, config.loggers.length, config.shards, config.dir], [3, 3, 3, '/d']);
  assert.deepEqual(config.gateways[2], { id: 2, peerAddress: '127.0.0.1:7502', clientAddress: '127.0.0.1:7402' });
  assert.deepEqual(config.loggers[2], { id: 2, readAddress: '127.0.0.1:7602', writeAddress: '127.0.0.1:7702' });
});

test('the largest cluster has different ports, all within range', () => {
  const { config } = stored({
    gateways: upSettings.gateways.max,
    loggers: upSettings.loggers.max,
    basePort: upSettings.basePort.max,
  });
  assert.equal(config.loggers.at(-1)?.writeAddress, '127.0.0.1:65535');
});

test('the same settings again, or none, change nothing', () => {
  const settings = {
    gateways: 2,
    loggers: 1,
    shards: 4,
    basePort: 9_000,
    zoneSize: 65_536,
    valueCacheBytes: 0,
    capacityBytes: 2 ** 30,
  };
  const { config, content } = stored(settings);
  assert.equal(changedConfig(settings, config, content), undefined);
  assert.equal(changedConfig({}, config, content), undefined);
});

test('what may change is changed, and nothing else', () => {
  const { config, content } = stored({ gateways: 2, shards: 4 });
  assert.deepEqual(changedConfig({ valueCacheBytes: 0, gateways: 2 }, config, content), {
    ...content,
    valueCacheBytes: 0,
  });
});

test('what never changes is an error that names both values', () => {
  const { config, content } = stored({});
  assert.throws(() => changedConfig({ shards: 5, basePort: 8_000 }, config, content), {
    code: 'settings-differ',
    message: /--shards 5 was given, 3 is stored; --base-port 8000 was given, 7400 is stored/,
  });
});

test('a cluster grows by loggers, at the ports that follow; fewer are refused', () => {
  const { config, content } = stored({ basePort: 9_000, loggers: 3 });
  const changed = changedConfig({ loggers: 5 }, config, content);
  assert.deepEqual(changed, {
    ...content,
    loggers: [...content.loggers, '127.0.0.1:9203, 9303', '127.0.0.1:9204, 9304'],
  });
  assert.throws(() => changedConfig({ loggers: 2 }, config, content), { code: 'settings-differ' });
});
