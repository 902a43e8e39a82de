import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { HistoryFileError, parseHistory } from '../../../sim/check/history-file.ts';
import { judgeFile } from '../../../sim/check/main.ts';
import { exportHistory, type HistoryEvent } from '../../../sim/history.ts';
import { SimulatedRandom } from '../../../src/env/simulated/random.ts';
import { get, history, put, together } from './events.ts';
import { linearizableLife } from './register-life.ts';

function fileOf(context: TestContext, text: string): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'kv-filelog-history-'));
  context.after(() => rmSync(folder, { recursive: true }));
  const file = path.join(folder, 'history.jsonl');
  writeFileSync(file, text);
  return file;
}

test('what is exported is read back, whatever its values', () => {
  const options = { processes: 4, calls: 200, keys: 3, unknownPercent: 20, hasVersions: true, values: 'few' } as const;
  const events = linearizableLife(new SimulatedRandom(7), options);
  const odd: readonly HistoryEvent[] = history(put(900, '\n"\u2028ü', Number.MAX_SAFE_INTEGER)).map((event) => ({
    ...event,
    time: 1e6 + 0.25,
  }));
  const all = [...events, ...odd];
  const read = parseHistory(exportHistory(all));
  assert.deepEqual(read.events, all);
  assert.deepEqual(
    read.lines,
    Array.from(all, (_, index) => index + 1),
  );
});

test('empty lines are skipped, other fields ignored, lines counted', () => {
  const text = '\n{"process":1,"type":"invoke","f":"get","key":"k","value":null,"time":0,"node":"n1"}\r\n\n';
  assert.deepEqual(parseHistory(text), {
    events: [{ process: 1, type: 'invoke', f: 'get', key: 'k', value: null, time: 0 }],
    lines: [2],
  });
  assert.deepEqual(parseHistory(''), { events: [], lines: [] });
});

test('what is no event is refused with its line', () => {
  const [good = ''] = exportHistory(history(get(1, null))).split('\n');
  const refusals: readonly (readonly [string, RegExp])[] = [
    ['{"process":1', /^line 2: not JSON: /],
    ['[]', /^line 2: .*expected object/i],
    ['{}', /^line 2: process: .*; type: .*; f: .*; key: .*; value: .*; time: /],
    [good.replace('"invoke"', '"begin"'), /^line 2: type: .*"invoke"/],
    [good.replace('"get"', '"incr"'), /^line 2: f: /],
    [good.replace('"process":1', '"process":-1'), /^line 2: process: /],
    [good.replace('"process":1', '"process":1.5'), /^line 2: process: /],
    [good.replace('"value":null', '"value":5'), /^line 2: value: .*string/],
    [good.replace('"time":0', '"time":"now"'), /^line 2: time: /],
    [good.replace('"time":0', '"time":0,"version":9007199254740992'), /^line 2: version: /],
  ];
  for (const [line, message] of refusals) {
    assert.throws(
      () => parseHistory(`${good}\n${line}\n`),
      (error) => error instanceof HistoryFileError && error.line === 2 && message.test(error.message),
      line,
    );
  }
});

test('time that goes back means that lines were mixed up', () => {
  const events = history(put(1, 'a'), get(1, 'a')).map((event, index) => ({ ...event, time: index === 3 ? 1 : index }));
  assert.throws(() => parseHistory(exportHistory(events)), /^HistoryFileError: line 4: time goes back from 2 to 1$/);
});

test('a file is judged: linearizable, not, no history, not there', (context) => {
  const good = fileOf(context, exportHistory(history(put(1, 'a', 1), get(2, 'a', 1))));
  assert.deepEqual(judgeFile(good), { exitCode: 0, output: `${good}: linearizable, 2 calls of 1 keys` });
  // The empty line counts.
  const stale = fileOf(context, `\n${exportHistory(history(put(1, 'a', 1), get(2, null, 0)))}`);
  const verdict = judgeFile(stale);
  assert.equal(verdict.exitCode, 1);
  assert.match(verdict.output, /not linearizable at line 5\nkey "k" is not linearizable/);
  const none = fileOf(context, `\n${exportHistory(history(put(1, 'a', 1).end))}`);
  assert.deepEqual(judgeFile(none), {
    exitCode: 2,
    output: `${none}: line 2: event 0: process 1 ends a call that it did not invoke`,
  });
  const missing = judgeFile(path.join(tmpdir(), 'kv-filelog-no-such-folder', 'history.jsonl'));
  assert.equal(missing.exitCode, 2);
  assert.match(missing.output, /ENOENT/);
});

test('a file that is too hard to judge is told apart from both verdicts', (context) => {
  const writes = Array.from({ length: 24 }, (_, index) => put(index, `v${index}`));
  const file = fileOf(context, exportHistory(history(...together(...writes), get(1, 'v0'), get(1, 'v1'))));
  const verdict = judgeFile(file);
  assert.equal(verdict.exitCode, 3);
  assert.match(verdict.output, /gave up on key "k": no order found in \d+ steps$/);
});

/** From the sources or compiled, as this test is. */
function run(
  argumentsOf: readonly string[],
): Promise<{ code: number | string | null | undefined; stdout: string; stderr: string }> {
  const isSource = import.meta.url.endsWith('.ts');
  const program = fileURLToPath(new URL(`../../../sim/check/main.${isSource ? 'ts' : 'js'}`, import.meta.url));
  const loader = isSource ? ['--import', 'tsx'] : [];
  return new Promise((resolve) => {
    execFile(process.execPath, [...loader, program, ...argumentsOf], (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : error.code, stdout, stderr });
    });
  });
}

test('the program prints the verdict and exits by it', async (context) => {
  const good = fileOf(context, exportHistory(history(put(1, 'a', 1), get(2, 'a', 1))));
  assert.deepEqual(await run([good]), { code: 0, stdout: `${good}: linearizable, 2 calls of 1 keys\n`, stderr: '' });
  const stale = fileOf(context, exportHistory(history(put(1, 'a', 1), get(2, null, 0))));
  const bad = await run([stale]);
  assert.equal(bad.code, 1);
  assert.match(bad.stderr, /not linearizable at line 4/);
  const none = await run([]);
  assert.equal(none.code, 2);
  assert.match(none.stderr, /^usage: /);
});
