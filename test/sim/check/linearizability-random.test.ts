/**
 * The checker against a judge that tries everything, and against registers that are linearizable by construction. Seeds
 * are fixed.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { checkHistory } from '../../../sim/check/linearizability.ts';
import { exportHistory, type HistoryEvent } from '../../../sim/history.ts';
import { SimulatedRandom } from '../../../src/env/simulated/random.ts';
import { cas, del, type Draft, type Drafts, failed, get, history, put, refused, unknownOf } from './events.ts';
import { isLinearizable } from './oracle.ts';
import { type LifeOptions, linearizableLife } from './register-life.ts';

const seed = 20_240_611;

/** Few values and versions, so that by chance they fit about as often as not. */
const version = fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined, freq: 3 });
const value = fc.constantFrom('a', 'b');
const condition = fc.integer({ min: 0, max: 4 });
const answeredCall: fc.Arbitrary<Drafts> = fc.oneof(
  fc.tuple(value, version).map(([text, told]) => get(0, text, told)),
  fc.constantFrom(get(0, null), get(0, null, 0)),
  fc.tuple(value, version).map(([text, told]) => put(0, text, told)),
  fc.option(fc.boolean(), { nil: undefined }).map((existed) => del(0, existed)),
  fc
    .tuple(condition, fc.option(value), version)
    .map(([expected, text, told]) => cas(0, expected, text, text === null ? undefined : told)),
  fc.tuple(condition, value, condition).map(([expected, text, found]) => refused(0, expected, text, found)),
);
const anyCall = fc.oneof(
  { weight: 7, arbitrary: answeredCall },
  { weight: 2, arbitrary: answeredCall.map(unknownOf) },
  { weight: 1, arbitrary: answeredCall.map(failed) },
);

/** Calls and, for each, how many later calls begin before it ends. */
const anyHistory = fc
  .array(fc.tuple(anyCall, fc.integer({ min: 0, max: 3 })), { minLength: 1, maxLength: 6 })
  .map(overlap);

function overlap(calls: readonly (readonly [Drafts, number])[]): readonly HistoryEvent[] {
  const parts: Draft[] = [];
  const open: { readonly end: Draft; readonly endsAfter: number }[] = [];
  for (const [index, [{ invoke, end }, overlapped]] of calls.entries()) {
    parts.push({ ...invoke, process: index });
    open.push({ end: { ...end, process: index }, endsAfter: index + overlapped });
    for (let at = open.length - 1; at >= 0; at--) {
      if ((open[at]?.endsAfter ?? 0) <= index || index === calls.length - 1)
        parts.push(...open.splice(at, 1).map((call) => call.end));
    }
  }
  return history(...parts);
}

function agree(events: readonly HistoryEvent[], counts: { ok: number; violation: number }): void {
  const verdict = checkHistory(events);
  assert.notEqual(verdict.kind, 'gave-up');
  const expected = isLinearizable(events) ? 'ok' : 'violation';
  assert.equal(verdict.kind, expected, exportHistory(events));
  counts[expected]++;
  if (verdict.kind !== 'violation') return;
  // The prefix that is blamed has no order, the one before its last event has.
  assert.equal(isLinearizable(prefix(events, verdict.eventIndex + 1)), false, exportHistory(events));
  assert.equal(isLinearizable(prefix(events, verdict.eventIndex)), true, exportHistory(events));
}

/** The first events, without calls that end in `fail` later: they are known to have had no effect. */
function prefix(events: readonly HistoryEvent[], end: number): readonly HistoryEvent[] {
  const failsLater = events.slice(end).flatMap((event, index, rest) => {
    const isFirst = rest.findIndex(({ process }) => process === event.process) === index;
    return isFirst && event.type === 'fail' ? [event.process] : [];
  });
  return events.slice(0, end).filter((event, index, kept) => {
    const isOpen = event.type === 'invoke' && kept.findLastIndex(({ process }) => process === event.process) === index;
    return !isOpen || !failsLater.includes(event.process);
  });
}

test('random small histories: the same verdict as trying every order', () => {
  const counts = { ok: 0, violation: 0 };
  fc.assert(
    fc.property(anyHistory, (events) => agree(events, counts)),
    { seed, numRuns: 6_000 },
  );
  assert.ok(counts.ok > 800 && counts.violation > 800, JSON.stringify(counts));
});

/** Small lives, and the same with one answer changed: close to the border between right and wrong. */
const smallLife = fc
  .record({
    life: fc.integer({ min: 0, max: 2 ** 31 }),
    calls: fc.integer({ min: 2, max: 7 }),
    unknownPercent: fc.constantFrom(0, 30, 80),
    hasVersions: fc.boolean(),
    values: fc.constantFrom<LifeOptions['values']>('distinct', 'few'),
  })
  .map(({ life, ...rest }) => linearizableLife(new SimulatedRandom(life), { processes: 3, keys: 1, ...rest }));

const changed = fc.tuple(smallLife, fc.nat(), fc.nat()).map(([events, at, other]) => change(events, at, other));

/** Changes one answer: another value or version that occurs, or another outcome. */
function change(events: readonly HistoryEvent[], at: number, other: number): readonly HistoryEvent[] {
  const values = [null, ...new Set(events.map((event) => event.value))];
  const versions = [
    0,
    ...new Set(events.flatMap((event) => [event.version ?? 1, event.newVersion ?? 1, event.currentVersion ?? 1])),
  ];
  const value = values[other % values.length] ?? null;
  const version = versions[other % versions.length] ?? 0;
  const changes = events.flatMap((event, index): { readonly index: number; readonly event: HistoryEvent }[] => {
    if (event.type === 'invoke' || event.type === 'info') return [];
    const results: HistoryEvent[] = [];
    if (event.f === 'get' && value !== event.value) results.push({ ...event, value });
    if (event.f !== 'cas' && event.version !== undefined && version !== event.version)
      results.push({ ...event, version });
    if (event.newVersion !== undefined && version !== event.newVersion) results.push({ ...event, newVersion: version });
    if (event.currentVersion !== undefined && version !== event.currentVersion)
      results.push({ ...event, currentVersion: version });
    if (event.type === 'ok' && event.f !== 'get') results.push({ ...event, type: 'info' }, { ...event, type: 'fail' });
    return results.map((result) => ({ index, event: result }));
  });
  const chosen = changes[at % Math.max(1, changes.length)];
  return chosen === undefined ? events : events.map((event, index) => (index === chosen.index ? chosen.event : event));
}

test('small lives of a linearizable register, some with one answer changed: the same verdict as trying every order', () => {
  const counts = { ok: 0, violation: 0 };
  fc.assert(
    fc.property(fc.oneof(smallLife, { weight: 3, arbitrary: changed }), (events) => agree(events, counts)),
    { seed, numRuns: 5_000 },
  );
  assert.ok(counts.ok > 1_000 && counts.violation > 800, JSON.stringify(counts));
});

const lives: readonly LifeOptions[] = [
  { processes: 8, calls: 1_000, keys: 50, unknownPercent: 5, hasVersions: true, values: 'distinct' },
  { processes: 8, calls: 300, keys: 1, unknownPercent: 5, hasVersions: true, values: 'distinct' },
  { processes: 8, calls: 300, keys: 1, unknownPercent: 0, hasVersions: false, values: 'distinct' },
  { processes: 8, calls: 300, keys: 1, unknownPercent: 5, hasVersions: false, values: 'distinct' },
  { processes: 16, calls: 400, keys: 2, unknownPercent: 10, hasVersions: true, values: 'few' },
];

for (const options of lives) {
  test(`lives of a linearizable register are accepted: ${JSON.stringify(options)}`, () => {
    for (let life = 0; life < 20; life++) {
      const events = linearizableLife(new SimulatedRandom(life), options);
      const verdict = checkHistory(events);
      assert.equal(verdict.kind, 'ok', verdict.kind === 'violation' ? verdict.explanation : JSON.stringify(verdict));
    }
  });
}

/** Breaks that no order can explain, whatever else happened. */
const breaks: Readonly<Record<string, (events: readonly HistoryEvent[]) => readonly HistoryEvent[] | undefined>> = {
  'a read of a value that nobody wrote': (events) =>
    replaceLast(events, isRead, (event) => ({ ...event, value: 'nobody', version: event.version ?? 0 })),
  'a version that goes back to the first one': (events) => {
    const first = events.find((event) => event.type === 'ok' && event.f === 'put')?.version;
    return first === undefined
      ? undefined
      : replaceLast(
          events,
          (event) => event.type === 'ok' && event.f === 'put' && event.version !== first,
          (event) => ({ ...event, version: first }),
        );
  },
  'the last write of a value that was read is called not applied': (events) => {
    const read = new Set(events.filter(isRead).map((event) => event.value));
    return replaceLast(
      events,
      (event) => event.type === 'ok' && event.f === 'put' && read.has(event.value),
      ({ version: _, ...event }) => ({ ...event, type: 'fail' }),
    );
  },
  'a stale read at the end': (events) => {
    const reads = events.filter(isRead);
    const [stale] = reads;
    const newest = reads.at(-1);
    if (stale === undefined || newest === undefined || stale.version === newest.version) return undefined;
    const process = Math.max(...events.map((event) => event.process)) + 1;
    const invoke: HistoryEvent = {
      process,
      type: 'invoke',
      f: 'get',
      key: stale.key,
      value: null,
      time: events.length,
    };
    return [...events, invoke, { ...stale, process, time: events.length }];
  },
};

function isRead(event: HistoryEvent): boolean {
  return event.type === 'ok' && event.f === 'get' && event.value !== null;
}

function replaceLast(
  events: readonly HistoryEvent[],
  which: (event: HistoryEvent) => boolean,
  change: (event: HistoryEvent) => HistoryEvent,
): readonly HistoryEvent[] | undefined {
  const index = events.findLastIndex(which);
  return index < 0 ? undefined : events.map((event, position) => (position === index ? change(event) : event));
}

for (const [name, breakIt] of Object.entries(breaks)) {
  test(`long lives that were broken are rejected: ${name}`, () => {
    let broken = 0;
    for (let life = 0; life < 20; life++) {
      const options: LifeOptions = {
        processes: 8,
        calls: 300,
        keys: 1,
        unknownPercent: 5,
        hasVersions: true,
        values: 'distinct',
      };
      const events = breakIt(linearizableLife(new SimulatedRandom(1_000 + life), options));
      if (events === undefined) continue;
      broken++;
      assert.equal(checkHistory(events).kind, 'violation', `life ${life}`);
    }
    assert.ok(broken >= 15, `${broken} of 20 lives could be broken`);
  });
}
