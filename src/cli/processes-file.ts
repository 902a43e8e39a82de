/** DIR/processes.json: the processes that `up` runs, so that a person, or a test, can kill one by hand. */
import * as path from 'node:path';
import { z } from 'zod';
import type { Files } from '../env/files.ts';
import { parseJson } from './json-text.ts';
import type { ProgramStatus } from './supervisor.ts';
import { readText, writeText } from './text-files.ts';

export interface Processes {
  /** Process id of `up`; 0: it has stopped. */
  readonly supervisor: number;
  readonly processes: readonly ProgramStatus[];
}

export const processesName = 'processes.json';

const shape = z.object({
  supervisor: z.int().min(0),
  processes: z.array(
    z.object({
      name: z.string(),
      pid: z.int().min(0),
      state: z.enum(['starting', 'serving', 'waiting', 'stopping', 'stopped', 'dead']),
      restarts: z.int().min(0),
      serves: z.string(),
      log: z.string(),
    }),
  ),
});

export async function writeProcesses(files: Files, dir: string, content: Processes): Promise<void> {
  await writeText(files, path.join(dir, processesName), `${JSON.stringify(content, null, 2)}\n`);
}

/** Undefined when there is none, or not one of ours: it is for information only. */
export async function readProcesses(files: Files, dir: string): Promise<Processes | undefined> {
  const text = await readText(files, path.join(dir, processesName));
  const json = text === undefined ? undefined : parseJson(text);
  const parsed = json?.ok === true ? shape.safeParse(json.value) : undefined;
  return parsed?.success === true ? parsed.data : undefined;
}
