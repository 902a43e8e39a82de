import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LoggerPulse } from '../../../src/gateway/loggers/silence.ts';
import { Silence } from '../../../src/gateway/loggers/silence.ts';

const owing = (answers: number): LoggerPulse => ({ isUp: true, owes: true, answers });
const idle = (answers: number): LoggerPulse => ({ isUp: true, owes: false, answers });
const away: LoggerPulse = { isUp: false, owes: false, answers: 0 };

/** Looks every 100 ms from `fromMs` on, up to and with `toMs`. */
function look(silence: Silence, fromMs: number, toMs: number, loggers: readonly LoggerPulse[]): void {
  for (let nowMs = fromMs; nowMs <= toMs; nowMs += 100) silence.look(nowMs, loggers);
}

test('a gateway that hears of none of its loggers, which all owe answers, is cut off until one answers', () => {
  const silence = new Silence(1_500);
  look(silence, 0, 1_000, [idle(5), idle(7)]);
  look(silence, 1_100, 2_500, [owing(5), owing(7)]);
  assert.equal(silence.isCutOff, false);
  look(silence, 2_600, 2_600, [owing(5), owing(7)]);
  assert.equal(silence.isCutOff, true);
  // Its connections end, and it greets nobody.
  look(silence, 2_700, 9_000, [away, away]);
  assert.equal(silence.isCutOff, true);
  look(silence, 9_100, 9_100, [idle(2), away]);
  assert.equal(silence.isCutOff, false);
});

test('a logger that answers, or owes nothing, or that all are away, is no sign of being cut off', () => {
  const silence = new Silence(1_500);
  for (let nowMs = 0; nowMs <= 5_000; nowMs += 100) silence.look(nowMs, [owing(0), owing(Math.floor(nowMs / 1_000))]);
  assert.equal(silence.isCutOff, false);
  look(silence, 5_100, 9_000, [owing(0), idle(5)]);
  assert.equal(silence.isCutOff, false);
  look(silence, 9_100, 15_000, [away, away]);
  assert.equal(silence.isCutOff, false);
});

test('a process whose own event loop stood still accuses nobody', () => {
  const silence = new Silence(1_500);
  look(silence, 0, 500, [owing(1), owing(1)]);
  silence.look(5_000, [owing(1), owing(1)]);
  assert.equal(silence.isCutOff, false);
  look(silence, 5_100, 6_500, [owing(1), owing(1)]);
  assert.equal(silence.isCutOff, false, 'the time counts from when it ran again');
});
