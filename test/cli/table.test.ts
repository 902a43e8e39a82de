import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatBytes, formatCount, formatTable, parseBytes } from '../../src/cli/table.ts';

test('columns are as wide as their widest cell; no line ends with blanks', () => {
  const text = formatTable(
    [{ title: 'name' }, { title: 'n', align: 'right' }, { title: 'x' }],
    [
      ['a', 1, 'long'],
      ['bcdef', 1000, ''],
    ],
    '  ',
  );
  assert.deepEqual(text.split('\n'), ['  name      n  x', '  a         1  long', '  bcdef  1000']);
});

test('counts have separators', () => {
  assert.deepEqual([0, 999, 1000, 1234567.8].map(formatCount), ['0', '999', '1,000', '1,234,567']);
});

test('sizes have a unit', () => {
  assert.deepEqual([0, 1023, 1024, 1536, 268_435_456, 2 ** 40].map(formatBytes), [
    '0 B',
    '1023 B',
    '1.0 KiB',
    '1.5 KiB',
    '256 MiB',
    '1.0 TiB',
  ]);
});

test('sizes are read with and without unit', () => {
  assert.deepEqual(['0', '4096', '64KiB', '64k', '1.5 MiB', '2G', '1tb', '7b'].map(parseBytes), [
    0,
    4096,
    65_536,
    65_536,
    1_572_864,
    2 ** 31,
    2 ** 40,
    7,
  ]);
  for (const text of ['', '-1', 'x', '1.5', '10PiB', '1e3', '0x10', '9999999999999999'])
    assert.equal(parseBytes(text), undefined, text);
});
