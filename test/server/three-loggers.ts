/** A cluster of three loggers on real files, started and ended again in one folder, and what is written there. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import type { TestContext } from 'node:test';
import { connect, type Client } from '../../src/client/index.ts';
import { MemoryCoordinator } from '../../src/coordinator/memory/memory.ts';
import { realEnvironment } from '../../src/env/real/environment.ts';
import type { Cluster } from '../../src/server/index.ts';
import { startCluster } from '../../src/server/index.ts';

const MIB = 1024 * 1024;
const keys = Array.from({ length: 40 }, (_, key) => key);

export const valueOf = (key: number): Buffer => Buffer.alloc(100_000, key);

export class ThreeLoggers {
  readonly folder: string;
  readonly #coordinator = new MemoryCoordinator();
  readonly #options: Partial<Parameters<typeof startCluster>[0]>;
  #cluster: Cluster | undefined;

  private constructor(folder: string, options: Partial<Parameters<typeof startCluster>[0]>) {
    this.folder = folder;
    this.#options = options;
  }

  /** In a folder that goes with the test. */
  static async in(context: TestContext, options: Partial<Parameters<typeof startCluster>[0]> = {}) {
    const folder = await mkdtemp(path.join(tmpdir(), 'kv-filelog-'));
    const loggers = new ThreeLoggers(folder, options);
    context.after(async () => {
      await loggers.#cluster?.close();
      await rm(folder, { recursive: true, force: true });
    });
    return loggers;
  }

  async start(): Promise<Cluster> {
    this.#cluster = await startCluster({
      folder: this.folder,
      loggers: 3,
      coordinator: this.#coordinator.client(),
      environment: realEnvironment(),
      device: { capacityBytes: 64 * MIB },
      zoneSize: MIB,
      repairDelayMs: 0,
      firstHandWaitMs: 1_000,
      ...this.#options,
    });
    return this.#cluster;
  }

  /** Ends the cluster, and takes the folders of some loggers away. */
  async wipe(...numbers: readonly number[]): Promise<void> {
    await this.#cluster?.close();
    for (const number of numbers) await rm(path.join(this.folder, `logger-${number}`), { recursive: true });
  }
}

export async function writeAll(client: Client): Promise<void> {
  for (const key of keys) await client.put(`key${key}`, valueOf(key));
}

export async function readAll(client: Client): Promise<void> {
  for (const key of keys)
    assert.equal(valueOf(key).compare((await client.get(`key${key}`))?.value ?? Buffer.alloc(0)), 0, `key${key}`);
}

/** A client that waits longer than a cluster needs to serve again. */
export function patientClient({ endpoints }: Cluster): Promise<Client> {
  return connect(endpoints, { timeoutMs: 30_000 });
}
