import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  Supervisor,
  supervision,
  type Child,
  type ChildHandler,
  type Program,
  type SupervisorEvent,
} from '../../src/cli/supervisor.ts';
import { SimulatedClock } from '../../src/env/simulated/clock.ts';

class FakeChild implements Child {
  readonly pid: number;
  readonly program: Program;
  readonly handler: ChildHandler;
  readonly heard: string[] = [];

  constructor(pid: number, program: Program, handler: ChildHandler) {
    this.pid = pid;
    this.program = program;
    this.handler = handler;
  }

  send(): void {
    this.heard.push('stop');
  }

  kill(signal: string): void {
    this.heard.push(signal);
    if (signal === 'SIGKILL') this.exit(null, 'SIGKILL');
  }

  ready(): void {
    this.handler.onMessage({ kind: 'ready', serves: 'everybody' });
  }

  exit(code: number | null, signal: string | null = null): void {
    this.handler.onExit({ code, signal });
  }
}

/** Promise callbacks have run. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function world(restart = true, count = 1) {
  const clock = new SimulatedClock();
  const children: FakeChild[] = [];
  const events: SupervisorEvent[] = [];
  const programs = Array.from(
    { length: count },
    (_, id): Program => ({ name: `node ${id}`, args: [], log: `/log/${id}`, stopGroup: id }),
  );
  const supervisor = new Supervisor({
    programs,
    clock,
    restart,
    spawn: (program, handler) => {
      const child = new FakeChild(100 + children.length, program, handler);
      children.push(child);
      return child;
    },
    onEvent: (event) => events.push(event),
  });
  const last = (): FakeChild => {
    const child = children.at(-1);
    assert.ok(child !== undefined);
    return child;
  };
  return { clock, children, events, supervisor, last };
}

test('start waits until all serve', async () => {
  const { supervisor, children } = world(true, 2);
  let started = false;
  const start = supervisor.start().then(() => {
    started = true;
  });
  children[0]?.ready();
  await settled();
  assert.equal(started, false);
  children[1]?.ready();
  await start;
  assert.deepEqual(
    supervisor.status().map(({ state, pid, serves }) => [state, pid, serves]),
    [
      ['serving', 100, 'everybody'],
      ['serving', 101, 'everybody'],
    ],
  );
});

test('a process that ends before it serves fails the start, with its own error, and the others are stopped', async () => {
  const { supervisor, children } = world(true, 2);
  const start = supervisor.start();
  children[1]?.ready();
  children[0]?.handler.onMessage({ kind: 'failed', code: 'port-in-use', message: '127.0.0.1:1 is in use' });
  children[0]?.exit(1);
  await settled();
  assert.deepEqual(children[1]?.heard, ['stop']);
  children[1]?.exit(0);
  await assert.rejects(start, { code: 'port-in-use', message: 'node 0: 127.0.0.1:1 is in use' });
});

test('what does not serve in time is killed, and the error says where its log is', async () => {
  const { supervisor, clock } = world();
  const start = supervisor.start();
  start.catch(() => undefined);
  clock.advance(supervision.startTimeoutMs + 1);
  await assert.rejects(start, { code: 'timeout', message: /\/log\/0$/ });
});

test('what dies is started again, after a pause that doubles while it keeps dying', async () => {
  const { supervisor, clock, events, last, children } = world();
  const start = supervisor.start();
  last().ready();
  await start;
  const pauses: (number | undefined)[] = [];
  for (let death = 0; death < 7; death++) {
    last().exit(null, 'SIGKILL');
    const event = events.at(-1);
    assert.ok(event?.kind === 'died');
    assert.equal(event.why, 'by signal SIGKILL');
    pauses.push(event.restartMs);
    clock.advance((event.restartMs ?? 0) + 1);
    assert.equal(children.length, death + 2);
    last().ready();
  }
  assert.deepEqual(pauses, [200, 400, 800, 1600, 3200, 5000, 5000]);
  assert.equal(supervisor.status()[0]?.restarts, 7);
  clock.advance(supervision.steadyMs);
  last().exit(1);
  const event = events.at(-1);
  assert.ok(event?.kind === 'died');
  assert.equal(event.restartMs, 200, 'it had served for long enough');
});

test('without restart what dies stays dead', async () => {
  const { supervisor, clock, events, last, children } = world(false);
  const start = supervisor.start();
  last().ready();
  await start;
  last().exit(1);
  clock.advance(60_000);
  assert.equal(children.length, 1);
  assert.deepEqual(events.at(-1), {
    kind: 'died',
    name: 'node 0',
    pid: 100,
    why: 'with exit code 1',
    restartMs: undefined,
  });
  assert.equal(supervisor.status()[0]?.state, 'dead');
  await supervisor.stop();
});

test('stop goes group by group, and kills who does not stop in time', async () => {
  const { supervisor, children, clock, events } = world(true, 2);
  const start = supervisor.start();
  for (const child of children) child.ready();
  await start;
  const stop = supervisor.stop();
  assert.deepEqual(
    children.map(({ heard }) => heard),
    [['stop'], []],
  );
  clock.advance(supervision.stopTimeoutMs + 1);
  await settled();
  assert.deepEqual(
    children.map(({ heard }) => heard),
    [['stop', 'SIGKILL'], ['stop']],
  );
  children[1]?.exit(0);
  await stop;
  assert.deepEqual(
    supervisor.status().map(({ state, pid }) => [state, pid]),
    [
      ['stopped', 0],
      ['stopped', 0],
    ],
  );
  assert.ok(events.some(({ kind }) => kind === 'killed'));
  assert.equal(events.filter(({ kind }) => kind === 'died').length, 0, 'who was asked to stop did not die');
});

test('stop during the pause before a restart starts nothing any more', async () => {
  const { supervisor, clock, children, last } = world();
  const start = supervisor.start();
  last().ready();
  await start;
  last().exit(1);
  await supervisor.stop();
  clock.advance(60_000);
  assert.equal(children.length, 1);
  assert.equal(supervisor.status()[0]?.state, 'stopped');
});
