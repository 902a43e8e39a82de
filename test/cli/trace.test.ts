import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { KvError } from '../../src/base/errors.ts';
import { formatTraceRequest, generateTrace, parseTrace, parseTraceLine } from '../../src/cli/trace.ts';
import { SimulatedRandom } from '../../src/env/simulated/random.ts';
import { repositoryRoot } from '../support/repository.ts';

test('commands in any case, values with spaces, line ends of both kinds', () => {
  assert.deepEqual(parseTrace('PUT 1 a\nget 1\r\nDel 1\n\n  put k two words \n'), [
    { kind: 'put', key: '1', value: 'a' },
    { kind: 'get', key: '1' },
    { kind: 'del', key: '1' },
    { kind: 'put', key: 'k', value: 'two words ' },
  ]);
});

test('an empty value needs its separator', () => {
  assert.deepEqual(parseTraceLine('PUT k ', 1), { kind: 'put', key: 'k', value: '' });
});

test('a bad line is named by its number', () => {
  for (const line of ['PUT', 'PUT k', 'GET', 'GET a b', 'SET a b', 'nonsense', `X ${'y'.repeat(1_000)}`]) {
    assert.throws(
      () => parseTrace(`GET a\n${line}\n`),
      (error) =>
        error instanceof KvError &&
        error.code === 'trace-invalid' &&
        error.message.startsWith('line 2: ') &&
        error.message.length < 200,
      line,
    );
  }
});

test('formatting and parsing agree', () => {
  for (const request of generateTrace(new SimulatedRandom(3), {
    requests: 500,
    deleteShare: 0.1,
    valueLengthMax: 40,
  })) {
    assert.deepEqual(parseTraceLine(formatTraceRequest(request), 1), request);
  }
});

test('a generated trace is of the testbed generator’s kind: integer keys below 32,768, values of 1..4,095 letters and digits, gets of known keys', () => {
  const known = new Set<string>();
  const counts = { put: 0, get: 0, del: 0 };
  let longest = 0;
  for (const request of generateTrace(new SimulatedRandom(1), { requests: 20_000 })) {
    counts[request.kind]++;
    assert.match(request.key, /^\d{1,5}$/);
    assert.ok(Number(request.key) < 32_768);
    if (request.kind === 'put') {
      assert.match(request.value, /^[A-Za-z0-9]{1,4095}$/);
      longest = Math.max(longest, request.value.length);
      known.add(request.key);
    } else assert.ok(known.has(request.key));
  }
  assert.ok(counts.put > 9_500 && counts.put < 10_500 && counts.del === 0 && longest > 4_000, JSON.stringify(counts));
});

test('the same seed makes the same trace, another one another', () => {
  const make = (seed: number): string =>
    [...generateTrace(new SimulatedRandom(seed), { requests: 50 })].map(formatTraceRequest).join('\n');
  assert.equal(make(5), make(5));
  assert.notEqual(make(5), make(6));
});

test('every line that the generator of the testbed wrote is understood', () => {
  const sample = readFileSync(join(repositoryRoot, 'test/fixtures/kv_trace2.txt'), 'utf8');
  const requests = parseTrace(sample);
  assert.equal(requests.length, 100);
  assert.equal(requests.filter((request) => request.kind === 'get').length, 54);
});
