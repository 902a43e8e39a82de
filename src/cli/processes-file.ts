/** DIR/processes.json: the processes that `up` runs, so that a person, or a test, can kill one by hand. */
import * as path from 'node:path';
import { z } from 'zod';
import type { Clock, Timer } from '../env/clock.ts';
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

async function writeProcesses(files: Files, dir: string, { supervisor, processes }: Processes): Promise<void> {
  const content = {
    supervisor,
    processes: processes.map(({ failure, ...status }) => ({ ...status, failure: failure?.message })),
  };
  await writeText(files, path.join(dir, processesName), `${JSON.stringify(content, null, 2)}\n`);
}

/** Undefined when there is none, it can't be read, or is not one of ours: it is for information only. */
export async function readProcesses(files: Files, dir: string): Promise<Processes | undefined> {
  const text = await readText(files, path.join(dir, processesName)).catch(() => undefined);
  const json = text === undefined ? undefined : parseJson(text);
  const parsed = json?.ok === true ? shape.safeParse(json.value) : undefined;
  return parsed?.success === true ? parsed.data : undefined;
}

const retryMs = 2_000;

export interface ProcessesRecorderOptions {
  readonly files: Files;
  readonly clock: Clock;
  readonly dir: string;
  readonly content: () => Processes;
  /** Another reason than before why it can't be written; undefined: it can again. */
  readonly onTrouble: (reason: string | undefined) => void;
}

/**
 * Keeps the file true: one write at a time, the newest state last. When it can't be written it is taken away, since a
 * wrong process id is worse than none, and tried again. Nothing of that is the business of who runs the processes.
 */
export class ProcessesRecorder {
  readonly #options: ProcessesRecorderOptions;
  #isStale = false;
  #writing: Promise<void> | undefined;
  #retry: Timer | undefined;
  #trouble: string | undefined;
  #isOver = false;

  constructor(options: ProcessesRecorderOptions) {
    this.#options = options;
  }

  /** The content is another than before. */
  changed(): void {
    this.#isStale = true;
    this.#retry?.cancel();
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined;
      if (this.#isStale) this.changed();
    });
  }

  /** Writes the last content, once, and resolves also when it can't. */
  async finish(): Promise<void> {
    this.#isOver = true;
    this.changed();
    // A write that was under way is followed by one of the last content.
    while (this.#writing !== undefined) await this.#writing;
  }

  async #write(): Promise<void> {
    const { files, dir, content, clock } = this.#options;
    this.#isStale = false;
    try {
      await writeProcesses(files, dir, content());
      this.#tell(undefined);
    } catch (error) {
      this.#tell(error instanceof Error ? error.message : String(error));
      await files.remove(path.join(dir, processesName)).catch(() => undefined);
      if (!this.#isOver) this.#retry = clock.after(retryMs, () => this.changed());
    }
  }

  #tell(trouble: string | undefined): void {
    if (trouble === this.#trouble) return;
    this.#trouble = trouble;
    this.#options.onTrouble(trouble);
  }
}
