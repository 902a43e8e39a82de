/** Rows of the promise table about folders and files: wiped, older, copied, locked, gone for good. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, cpSync, rmSync } from 'node:fs';
import { KIB } from '../../src/base/units.ts';
import { StartFailure } from './nodes.ts';
import { others, type Row } from './rows.ts';
import type { Stage } from './stage.ts';

/** Repair of the little that a row writes, on a busy machine. */
const repairMsMax = 90_000;
const coordinatorFiles: readonly string[] = ['coordinator.sqlite', 'coordinator.sqlite-wal', 'coordinator.sqlite-shm'];

async function wipe(stage: Stage, logger: number): Promise<void> {
  await stage.nodes.kill('logger', logger);
  rmSync(stage.nodes.folderOf('logger', logger), { recursive: true });
  await stage.nodes.start('logger', logger);
}

/** Restarts everything but loggers `gone`, which never return. */
async function restartWithout(stage: Stage, ...gone: readonly number[]): Promise<void> {
  await stage.nodes.killAll();
  for (const logger of gone) rmSync(stage.nodes.folderOf('logger', logger), { recursive: true });
  await stage.nodes.startAll(gone.map((logger) => `logger ${logger}`));
}

/** Holder of the coordinator's lock, which is no process of the cluster. */
const holder = `
import { createRequire } from 'node:module';
const Database = createRequire(process.argv[2])('libsql');
new Database(process.argv[1]).exec('BEGIN IMMEDIATE');
process.stdout.write('locked');
setInterval(() => undefined, 1000);`;

/** Locks the coordinator's file by a process that is stopped then; settles when it has ended. */
async function lockCoordinator(stage: Stage, forMs: number): Promise<boolean> {
  const args = ['--input-type=module', '-e', holder, stage.file('coordinator.sqlite'), stage.nodes.cli];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const end = (): boolean => child.kill('SIGKILL');
  process.once('exit', end);
  const ended = once(child, 'exit');
  await once(child.stdout, 'data');
  child.kill('SIGSTOP');
  const isEndedByOthers = await Promise.race([ended.then(() => true), stage.pause(forMs).then(() => false)]);
  end();
  await ended;
  process.off('exit', end);
  return isEndedByOthers;
}

export const folderRows: readonly Row[] = [
  {
    name: 'loggers-wiped',
    does: 'a logger starts with an empty folder; when all has its copies again the next, and the third so',
    concerns: 'all',
    isHealed: true,
    fault: async (stage) => {
      for (const logger of [stage.victim, ...others(stage.victim)]) {
        await wipe(stage, logger);
        await stage.replicated(repairMsMax);
      }
    },
  },
  {
    name: 'logger-wiped',
    does: 'a logger is killed and starts with an empty folder',
    concerns: 'all',
    isHealed: true,
    hits: 'loggers',
    fault: (stage) => wipe(stage, stage.victim),
  },
  {
    name: 'logger-rolled-back',
    does: 'a logger is killed, and starts 3 s of writes later with an older copy of its folder',
    concerns: 'all',
    isHealed: true,
    hits: 'loggers',
    fault: async (stage) => {
      const [folder, older] = [stage.nodes.folderOf('logger', stage.victim), stage.file('older')];
      await stage.nodes.kill('logger', stage.victim);
      rmSync(older, { recursive: true, force: true });
      cpSync(folder, older, { recursive: true });
      await stage.nodes.start('logger', stage.victim);
      await stage.pause(3_000);
      await stage.nodes.kill('logger', stage.victim);
      rmSync(folder, { recursive: true });
      cpSync(older, folder, { recursive: true });
      await stage.nodes.start('logger', stage.victim);
    },
  },
  {
    name: 'restarted-with-one-rolled-back',
    does: 'kill -9 of everything; it starts with one logger on a copy of its folder from 2 s before',
    concerns: 'all',
    isHealed: true,
    fault: async (stage) => {
      const [folder, older] = [stage.nodes.folderOf('logger', stage.victim), stage.file('older')];
      rmSync(older, { recursive: true, force: true });
      // Its process stands still, so that the copy is one that a disk could have held.
      stage.signal('logger', stage.victim, 'SIGSTOP');
      cpSync(folder, older, { recursive: true });
      stage.signal('logger', stage.victim, 'SIGCONT');
      await stage.pause(2_000);
      await stage.nodes.killAll();
      rmSync(folder, { recursive: true });
      cpSync(older, folder, { recursive: true });
      await stage.nodes.startAll();
    },
  },
  {
    name: 'logger-cloned',
    does: "a logger starts with a copy of another one's folder, which runs: it refuses; then with an empty one",
    concerns: 'all',
    isHealed: true,
    fault: async (stage) => {
      await stage.nodes.kill('logger', stage.victim);
      rmSync(stage.nodes.folderOf('logger', stage.victim), { recursive: true });
      cpSync(stage.nodes.folderOf('logger', others(stage.victim)[0]), stage.nodes.folderOf('logger', stage.victim), {
        recursive: true,
      });
      const error: unknown = await stage.nodes.start('logger', stage.victim).catch((reason: unknown) => reason);
      if (!(error instanceof StartFailure) || error.code !== 'logger-twice')
        throw new Error('a logger serves with a copy of the folder of another one', { cause: error });
      rmSync(stage.nodes.folderOf('logger', stage.victim), { recursive: true });
      await stage.nodes.start('logger', stage.victim);
    },
  },
  {
    name: 'restarted-without-one-logger',
    does: 'kill -9 of everything, and a restart with one logger gone for good (`firstHandWaitMs` 2 s)',
    concerns: 'all',
    settings: { firstHandWaitMs: 2_000 },
    fault: (stage) => restartWithout(stage, stage.victim),
  },
  {
    name: 'restarted-without-two-loggers',
    does: 'kill -9 of everything, and a restart with two loggers gone for good (`firstHandWaitMs` 2 s)',
    concerns: 'all',
    settings: { firstHandWaitMs: 2_000 },
    fault: (stage) => restartWithout(stage, ...others(stage.victim)),
  },
  {
    name: 'restarted-with-one-declared-lost',
    does: 'kill -9 of everything, a restart with one logger gone for good, and `logger lost` (`firstHandWaitMs` 30 s)',
    concerns: 'all',
    fault: async (stage) => {
      await restartWithout(stage, stage.victim);
      const { code, text } = await stage.command('logger', 'lost', String(stage.victim));
      if (code !== 0) throw new Error(`\`logger lost\` ended with ${code}: ${text}`);
    },
  },
  {
    name: 'coordinator-locked',
    does: "the coordinator's file is locked by a process that is stopped, while zones fill",
    concerns: 'all',
    settings: { zoneSize: 256 * KIB },
    isHealed: true,
    fault: async (stage) => {
      const isEnded = await lockCoordinator(stage, 10_000);
      stage.notes.push(isEnded ? 'the holder was ended by the cluster' : 'the holder stood for 10 s');
    },
  },
  {
    name: 'coordinator-without-wal',
    does: "kill -9 of everything, a start without the coordinator's `-wal` for 5 s, then one with it again",
    concerns: 'all',
    settings: { zoneSize: 256 * KIB },
    explains: ['metadata-regressed'],
    isHealed: true,
    fault: async (stage) => {
      // A checkpoint, so that the file is an older state of this cluster, and zones that it does not know of.
      await stage.nodes.stopAll();
      await stage.nodes.startAll();
      await stage.pause(2_000);
      await stage.nodes.killAll();
      for (const name of coordinatorFiles) copyFileSync(stage.file(name), stage.file(`kept-${name}`));
      for (const name of coordinatorFiles.slice(1)) rmSync(stage.file(name));
      await stage.nodes.startAll();
      await stage.pause(5_000);
      const served = (await stage.owners()).filter((line) => line !== undefined).length;
      const isSaid = [0, 1, 2].some((number) => stage.nodes.logOf('gateway', number).includes('metadata went back'));
      if (served > 0 || !isSaid) throw new Error(`${served} shards are served on metadata that went back`);
      await stage.nodes.killAll();
      for (const name of coordinatorFiles) {
        rmSync(stage.file(name), { force: true });
        copyFileSync(stage.file(`kept-${name}`), stage.file(name));
      }
      await stage.nodes.startAll();
    },
  },
];
