/** What `up` tells: lines and a table for people, one JSON object a line with --json. */
import * as path from 'node:path';
import { unreachable } from '../base/assert.ts';
import type { ClusterRecord } from '../coordinator/cluster-record.ts';
import type { ClusterConfig } from './config.ts';
import { configName, defaultFolder } from './find-cluster.ts';
import { programName, type CliIo } from './io.ts';
import { processesName } from './processes-file.ts';
import { styleFor, type Style } from './style.ts';
import type { ProgramStatus, SupervisorEvent } from './supervisor.ts';
import { formatTable } from './table.ts';

/** A process that keeps dying for the same reason is told of again after this time. */
const sameDeathMs = 60_000;

export class UpReport {
  readonly #io: CliIo;
  readonly #dir: string;
  readonly #isJson: boolean;
  readonly #style: Style;
  /** Deaths of programs that did not serve since, by name: who keeps dying has a line a minute. */
  readonly #deaths = new Map<string, { readonly why: string; readonly atMs: number; count: number }>();
  #isReady = false;

  constructor(io: CliIo, dir: string, isJson: boolean) {
    this.#io = io;
    this.#dir = dir;
    this.#isJson = isJson;
    this.#style = styleFor(io, io.out);
  }

  configChanged(file: string): void {
    this.#tell({ event: 'config-changed', file }, `settings changed in ${this.#shown(file)}`);
  }

  starting(config: ClusterConfig): void {
    const { gateways, loggers, shards } = config;
    const text = `starting ${plural(gateways.length, 'gateway')} and ${plural(loggers.length, 'logger')} in ${this.#shown(this.#dir)} (${plural(shards, 'shard')}) ...`;
    this.#tell({ event: 'starting', dir: this.#dir }, text);
  }

  /** Starts are in the table of `ready`; what happens afterwards is a line of its own. */
  event(event: SupervisorEvent): void {
    switch (event.kind) {
      case 'started':
        // Starts of what keeps dying are no news.
        if ((this.#isJson || event.isRestart) && (this.#deaths.get(event.name)?.count ?? 0) === 0)
          this.#tell(named(event, 'started'), this.#stamped(`${event.name} started again (pid ${event.pid})`));
        return;
      case 'serving': {
        this.#deaths.delete(event.name);
        const text = `${event.name} serves${event.isRestart ? ' again' : ''} (pid ${event.pid})`;
        if (this.#isJson || event.isRestart || this.#isReady)
          this.#tell(named(event, 'serving'), this.#stamped(this.#style.green(text)));
        return;
      }
      case 'died':
        return this.#died(event);
      case 'killed':
        this.#tell(
          named(event, 'killed'),
          this.#stamped(this.#style.red(`${event.name} (pid ${event.pid}) did not stop in time and was killed`)),
        );
        return;
      case 'log-trouble':
        this.#logTrouble(event);
        return;
      default:
        return unreachable(event);
    }
  }

  #died(event: Extract<SupervisorEvent, { kind: 'died' }>): void {
    const atMs = this.#io.environment.clock.now();
    const before = this.#deaths.get(event.name);
    if (before?.why === event.why && atMs - before.atMs < sameDeathMs) {
      before.count += 1;
      return;
    }
    this.#deaths.set(event.name, { why: event.why, atMs, count: 0 });
    const next = event.restartMs === undefined ? 'it stays down' : `it starts again in ${event.restartMs / 1000} s`;
    const repeated = before?.why === event.why ? before.count : 0;
    const times = repeated === 0 ? '' : ` (and ${repeated} times before)`;
    const code = event.code === undefined ? '' : ` [${event.code}]`;
    const who = event.pid === 0 ? event.name : `${event.name} (pid ${event.pid})`;
    this.#tell(
      { ...named(event, 'died'), ...(repeated === 0 ? {} : { repeated }) },
      this.#stamped(
        this.#style.yellow(`${who} ended${event.code === undefined ? ' ' : ': '}${event.why}${code}${times}; ${next}`),
      ),
    );
  }

  #logTrouble(event: Extract<SupervisorEvent, { kind: 'log-trouble' }>): void {
    const text = event.trouble ?? 'its log is written again';
    this.#tell(named(event, 'log-trouble'), this.#stamped(this.#style.yellow(`${event.name}: ${text}`)));
  }

  /** DIR/processes.json can't be written; undefined: it can again. */
  fileTrouble(trouble: string | undefined): void {
    const text = trouble === undefined ? 'is written again' : `cannot be written, and is not there: ${trouble}`;
    this.#tell(
      { event: 'file-trouble', file: path.join(this.#dir, processesName), trouble },
      this.#stamped(this.#style.yellow(`${this.#shown(path.join(this.#dir, processesName))} ${text}`)),
    );
  }

  ready(config: ClusterConfig, cluster: ClusterRecord, processes: readonly ProgramStatus[], tookMs: number): void {
    this.#isReady = true;
    const endpoints = config.gateways.map(({ clientAddress }) => clientAddress);
    const missing = processes.filter(({ state }) => state !== 'serving');
    if (this.#isJson) {
      this.#tell(
        {
          event: 'ready',
          cluster: cluster.cluster,
          endpoints,
          config: config.file,
          tookMs: Math.round(tookMs),
          processes: processes.map(({ failure, ...status }) => ({ ...status, failure: failure?.message })),
          missing: missing.map(({ name }) => name),
        },
        '',
      );
      return;
    }
    const columns = [
      { title: 'process' },
      { title: 'pid', align: 'right' as const },
      { title: 'serves' },
      { title: 'log' },
    ];
    const rows = processes.map(({ name, pid, state, serves, log }) => [
      name,
      pid,
      state === 'serving' ? serves : 'nothing',
      this.#shown(log),
    ]);
    this.#line(`\n${formatTable(columns, rows, '  ')}\n`);
    this.#line(
      `${this.#style.green('ready')} after ${(tookMs / 1000).toFixed(1)} s; cluster ${cluster.cluster}, config ${this.#shown(config.file)}`,
    );
    for (const { name, failure } of missing) {
      const reason = failure === undefined ? 'it still starts' : `${failure.message} [${failure.code}]`;
      this.#line(this.#style.yellow(`without ${name}: ${reason}`));
    }
    this.#line(`clients connect to ${endpoints.join(', ')}\n`);
    this.#hints(processes);
  }

  unserved(shards: readonly number[]): void {
    this.#tell(
      { event: 'unserved', shards },
      this.#style.yellow(
        `not served yet: shards ${shards.join(', ')}; the logs of the gateways and \`status\` say why`,
      ),
    );
  }

  stopping(): void {
    this.#tell({ event: 'stopping' }, '\nstopping, gateways first (Ctrl-C again kills) ...');
  }

  stopped(dir: string): void {
    this.#tell({ event: 'stopped' }, `stopped; the data stays in ${this.#shown(dir)}, and \`up\` takes it up again`);
  }

  #hints(processes: readonly ProgramStatus[]): void {
    const program = programName(this.#io);
    const isDefault = this.#dir === path.resolve(this.#io.folder, defaultFolder);
    const where = isDefault ? '' : ` --config ${this.#shown(path.join(this.#dir, configName))}`;
    const victim = processes.find(({ name }) => name.startsWith('logger'))?.pid ?? 0;
    const hints: readonly (readonly [string, string])[] = [
      [`${program} put greeting hello${where}`, 'store a value'],
      [`${program} get greeting${where}`, 'read it, through any gateway'],
      [`${program} client 0${where}`, 'PUT, GET and DEL by hand'],
      [`${program} trace > trace.txt`, 'generate a trace of 100,000 requests ...'],
      [`${program} client 1 trace.txt${where}`, '... and replay it'],
      [`${program} status${where}`, 'who owns what, and how full it is'],
      [`${program} zones --digest${where}`, 'the logs, zone by zone'],
      [`kill -9 ${victim}`, 'kill a logger: writes go on, and it comes back'],
    ];
    const width = Math.max(...hints.map(([command]) => command.length));
    this.#line('next, in another terminal:');
    for (const [command, what] of hints)
      this.#line(`  ${this.#style.cyan(command.padEnd(width))}  ${this.#style.dim(what)}`);
    this.#line('\nCtrl-C stops all.');
  }

  #shown(file: string): string {
    const relative = path.relative(this.#io.folder, file);
    return relative.startsWith('..') ? file : `./${relative}`;
  }

  #stamped(text: string): string {
    return `${new Date(this.#io.environment.clock.wall()).toISOString().slice(11, 19)} ${text}`;
  }

  #tell(json: object, text: string): void {
    this.#line(this.#isJson ? JSON.stringify(json) : text);
  }

  #line(text: string): void {
    this.#io.out.write(`${text}\n`);
  }
}

function named(event: SupervisorEvent, name: string): object {
  const { kind: _kind, ...rest } = event;
  return { event: name, ...rest };
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
