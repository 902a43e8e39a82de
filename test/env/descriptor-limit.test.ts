import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { descriptorLimit, limitOf } from '../../src/env/real/descriptor-limit.ts';
import { RealNetwork } from '../../src/env/real/network.ts';

test('the limit is the soft one of the process', () => {
  const text = (soft: string): string =>
    [
      'Limit                     Soft Limit           Hard Limit           Units     ',
      'Max processes             7                    8                    processes ',
      `Max open files            ${soft.padEnd(20)} 4096                 files     `,
    ].join('\n');
  assert.equal(limitOf(text('128')), 128);
  assert.equal(limitOf(text('unlimited')), Number.POSITIVE_INFINITY);
  assert.equal(limitOf(''), undefined);
  assert.ok(descriptorLimit() >= 64);
});

test('connections that others opened are counted while they are open', async () => {
  const network = new RealNetwork(77);
  const closed: Promise<void>[] = [];
  const listener = await network.listen('127.0.0.1:0', (connection) => {
    closed.push(
      new Promise((resolve) => {
        const onClose = (): void => resolve();
        connection.handle({ onOpen: () => undefined, onData: () => undefined, onDrain: () => undefined, onClose });
      }),
    );
  });
  assert.deepEqual(network.descriptors, { max: 77, accepted: 0 });
  const port = Number(listener.address.split(':')[1]);
  const sockets = [connect(port, '127.0.0.1'), connect(port, '127.0.0.1')];
  await Promise.all(sockets.map((socket) => once(socket, 'connect')));
  while (closed.length < 2) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(network.descriptors.accepted, 2);
  for (const socket of sockets) socket.destroy();
  await Promise.all(closed);
  assert.equal(network.descriptors.accepted, 0);
  await listener.close();
});
