/** Histories made by hand, good and bad: each name says what happened. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { checkHistory } from '../../../sim/check/linearizability.ts';
import { HistoryError } from '../../../sim/check/operations.ts';
import type { HistoryEvent } from '../../../sim/history.ts';
import type { Drafts } from './events.ts';
import { cas, del, failed, get, history, put, refused, together, unknownOf } from './events.ts';

type Case = readonly [name: string, events: readonly HistoryEvent[]];

/** The event that can't be explained is the last one but `after`. */
type BadCase = readonly [name: string, events: readonly HistoryEvent[], after?: number];

const a10 = put(1, 'a', 10);
const b20 = put(2, 'b', 20);
const unknownA = unknownOf(put(1, 'a'));
const unknownB = unknownOf(put(2, 'b'));

/** A read that was told the version alone. */
function has(process: number, version: number): Drafts {
  const { invoke } = get(process, null);
  return { invoke: { ...invoke, f: 'has' }, end: { ...invoke, f: 'has', type: 'ok', version } };
}

const good: readonly Case[] = [
  ['versions alone', history(has(1, 0), a10, has(2, 10), b20, has(1, 20), del(2, true), has(1, 0))],
  ['a version alone settles a write that nobody was told of', history(unknownA, has(1, 10), get(2, 'a', 10))],
  ['nothing at all', history()],
  ['a key that nobody wrote is not there', history(get(1, null, 0), del(1, false), get(2, null))],
  [
    'one call after another',
    history(a10, get(1, 'a', 10), b20, get(1, 'b', 20), del(2, true), get(1, null, 0), put(1, 'c', 30)),
  ],
  ['a read beside a write sees it', history(b20.invoke, get(1, 'b', 20), b20.end)],
  ['a read beside a write does not see it', history(a10, b20.invoke, get(1, 'a', 10), b20.end, get(1, 'b', 20))],
  ['of two writes at once the one with the higher version is last', history(...together(b20, a10), get(1, 'b', 20))],
  [
    'of two writes at once without versions either is last',
    history(...together(put(1, 'a'), put(2, 'b')), get(1, 'a')),
  ],
  [
    'reads of three processes that overlap two writes',
    history(a10.invoke, b20.invoke, get(3, null, 0), get(3, 'a', 10), get(4, 'b', 20), a10.end, b20.end),
  ],
  ['an unknown write that never takes effect', history(a10, unknownB, get(3, 'a', 10), get(4, 'a', 10))],
  ['an unknown write that takes effect at once', history(a10, unknownB, get(3, 'b', 20))],
  ['an unknown write that surfaces late', history(unknownA, b20, get(3, 'b', 20), get(4, 'a', 35), get(3, 'a', 35))],
  [
    'an unknown write that surfaces after a deletion',
    history(unknownA, del(2, false), get(3, null, 0), get(3, 'a', 7)),
  ],
  ['a call that never ends counts as unknown', history(put(1, 'a').invoke, get(2, null, 0), get(2, 'a', 5))],
  ['an unknown deletion that surfaces late', history(a10, unknownOf(del(2)), get(3, 'a', 10), get(3, null, 0))],
  [
    'two unknown deletions, of which each deletes one value',
    history(a10, unknownOf(del(2)), unknownOf(del(3)), get(4, null), put(1, 'c', 30), get(4, null)),
  ],
  [
    'two unknown writes surface in the order opposite to theirs',
    history(unknownA, unknownB, get(3, 'b', 20), get(3, 'a', 30)),
  ],
  [
    'unknown writes explain a version that nobody was told',
    history(unknownA, refused(2, 0, 'c', 17), get(3, 'a', 17), cas(3, 17, 'd', 18)),
  ],
  [
    'one ifAbsent of two wins, the other one is told',
    history(...together(cas(1, 0, 'a', 10), refused(2, 0, 'b', 10)), get(3, 'a', 10)),
  ],
  [
    'a chain of conditional writes',
    history(
      cas(1, 0, 'a', 10),
      cas(2, 10, 'b', 20),
      refused(1, 10, 'c', 20),
      cas(1, 20, null),
      refused(2, 20, 'd', 0),
      cas(2, 0, 'd', 40),
    ),
  ],
  [
    'an unknown conditional write takes effect while its condition holds',
    history(a10, unknownOf(cas(2, 10, 'b')), get(3, 'a', 10), get(3, 'b', 20)),
  ],
  [
    'a write that was refused without a word leaves nothing',
    history(a10, failed(put(2, 'b')), failed(cas(3, 10, 'c')), get(1, 'a', 10)),
  ],
  [
    'a read that failed or was never answered says nothing',
    history(a10, failed(get(2, 'z', 99)), unknownOf(get(3, 'z', 99)), get(4, 'a', 10)),
  ],
  ['the same value written twice', history(put(1, 'a', 10), b20, put(1, 'a', 30), get(2, 'a', 30))],
  ['versions may leave gaps, and a deletion between', history(a10, del(1, true), put(1, 'c', 11))],
];

const bad: readonly BadCase[] = [
  ['a version alone that was overwritten', history(a10, b20, has(1, 10))],
  ['no version though something is there', history(a10, has(2, 0))],
  ['a stale read after a write was acknowledged', history(a10, b20, get(3, 'a', 10))],
  ['a stale read without versions', history(put(1, 'a'), put(2, 'b'), get(3, 'a'))],
  ['a stale read by the writer itself', history(a10, put(1, 'b', 20), get(1, 'a', 10))],
  [
    'what one process read another one must not miss',
    history(a10, b20.invoke, get(3, 'b', 20), get(4, 'a', 10), b20.end),
    1,
  ],
  ['a lost write', history(a10, get(2, null, 0))],
  ['a lost write, found later', history(a10, get(2, 'a', 10), put(1, 'b', 20), get(2, 'a', 10), get(2, 'a', 10)), 2],
  ['a lost deletion', history(a10, del(2, true), get(3, 'a', 10))],
  ['a read of a value that nobody wrote', history(a10, get(2, 'x', 15))],
  ['a read of a write that was certainly not applied', history(a10, failed(put(2, 'b')), get(3, 'b', 20))],
  ['a read of a refused conditional write', history(a10, refused(2, 5, 'b', 10), get(3, 'b', 20))],
  ['a read before the write was invoked', history(get(2, 'a', 10), a10), 2],
  ['two ifAbsent winners', history(...together(cas(1, 0, 'a', 10), cas(2, 0, 'b', 20)))],
  ['two winners of one condition', history(a10, ...together(cas(2, 10, 'b', 20), cas(3, 10, 'c', 30)))],
  ['a condition on a version that was replaced', history(a10, b20, cas(3, 10, 'c', 30))],
  ['a refusal although the condition held', history(a10, refused(2, 10, 'b', 10))],
  ['a refusal that names a version which was replaced', history(a10, b20, refused(3, 0, 'c', 10))],
  ['a refusal that names nothing, although something is there', history(a10, refused(2, 5, 'c', 0))],
  ['a version that goes back', history(b20, put(1, 'a', 10))],
  ['a version that is given twice', history(a10, put(2, 'b', 10))],
  ['a version that goes back over a deletion', history(b20, del(1, true), put(1, 'a', 10))],
  ['one value read with two versions', history(unknownA, get(2, 'a', 10), get(3, 'a', 11))],
  ['a read with another version than the write was told', history(a10, get(2, 'a', 11))],
  [
    'an unknown write applied twice: v1, v2, then v1 again',
    history(put(1, 'v1').invoke, get(3, 'v1', 10), put(2, 'v2', 20), get(3, 'v2', 20), get(3, 'v1', 30)),
  ],
  [
    'an unknown write applied twice, without versions',
    history(unknownOf(put(1, 'v1')), get(3, 'v1'), put(2, 'v2'), get(3, 'v2'), get(3, 'v1')),
  ],
  ['an unknown deletion applied twice', history(a10, unknownOf(del(9)), get(2, null), put(1, 'b', 20), get(2, null))],
  ['an unknown write below a version that was told', history(unknownA, b20, get(3, 'a', 15))],
  [
    'an unknown conditional write took effect against its condition',
    history(a10, unknownOf(cas(3, 10, 'c')), b20, get(1, 'b', 20), get(1, 'c', 30)),
  ],
  ['a deletion that says it found something where nothing is', history(a10, del(1, true), del(2, true))],
  ['a deletion that says it found nothing', history(a10, del(2, false))],
  ['nothing there, with a version', history(a10, del(2, true), get(3, null, 10))],
  ['a value without a version', history(a10, get(3, 'a', 0))],
];

describe('histories made by hand', () => {
  for (const [name, events] of good) {
    test(`linearizable: ${name}`, () => {
      const verdict = checkHistory(events);
      assert.equal(verdict.kind, 'ok', verdict.kind === 'violation' ? verdict.explanation : '');
    });
  }

  for (const [name, events, after = 0] of bad) {
    test(`not linearizable: ${name}`, () => {
      const verdict = checkHistory(events);
      assert.equal(verdict.kind, 'violation');
      assert.ok(verdict.kind === 'violation');
      assert.equal(verdict.eventIndex, events.length - 1 - after, verdict.explanation);
    });
  }
});

test('each key is judged alone, and the key at fault is named', () => {
  const fine = history(a10, get(1, 'a', 10));
  const broken = history(b20, get(2, null, 0)).map((event) => ({ ...event, key: 'other' }));
  assert.equal(
    checkHistory([...fine, ...history(b20, get(2, 'b', 20)).map((event) => ({ ...event, key: 'other' }))]).kind,
    'ok',
  );
  const verdict = checkHistory([...fine, ...broken]);
  assert.ok(verdict.kind === 'violation');
  assert.equal(verdict.key, 'other');
  assert.equal(verdict.eventIndex, 7);
});

test('an explanation names the call, the order found and what is left', () => {
  const verdict = checkHistory(
    history(a10, unknownOf(put(5, 'u')), b20, get(3, 'b', 20), get(3, 'a', 10), get(4, 'b', 20)),
  );
  assert.ok(verdict.kind === 'violation');
  assert.deepEqual(verdict.explanation.split('\n'), [
    'key "k" is not linearizable: no order of its first 5 calls explains the end of this one (event 9):',
    '  8..9 ms  process 3  get -> "a", version 10',
    'the longest order that was found:',
    '  0..1 ms  process 1  put "a" -> ok, version 10',
    'after it the key has the value "a" of version 10 (versions up to 10 were given); what ended and finds no place there:',
    '  4..5 ms  process 2  put "b" -> ok, version 20',
    '  6..7 ms  process 3  get -> "b", version 20',
    '> 8..9 ms  process 3  get -> "a", version 10',
    'what may or may not have taken effect:',
    '  2..? ms  process 5  put "u" -> outcome unknown',
  ]);
});

test('events that are no history are refused, with the index of the event', () => {
  const refusals: readonly (readonly [readonly HistoryEvent[], RegExp])[] = [
    [history(a10.end), /^event 0: process 1 ends a call that it did not invoke$/],
    [history(a10.invoke, a10.invoke), /^event 1: process 1 invokes a second call/],
    [history(a10.invoke, get(1, 'a').end), /^event 1: process 1 ends a get of "k", but has invoked a put of "k"$/],
    [history(a10.invoke, { ...a10.end, key: 'other' }), /^event 1: .* put of "other"/],
    [history(a10.invoke, { ...a10.end, value: 'b' }), /^event 1: .* another value/],
    [history(cas(1, 5, 'a').invoke, cas(1, 6, 'a').end), /^event 1: .* another condition/],
    [history({ process: 1, type: 'invoke', f: 'cas', key: 'k', value: 'a' }), /^event 0: a cas names the version/],
    [history({ process: 1, type: 'invoke', f: 'put', key: 'k', value: null }), /^event 0: a put has a value/],
  ];
  for (const [events, message] of refusals) {
    assert.throws(
      () => checkHistory(events),
      (error) => error instanceof HistoryError && message.test(error.message),
    );
  }
});

/** Sixteen writes at once without versions, then two reads that disagree: every subset of the writes may come first. */
function hard(): readonly HistoryEvent[] {
  const writes = Array.from({ length: 16 }, (_, index) => put(index, `v${index}`));
  return history(...together(...writes), get(1, 'v0'), get(1, 'v1'));
}

test('the work is bounded: beyond the bound the verdict is neither yes nor no', () => {
  assert.deepEqual(checkHistory(hard(), { stepsMax: 20_000, configurationBytesMax: 64 * 1024 * 1024 }), {
    kind: 'gave-up',
    key: 'k',
    reason: 'no order found in 20000 steps',
  });
  assert.deepEqual(checkHistory(hard(), { stepsMax: 1_000_000, configurationBytesMax: 100_000 }), {
    kind: 'gave-up',
    key: 'k',
    reason: 'more than 100000 bytes of configurations',
  });
});

test('with the usual bounds the same history is judged', () => {
  const verdict = checkHistory(hard());
  assert.ok(verdict.kind === 'violation');
  assert.equal(verdict.eventIndex, 35);
});

test('a violation of one key comes before giving up on another', () => {
  const broken = history(get(1, 'x', 1)).map((event) => ({ ...event, key: 'other' }));
  const verdict = checkHistory([...hard(), ...broken], { stepsMax: 20_000, configurationBytesMax: 64 * 1024 * 1024 });
  assert.ok(verdict.kind === 'violation');
  assert.equal(verdict.key, 'other');
});

test('unknown writes that nobody read stand for one another: many of them cost little', () => {
  const unknowns = Array.from({ length: 40 }, (_, index) => unknownOf(put(100 + index, `u${index}`)));
  const seen = Array.from({ length: 30 }, (_, index) => refused(1, 0, 'x', 10 * (index + 1)));
  assert.equal(checkHistory(history(...unknowns, ...seen)).kind, 'ok');
  const limits = { stepsMax: 20_000, configurationBytesMax: 64 * 1024 * 1024 };
  assert.equal(checkHistory(history(...unknowns, ...seen, get(1, 'never', 1000)), limits).kind, 'violation');
});

test('a long history of one key needs no recursion', () => {
  const calls = Array.from({ length: 20_000 }, (_, index) =>
    index % 2 === 0 ? put(1, `v${index}`, index + 1) : get(2, `v${index - 1}`, index),
  );
  const verdict = checkHistory(history(...calls));
  assert.deepEqual(verdict, { kind: 'ok', operations: 20_000, keys: 1, steps: 20_000 });
});
