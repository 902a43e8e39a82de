/** Rows of the promise table about disks: syncs that hang or fail, no space, no power. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { KIB } from '../../src/base/units.ts';
import { numbers } from './nodes.ts';
import type { Row } from './rows.ts';
import type { Stage } from './stage.ts';
import type { CallFault } from './tracing.ts';

/** File of a logger's device: the largest of its folder. */
function deviceOf(stage: Stage, logger: number): string {
  const folder = stage.nodes.folderOf('logger', logger);
  const name = readdirSync(folder).find((file) => file.startsWith('device'));
  if (name === undefined) throw new Error(`there is no device in ${folder}`);
  return join(folder, name);
}

/** Lets the syncs of the victim hang or fail for a time. */
async function disturbSyncs(stage: Stage, fault: CallFault, forMs: number): Promise<void> {
  const tracing = await stage.trace('logger', stage.victim, 'fdatasync', deviceOf(stage, stage.victim), fault);
  await stage.pause(forMs);
  await tracing.end();
}

/** Large values that are more than what was taken of a disk before it was full. */
const largeCount = 30;
const largeBytes = 512 * KIB;

export const diskRows: readonly Row[] = [
  {
    name: 'sync-hangs',
    does: 'the syncs of one logger hang for 30 s, while its process answers',
    concerns: 'all',
    needs: ['tracing'],
    isHealed: true,
    hits: 'loggers',
    fault: async (stage) => disturbSyncs(stage, { kind: 'delay', ms: 30_000 }, 30_000),
  },
  {
    name: 'syncs-slow',
    does: 'each sync of one logger takes 100 ms longer, for 5 s',
    concerns: 'all',
    needs: ['tracing'],
    isHealed: true,
    hits: 'loggers',
    fault: async (stage) => disturbSyncs(stage, { kind: 'delay', ms: 100 }, 5_000),
  },
  {
    name: 'sync-fails',
    does: 'a sync of one logger fails (EIO); it ends, and is started again 2 s later',
    concerns: 'all',
    needs: ['tracing'],
    isHealed: true,
    hits: 'loggers',
    fault: async (stage) => {
      await disturbSyncs(stage, { kind: 'fail', error: 'EIO' }, 2_000);
      if (!stage.nodes.logOf('logger', stage.victim).includes('the device failed'))
        throw new Error('a logger whose syncs fail does not say so');
      await stage.nodes.kill('logger', stage.victim);
      await stage.nodes.start('logger', stage.victim);
    },
  },
  {
    name: 'one-disk-full',
    does: 'the file system of one logger is full for 5 s',
    concerns: 'all',
    needs: ['small-disks'],
    explains: ['disk-full'],
    isHealed: true,
    fault: async (stage) => {
      await stage.smallDisk(stage.victim).fill();
      const refused = await stage.writeLarge(largeCount, largeBytes);
      if (refused.length > 0) throw new Error(`one full disk of three, and writes were refused: ${refused.join()}`);
      await stage.pause(5_000);
      stage.smallDisk(stage.victim).free();
    },
  },
  {
    name: 'all-disks-full',
    does: 'the file systems of all loggers are full for 5 s',
    concerns: 'all',
    needs: ['small-disks'],
    explains: ['disk-full'],
    isHealed: true,
    fault: async (stage) => {
      for (const logger of numbers) await stage.smallDisk(logger).fill();
      const refused = await stage.writeLarge(largeCount, largeBytes);
      if (refused.length === 0 || refused.some((code) => code !== 'disk-full'))
        throw new Error(`on full disks ${refused.length} of ${largeCount} writes were refused: ${refused.join()}`);
      await stage.pause(5_000);
      for (const logger of numbers) stage.smallDisk(logger).free();
    },
  },
  {
    name: 'power-cut',
    does: 'power is lost everywhere, and what was not synced with it; a restart',
    concerns: 'all',
    needs: ['power'],
    isHealed: true,
    fault: async (stage) => {
      await stage.worked(1_000);
      await stage.cutPower();
      await stage.nodes.startAll();
    },
  },
];
