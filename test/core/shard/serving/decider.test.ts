import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OnceTable, onceLimits } from '../../../../src/core/once/once-table.ts';
import { Cluster, resultOf } from '../harness.ts';

/** An owner that remembers three clients. */
function forgetful(): Cluster {
  const cluster = new Cluster(2, 1);
  for (const gateway of [0, 1]) {
    const state = { ...cluster.emptyState(), once: new OnceTable({ ...onceLimits, clientsMax: 3 }) };
    cluster.startGateway(gateway, state);
  }
  cluster.claim(0);
  return cluster;
}

// The doors refuse ids that were never given out. What gets past them must do no harm either.
for (const invented of [2 ** 47, 2 ** 48 - 1, 2 ** 48, 2 ** 53 - 1]) {
  test(`S15 a write of client ${invented} neither ends the owner nor makes other clients forgotten ones`, () => {
    const cluster = forgetful();
    cluster.write(0, 'put', 'k', 'v', { client: invented, number: 1, first: 1 });
    cluster.run();
    for (let client = 100; client < 120; client++) {
      const write = cluster.write(0, 'put', 'k', 'v', { client, number: 1, first: 1 });
      cluster.run();
      assert.equal(resultOf(write)?.kind, 'put', `client ${client}`);
    }
    const again = cluster.write(0, 'put', 'k', 'v', { client: 100, number: 1, first: 1 });
    cluster.run();
    const result = resultOf(again);
    assert.ok(result?.kind === 'failed' && result.code === 'client-forgotten' && result.outcome === 'unknown');
    const [owner, standby] = [cluster.gateway(0).state.once, cluster.gateway(1).state.once];
    assert.deepEqual([standby.floor, standby.forgottenRanges], [owner.floor, owner.forgottenRanges]);
  });
}
