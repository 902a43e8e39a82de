import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SupervisorMessage } from '../../src/cli/io.ts';
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

  send(message: SupervisorMessage): void {
    this.heard.push(message.kind);
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

test('start does not wait: each serves, or fails, for itself', async () => {
  const { supervisor, children, events } = world(true, 2);
  supervisor.start();
  children[0]?.ready();
  children[1]?.handler.onMessage({ kind: 'failed', code: 'port-in-use', message: '127.0.0.1:1 is in use' });
  children[1]?.exit(1);
  assert.deepEqual(
    supervisor.status().map(({ state, pid, serves, failure }) => [state, pid, serves, failure?.code, failure?.message]),
    [
      ['serving', 100, 'everybody', undefined, undefined],
      ['waiting', 0, '', 'port-in-use', '127.0.0.1:1 is in use'],
    ],
  );
  const died = events.at(-1);
  assert.ok(died?.kind === 'died');
  assert.deepEqual([died.why, died.code, died.restartMs], ['127.0.0.1:1 is in use', 'port-in-use', 200]);
});

test('what never served is tried again and again, and its failure is forgotten once it serves', () => {
  const { supervisor, clock, children, last } = world();
  supervisor.start();
  for (let attempt = 0; attempt < 5; attempt++) {
    last().handler.onMessage({ kind: 'failed', code: 'data-damaged', message: 'no device' });
    last().exit(4);
    clock.advance(supervision.restartPauseMaxMs + 1);
  }
  assert.equal(children.length, 6);
  assert.equal(supervisor.status()[0]?.failure?.code, 'data-damaged');
  last().ready();
  const [status] = supervisor.status();
  assert.deepEqual([status?.state, status?.failure], ['serving', undefined]);
});

test('what does not serve in time is killed and tried again, and its failure says where its log is', () => {
  const { supervisor, clock } = world();
  supervisor.start();
  clock.advance(supervision.startTimeoutMs + 1);
  const [status] = supervisor.status();
  assert.deepEqual([status?.state, status?.failure?.code], ['waiting', 'timeout']);
  assert.match(status?.failure?.message ?? '', /\/log\/0$/);
});

test('a process that could not be made is tried again', () => {
  const { supervisor, clock, events, children, last } = world();
  supervisor.start();
  last().handler.onExit({ code: null, signal: null, reason: 'could not be started: EMFILE' });
  const died = events.at(-1);
  assert.ok(died?.kind === 'died');
  assert.equal(died.why, 'could not be started: EMFILE');
  clock.advance(201);
  assert.equal(children.length, 2);
});

test('trouble with a log is an event, and ends nothing', () => {
  const { supervisor, events, last } = world();
  supervisor.start();
  last().ready();
  last().handler.onLogTrouble('cannot be opened');
  last().handler.onLogTrouble(undefined);
  assert.deepEqual(events.slice(-2), [
    { kind: 'log-trouble', name: 'node 0', trouble: 'cannot be opened' },
    { kind: 'log-trouble', name: 'node 0', trouble: undefined },
  ]);
  assert.equal(supervisor.status()[0]?.state, 'serving');
});

test('what dies is started again, after a pause that doubles while it keeps dying', async () => {
  const { supervisor, clock, events, last, children } = world();
  supervisor.start();
  last().ready();
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
  supervisor.start();
  last().ready();
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
  supervisor.start();
  for (const child of children) child.ready();
  const stop = supervisor.stop();
  assert.deepEqual(
    children.map(({ heard }) => heard),
    [['stopping', 'stop'], ['stopping']],
  );
  clock.advance(supervision.stopTimeoutMs + 1);
  await settled();
  assert.deepEqual(
    children.map(({ heard }) => heard),
    [
      ['stopping', 'stop', 'SIGKILL'],
      ['stopping', 'stop'],
    ],
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
  supervisor.start();
  last().ready();
  last().exit(1);
  await supervisor.stop();
  clock.advance(60_000);
  assert.equal(children.length, 1);
  assert.equal(supervisor.status()[0]?.state, 'stopped');
});
