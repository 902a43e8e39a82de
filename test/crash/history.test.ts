import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { KeyHistory } from './history.ts';
import { sequenceOf, valueOf } from './values.ts';

test('values describe themselves, and differ by seed, key and sequence', () => {
  assert.equal(sequenceOf(valueOf(1, '17', 5)), 5);
  assert.equal(sequenceOf('nonsense'), undefined);
  const values = [valueOf(1, '17', 5), valueOf(2, '17', 5), valueOf(1, '18', 5), valueOf(1, '17', 6)];
  assert.equal(new Set(values).size, 4);
  assert.equal(valueOf(1, '17', 5), values[0]);
});

test('the newest acknowledged write must be there, or a later one of unknown outcome', () => {
  const history = new KeyHistory(1, 'k');
  assert.equal(history.check(undefined), undefined);
  const first = history.begin(false);
  const second = history.begin(false);
  history.acknowledged(first.sequence);
  history.acknowledged(second.sequence);
  assert.match(history.check(first.value) ?? '', /write 1 is there/);
  assert.match(history.check(undefined) ?? '', /nothing is there/);
  assert.match(history.check(`${second.value?.slice(0, -1)}x`) ?? '', /torn or foreign/);
  assert.match(history.check(valueOf(1, 'other', 2)) ?? '', /torn or foreign/);
  const unknown = history.begin(false);
  assert.equal(history.check(second.value), undefined);
  assert.equal(history.check(unknown.value), undefined);
  assert.match(history.check(second.value) ?? '', /write 2 is there/, 'what was read once can not go back');
});

test('a write that was not applied must not be there, a deletion leaves nothing', () => {
  const history = new KeyHistory(1, 'k');
  const refused = history.begin(false);
  history.notApplied(refused.sequence);
  assert.match(history.check(refused.value) ?? '', /write 1 is there/);
  const written = history.begin(false);
  history.acknowledged(written.sequence);
  const deletion = history.begin(true);
  assert.equal(history.check(written.value), undefined);
  history.acknowledged(deletion.sequence);
  assert.equal(history.check(undefined), undefined);
  assert.match(history.check(written.value) ?? '', /write 2 is there/);
});
