/** Copies of zones that the metadata list and a logger lacks. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';
import { complaintsOf, doubtsOf, missingCopies, sealedZones } from '../../src/cli/listed-copies.ts';
import { viewCluster, type ClusterView } from '../../src/cli/status.ts';
import { connect } from '../../src/client/index.ts';
import { startCluster } from '../../src/server/index.ts';
import { fakeIo } from './fake-io.ts';

/** The same, with a logger 1 that holds nothing. */
function without(view: ClusterView): ClusterView {
  const loggers = view.loggers.map((answer, number) =>
    answer.ok && number === 1 ? { ...answer, value: { ...answer.value, zones: [] } } : answer,
  );
  return { ...view, loggers };
}

test('a copy that is listed and not there is exit code 4, and named', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'kv-filelog-'));
  const data = path.join(folder, 'data');
  await using cluster = await startCluster({ folder: data, gateways: 2, loggers: 2, zoneSize: 1024 * 1024 });
  const client = await connect(cluster.endpoints);
  for (let index = 0; index < 8; index++) await client.put(`listed-${index}`, 'x'.repeat(300));
  const view = await viewCluster(fakeIo(folder), { endpoints: cluster.endpoints, config: undefined }, 5_000);
  const owner = view.gateways.find((answer) => answer.ok);
  assert.ok(owner?.ok);
  const again = (): Promise<ClusterView> => Promise.resolve(without(view));
  const io = fakeIo(folder);
  const sealed = await sealedZones(io, view, 5_000);
  assert.deepEqual(doubtsOf(sealed), []);
  assert.deepEqual(await missingCopies(view, sealed, again), []);
  const missing = await missingCopies(without(view), sealed, again);
  assert.ok(missing.length > 0 && missing.every(({ held, length, isGone }) => held < length && !isGone));
  assert.match(
    complaintsOf(view, missing)[0] ?? '',
    /^logger 1 lacks \d+ of the zones .* \(shard \d+, zone \d+: 0 of \d+ bytes\)$/,
  );
  assert.deepEqual(await missingCopies(without(view), sealed, () => Promise.resolve(view)), [], 'it came meanwhile');
  await client.close();
  await cluster.close();
  await rm(folder, { recursive: true, force: true });
});
