import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errorTable, isErrorCode, KvError } from '../../src/base/errors.ts';
import { errorText, operatingError } from '../../src/cli/errors.ts';
import { exitCodeOf } from '../../src/cli/exit-codes.ts';
import { CoordinatorError } from '../../src/coordinator/coordinator.ts';
import { FilesError } from '../../src/env/files.ts';
import { NetworkError } from '../../src/env/network.ts';
import { DeviceError } from '../../src/env/zoned-device.ts';

test('errors of the world become operating errors with a code, the cause kept; a bug stays what it is', () => {
  const cases = [
    [new FilesError('locked', 'x'), 'folder-in-use'],
    [new FilesError('full', 'x'), 'disk-full'],
    [new NetworkError('address-in-use', 'x'), 'port-in-use'],
    [new NetworkError('bad-address', 'x'), 'address-invalid'],
    [new DeviceError('newer-format', 'x'), 'newer-format'],
    [new CoordinatorError('unknown', 'x'), 'coordinator-unavailable'],
  ] as const;
  for (const [error, code] of cases) {
    const found = operatingError(error);
    assert.deepEqual([found?.code, found?.message, found?.cause], [code, 'x', error]);
  }
  assert.equal(operatingError(new CoordinatorError('unknown', 'x'))?.outcome, 'unknown');
  const own = new KvError('timeout', 'late');
  assert.equal(operatingError(own), own);
  assert.equal(operatingError(new TypeError('x is not a function')), undefined);
  assert.equal(operatingError('x'), undefined);
});

test('the line on standard error has the code, and says when the outcome of a write is unknown', () => {
  assert.equal(errorText(new KvError('key-empty', 'the key is empty')), 'kv-filelog: the key is empty [key-empty]\n');
  assert.equal(
    errorText(new KvError('timeout', 'late', { outcome: 'unknown' })),
    'kv-filelog: late; the outcome is unknown: it may have been applied [timeout]\n',
  );
});

test('exit codes: mistakes 2, absent 3, wrong data 4, all else 1', () => {
  const of = (exitCode: number): string[] =>
    Object.keys(errorTable).filter((code) => isErrorCode(code) && exitCodeOf(code) === exitCode);
  assert.deepEqual(of(3), ['condition-failed']);
  assert.deepEqual(of(4), ['damaged', 'data-damaged', 'verify-failed']);
  assert.ok(of(2).includes('config-invalid') && of(2).includes('key-too-long') && !of(2).includes('timeout'));
  assert.ok(of(1).includes('timeout') && of(1).includes('port-in-use') && of(1).includes('internal'));
});
