import assert from 'node:assert/strict';
import { test } from 'node:test';
import { millis } from '../../../src/base/ids.ts';
import { Detector } from '../../../src/core/members/detector.ts';
import { Patience } from '../../../src/core/members/patience.ts';
import { below } from '../../../src/env/random.ts';
import { SimulatedRandom } from '../../../src/env/simulated/random.ts';

const settings = { everyMs: 50, leastMs: 200, mostMs: 500 };

/** Detector whose ticks come in time; each of its methods gives the verdict afterwards. */
class Watch {
  readonly detector = new Detector(settings, millis(0));
  nowMs = 0;

  pass(ms: number, stepMs = 50): string {
    for (const end = this.nowMs + ms; this.nowMs < end; ) {
      this.nowMs += stepMs;
      this.detector.step({ event: 'tick', nowMs: millis(this.nowMs) });
    }
    return this.detector.verdict;
  }

  heard(roundTripMs = 1): string {
    this.detector.step({ event: 'heard', nowMs: millis(this.nowMs), roundTripMs });
    return this.detector.verdict;
  }

  tell(event: 'lost' | 'refused'): string {
    this.detector.step({ event });
    return this.detector.verdict;
  }
}

function met(): Watch {
  const watch = new Watch();
  assert.equal(watch.heard(), 'alive');
  return watch;
}

test('a connection that is refused after it was lost means a dead process, at once', () => {
  const watch = met();
  assert.equal(watch.tell('lost'), 'alive');
  assert.equal(watch.tell('refused'), 'dead');
});

test('a refusal proves nothing of a process that was never met: it may be starting', () => {
  const watch = new Watch();
  assert.equal(watch.tell('refused'), 'unmet');
  assert.equal(watch.pass(60_000), 'unmet');
  assert.equal(watch.heard(), 'alive');
});

test('a lost connection that comes back is no suspicion', () => {
  const watch = met();
  watch.tell('lost');
  watch.pass(100);
  assert.equal(watch.heard(), 'alive');
  assert.equal(watch.tell('refused'), 'alive');
  assert.equal(watch.detector.suspicions, 0);
});

test('silence is suspicious after the floor where answers are quick, and never later than the ceiling', () => {
  const quick = met();
  assert.equal(quick.pass(200), 'alive');
  assert.equal(quick.pass(50), 'silent');
  const slow = met();
  slow.heard(10_000);
  assert.equal(slow.pass(500), 'alive');
  assert.equal(slow.pass(50), 'silent');
});

test('silence counts from when the process was heard, not from the tick before', () => {
  const { detector } = met();
  const tick = (nowMs: number): void => void detector.step({ event: 'tick', nowMs: millis(nowMs) });
  tick(90);
  detector.step({ event: 'heard', nowMs: millis(180) });
  for (const nowMs of [190, 280, 370]) tick(nowMs);
  assert.equal(detector.verdict, 'alive', '190 ms of silence, of 200 that are borne');
  tick(400);
  assert.equal(detector.verdict, 'silent');
});

test('a process that stood still itself does not accuse others of silence', () => {
  const watch = met();
  assert.equal(watch.pass(10_000, 10_000), 'alive', 'ten seconds between two ticks are its own');
  assert.equal(watch.heard(), 'alive');
  watch.pass(100);
  assert.equal(watch.pass(3_600_000, 3_600_000), 'alive');
  assert.equal(watch.pass(200), 'silent', 'awake again, it counts');
});

test('suspicions are counted, and those that turned out false', () => {
  const watch = met();
  watch.pass(300);
  watch.tell('refused');
  assert.deepEqual([watch.detector.suspicions, watch.detector.falseSuspicions], [1, 0]);
  watch.heard();
  assert.deepEqual([watch.detector.suspicions, watch.detector.falseSuspicions], [1, 1]);
});

test('patience follows the slowest of the last answers and forgets it again', () => {
  const patience = new Patience(settings);
  assert.equal(patience.ms, 200);
  patience.measured(60);
  assert.equal(patience.ms, 340);
  for (let answer = 0; answer < 64; answer++) patience.measured(1);
  assert.equal(patience.ms, 200);
});

test('model: whatever comes, a verdict follows from what was heard last', () => {
  const random = new SimulatedRandom(14);
  for (let life = 0; life < 200; life++) {
    const watch = new Watch();
    let isMet = false;
    let isLost = false;
    let awakeMs = 0;
    for (let step = 0; step < 200; step++) {
      const draw = below(random, 10);
      if (draw < 4) {
        const ms = below(random, 3) === 0 ? 5_000 : 50;
        awakeMs += Math.min(ms, 100);
        watch.pass(ms, ms);
      } else if (draw < 8) {
        watch.heard(below(random, 30));
        isMet = true;
        isLost = false;
        awakeMs = 0;
      } else if (draw === 8 && isMet) {
        watch.tell('lost');
        isLost = true;
      } else {
        const before = watch.detector.verdict;
        assert.equal(watch.tell('refused') === 'dead', before === 'dead' || before === 'silent' || (isMet && isLost));
      }
      const { verdict, suspicions, falseSuspicions, patienceMs } = watch.detector;
      assert.equal(verdict === 'unmet', !isMet);
      if (verdict === 'alive') assert.ok(awakeMs <= settings.mostMs + 50, `${awakeMs} ms of silence`);
      if (verdict === 'silent') assert.ok(awakeMs > settings.leastMs, `${awakeMs} ms of silence`);
      assert.ok(patienceMs >= settings.leastMs && patienceMs <= settings.mostMs);
      assert.ok(falseSuspicions <= suspicions);
    }
  }
});
