/** `up` as a real process, for tests: its events as they come, its end whatever happens. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import * as path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';

/** From test/cli (tsx) as well as from dist/test/cli. */
export const mainModule = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? '../../src/cli/main.ts' : '../../src/cli/main.js', import.meta.url),
);

const eventShape = z.looseObject({
  event: z.string(),
  name: z.string().optional(),
  pid: z.int().optional(),
  endpoints: z.array(z.string()).optional(),
});
export type UpEvent = z.infer<typeof eventShape>;

/** Ports that were free a moment ago. All are held until all are known, so that none comes twice. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const servers: Server[] = [];
  for (let index = 0; index < count; index++) {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    servers.push(server);
  }
  const ports = servers.map((server) => {
    const address = server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  });
  for (const server of servers) {
    server.close();
    await once(server, 'close');
  }
  return ports;
}

/** Writes the config of a small cluster on free ports; `up --dir` takes it up. */
export async function writeCluster(
  dir: string,
  gateways: number,
  loggers: number,
  settings: Readonly<Record<string, number>> = {},
): Promise<void> {
  const ports = await freePorts(2 * (gateways + loggers));
  const node = (index: number): string => `127.0.0.1:${ports[2 * index]}, ${ports[2 * index + 1]}`;
  await mkdir(dir, { recursive: true });
  const config = {
    gateways: Array.from({ length: gateways }, (_, id) => node(id)),
    loggers: Array.from({ length: loggers }, (_, id) => node(gateways + id)),
    zoneSize: 4 * 1024 * 1024,
    device: { capacityBytes: 256 * 1024 * 1024 },
    ...settings,
  };
  await writeFile(path.join(dir, 'cluster.json'), JSON.stringify(config));
}

export class UpProcess {
  readonly child: ChildProcess;
  readonly events: UpEvent[] = [];
  readonly exited: Promise<number | null>;
  errors = '';
  readonly #waiters: (() => void)[] = [];

  constructor(command: string, args: readonly string[], variables: Readonly<Record<string, string>> = {}) {
    this.child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...variables } });
    this.child.stderr?.on('data', (chunk: Buffer) => {
      this.errors += chunk.toString('utf8');
    });
    this.exited = new Promise((resolve) => {
      this.child.once('close', (code) => {
        resolve(code);
        for (const wake of this.#waiters.splice(0)) wake();
      });
    });
    if (this.child.stdout === null) throw new Error('no standard output');
    createInterface({ input: this.child.stdout }).on('line', (line) => {
      this.events.push(eventShape.parse(JSON.parse(line)));
      for (const wake of this.#waiters.splice(0)) wake();
    });
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** The first event after the `after`th that is wanted. Fails when the process ends before. */
  async event(isWanted: (event: UpEvent) => boolean, after = 0): Promise<UpEvent> {
    for (;;) {
      const found = this.events.slice(after).find(isWanted);
      if (found !== undefined) return found;
      if (this.child.exitCode !== null || this.child.signalCode !== null)
        throw new Error(`\`up\` ended: ${this.errors}`);
      await new Promise<void>((resolve) => this.#waiters.push(resolve));
    }
  }

  /** Stops it, if it still runs, as a person does. */
  async stop(): Promise<number | null> {
    this.child.kill('SIGTERM');
    return await this.exited;
  }
}

/** Sources need their loader, which the supervisor hands on to its processes. */
export const loader = mainModule.endsWith('.ts') ? ['--import', 'tsx'] : [];

export function startUp(dir: string, ...args: readonly string[]): UpProcess {
  return new UpProcess(process.execPath, [...loader, mainModule, 'up', '--dir', dir, '--json', ...args]);
}

export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
