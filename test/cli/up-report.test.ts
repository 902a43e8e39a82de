import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { z } from 'zod';
import type { SupervisorEvent } from '../../src/cli/supervisor.ts';
import { UpReport } from '../../src/cli/up-report.ts';
import { SimulatedClock } from '../../src/env/simulated/clock.ts';
import { fakeIo } from './fake-io.ts';

function world(isJson: boolean) {
  const clock = new SimulatedClock();
  const fake = fakeIo(tmpdir());
  const io = { ...fake, environment: { ...fake.environment, clock } };
  const report = new UpReport(io, tmpdir(), isJson);
  return { clock, report, lines: () => fake.outText().split('\n').filter(Boolean) };
}

function died(why: string): SupervisorEvent {
  return { kind: 'died', name: 'logger 1', pid: 7, why, code: 'data-damaged', restartMs: 5_000 };
}

const started: SupervisorEvent = { kind: 'started', name: 'logger 1', pid: 8, isRestart: true };
const serving: SupervisorEvent = { kind: 'serving', name: 'logger 1', pid: 8, isRestart: true };

test('a process that keeps dying for the same reason has a line a minute, which says how often', () => {
  const { clock, report, lines } = world(false);
  for (let second = 0; second <= 60; second += 5) {
    report.event(died('no device'));
    report.event(started);
    clock.advance(5_000);
  }
  const text = lines();
  assert.equal(text.length, 4, text.join('\n'));
  assert.match(text[0] ?? '', /logger 1 \(pid 7\) ended: no device \[data-damaged\]; it starts again in 5 s/);
  assert.match(text[1] ?? '', /logger 1 started again/);
  assert.match(text[2] ?? '', /no device \[data-damaged\] \(and 11 times before\)/);
});

test('another reason, and the same one after it served, are news', () => {
  const { report, lines } = world(true);
  report.event(died('no device'));
  report.event(died('no rights'));
  report.event(died('no rights'));
  report.event(serving);
  report.event(died('no rights'));
  const events = lines().map((line) => z.looseObject({ event: z.string() }).parse(JSON.parse(line)));
  assert.deepEqual(
    events.map(({ event, why }) => why ?? event),
    ['no device', 'no rights', 'serving', 'no rights'],
  );
});

test('trouble with a log and with processes.json is said, and its end too', () => {
  const { report, lines } = world(false);
  report.event({ kind: 'log-trouble', name: 'logger 1', trouble: 'x.log cannot be opened' });
  report.event({ kind: 'log-trouble', name: 'logger 1', trouble: undefined });
  report.fileTrouble('no space');
  report.fileTrouble(undefined);
  const text = lines();
  assert.equal(text.length, 4);
  assert.match(text[0] ?? '', /logger 1: x\.log cannot be opened/);
  assert.match(text[2] ?? '', /processes\.json cannot be written, and is not there: no space/);
});
