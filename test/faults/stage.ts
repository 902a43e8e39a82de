/** Cluster of the fault test as its rows see it: what can be done to it, and what they may ask of it. */
import { spawn } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { KvError } from '../../src/base/errors.ts';
import { connect, type Client } from '../../src/client/index.ts';
import type { ConfigFile } from '../../src/cli/config.ts';
import { realEnvironment } from '../../src/env/real/environment.ts';
import { DiskWithPower, SmallDisk } from './disks.ts';
import { Links, type LinkState } from './links.ts';
import type { Load } from './load.ts';
import { cutFileVariable, routesVariable } from './node-shim.ts';
import { Nodes, numbers, type NodeKind } from './nodes.ts';
import { Tracing, type CallFault } from './tracing.ts';
import { complaintsOfDigest, missingIn, ownersOf, type CommandEnd } from './wholeness.ts';

/** What a row takes beside processes, signals and folders. */
export type Need = 'links' | 'tracing' | 'small-disks' | 'power';

export interface StageOptions {
  /** Folder of all that the run leaves. */
  readonly folder: string;
  readonly basePort: number;
  readonly needs: readonly Need[];
  readonly settings?: Partial<ConfigFile> | undefined;
  readonly build?: string | undefined;
  /** Part of the time that rows let their faults last: 1, or less. */
  readonly pace?: number;
}

/** No restart and no wait for a first-hand answer takes so long: a call that does is a fault. */
export const callMsMax = 60_000;
const smallDiskMebibytes = 160;
/** Time within which repair looks at all there is. */
const repairLooksMs = 3_000;
const commandMsMax = 60_000;
/** A write on a full disk is refused at once. */
const largeMsMax = 20_000;

export class Stage {
  readonly nodes: Nodes;
  /** Remarks of a row on its run. */
  readonly notes: string[] = [];
  readonly #folder: string;
  readonly #links: Links | undefined;
  readonly #power: DiskWithPower | undefined;
  readonly #smallDisks: readonly SmallDisk[];
  readonly #tracings: Tracing[] = [];
  readonly #stopped = new Set<string>();
  readonly #environment = realEnvironment();
  #load: Load | undefined;
  /** Clients that know the address of one gateway alone. */
  readonly #believers = new Map<number, Client>();
  readonly #pace: number;
  #owner = 0;
  #victim = 1;

  private constructor(options: StageOptions, links: Links | undefined) {
    const { folder, basePort, needs, settings, build, pace = 1 } = options;
    this.#pace = pace;
    this.#folder = folder;
    const dir = join(folder, 'data');
    this.#power = needs.includes('power') ? new DiskWithPower(dir, join(folder, 'disk.image')) : undefined;
    this.nodes = new Nodes({ dir, logs: join(folder, 'logs'), basePort, settings, build });
    this.#smallDisks = needs.includes('small-disks')
      ? numbers.map((number) => new SmallDisk(this.nodes.folderOf('logger', number), smallDiskMebibytes))
      : [];
    this.#links = links;
  }

  /** Starts a cluster. @throws Error it did not start */
  static async open(options: StageOptions): Promise<Stage> {
    const stage = new Stage(options, options.needs.includes('links') ? new Links() : undefined);
    try {
      await stage.#prepare();
      await stage.nodes.startAll();
      for (const [number, address] of stage.nodes.endpoints.entries())
        stage.#believers.set(number, await connect(address, { direct: false, timeoutMs: callMsMax }));
      return stage;
    } catch (error) {
      await stage.close();
      throw error;
    }
  }

  /** Gateway that owned shard 0 when this was looked up. */
  get owner(): number {
    return this.#owner;
  }

  /** Logger that faults of one logger are for. */
  get victim(): number {
    return this.#victim;
  }

  /** Chooses whom the next faults are for. */
  aim(owner: number, victim: number): void {
    this.#owner = owner;
    this.#victim = victim;
  }

  /** Lets a fault last. */
  async pause(ms: number): Promise<void> {
    await sleep(ms * this.#pace);
  }

  /** Absolute path of a file of the cluster's folder. */
  file(...parts: readonly string[]): string {
    return join(this.#folder, 'data', ...parts);
  }

  /** The load that is judged: it reads also through the owner alone. */
  take(load: Load): void {
    this.#load = load;
  }

  /** Waits until so many calls more have ended, however slow the machine is. @throws Error they do not */
  async worked(calls: number): Promise<void> {
    const load = this.#load;
    const enough = (load?.events.length ?? 0) + 2 * calls;
    for (const sinceMs = performance.now(); load !== undefined && load.events.length < enough; await sleep(20))
      if (performance.now() - sinceMs > 2 * callMsMax) throw new Error(`the clients make no ${calls} calls`);
  }

  /** Reads every key at once through the owner alone; settles when it has answered. */
  async askOwner(): Promise<void> {
    const believer = this.#believers.get(this.#owner);
    if (believer !== undefined) await this.#load?.readAll(believer);
  }

  /** Writes large values, on keys of their own, through all gateways; the codes of what was refused. */
  async writeLarge(count: number, bytes: number): Promise<readonly string[]> {
    const writes = Array.from({ length: count }, async (_, index) => {
      const client = this.#believers.get(index % numbers.length);
      await client?.put(`large${index}`, Buffer.alloc(bytes, index), { timeoutMs: largeMsMax });
    });
    const ends = await Promise.allSettled(writes);
    return ends.flatMap((end) => (end.status === 'fulfilled' ? [] : codeOf(end.reason)));
  }

  signal(kind: NodeKind, number: number, signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void {
    this.nodes.signal(kind, number, signal);
    if (signal === 'SIGSTOP') this.#stopped.add(`${kind} ${number}`);
    else this.#stopped.delete(`${kind} ${number}`);
  }

  /** Runs a command of the CLI; its end, and what it wrote. */
  command(...words: readonly string[]): Promise<CommandEnd> {
    const args = [this.nodes.cli, ...words, '--config', this.nodes.configFile];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: commandMsMax });
    let text = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (piece: string) => {
        text += piece;
      });
    return new Promise((resolve) => child.once('close', (code) => resolve({ code: code ?? -1, text })));
  }

  /** State of the links between two nodes, by name (`gateway 0`). */
  setLinks(one: string, other: string, state: LinkState): void {
    if (this.#links === undefined) throw new Error('this row has no links');
    this.#links.set(one, other, state);
  }

  /** Whether anything passes between a gateway and its coordinator. */
  setCoordinatorCut(gateway: number, isCut: boolean): void {
    if (isCut) writeFileSync(this.#cutFile(gateway), '');
    else rmSync(this.#cutFile(gateway), { force: true });
  }

  /** Disturbs a node's calls to a file. Ended by the caller or by `heal`. */
  async trace(kind: NodeKind, number: number, calls: string, file: string, fault: CallFault): Promise<Tracing> {
    const pid = this.nodes.pidOf(kind, number);
    if (pid === undefined) throw new Error(`${kind} ${number} does not run`);
    const tracing = await Tracing.of(pid, calls, file, fault);
    this.#tracings.push(tracing);
    return tracing;
  }

  smallDisk(logger: number): SmallDisk {
    const disk = this.#smallDisks[logger];
    if (disk === undefined) throw new Error('this row has no small disks');
    return disk;
  }

  /** Cuts the power of all nodes and their disk, and gives it back: what was not synced is gone. */
  async cutPower(): Promise<void> {
    if (this.#power === undefined) throw new Error('the power of this row can not be cut');
    this.#power.cutPower();
    await this.nodes.killAll();
    this.#power.restorePower();
  }

  /** Takes back every fault that lasts, and starts what has died, but `except`. @throws StartFailure */
  async heal(except: readonly string[] = []): Promise<void> {
    for (const tracing of this.#tracings.splice(0)) await tracing.end();
    this.#links?.openAll();
    for (const disk of this.#smallDisks) disk.free();
    for (const number of numbers) this.setCoordinatorCut(number, false);
    for (const name of [...this.#stopped]) {
      const [kind, number] = name.split(' ');
      if (kind === 'gateway' || kind === 'logger') this.signal(kind, Number(number), 'SIGCONT');
    }
    await this.nodes.startAll(except);
  }

  /**
   * Waits until each shard is served and all its zones have all their copies, and has them compared with one another.
   * @throws Error what is missing after `withinMs`
   */
  async replicated(withinMs: number): Promise<void> {
    const sinceMs = performance.now();
    // An owner that has just begun does not know yet what is missing.
    await sleep(repairLooksMs);
    const { shards, replicas } = this.nodes.config;
    const look = (): Promise<string | undefined> =>
      missingIn(this.#environment, this.nodes.endpoints, shards, Math.min(replicas, numbers.length)).catch(String);
    for (let missing = await look(); missing !== undefined; missing = await look()) {
      if (performance.now() - sinceMs > withinMs) throw new Error(`not whole after ${withinMs} ms: ${missing}`);
      await sleep(200);
    }
    this.notes.push(`whole again after ${((performance.now() - sinceMs) / 1_000).toFixed(1)} s`);
    const complaints = complaintsOfDigest(await this.command('zones', '--digest'));
    if (complaints.length > 0) throw new Error(`\`zones --digest\`: ${complaints.join('\n')}`);
  }

  /** Each shard as its owner sees it, of those gateways; undefined for one without. */
  owners(gateways: readonly number[] = numbers): ReturnType<typeof ownersOf> {
    const { endpoints, config } = this.nodes;
    const asked = gateways.flatMap((gateway) => endpoints[gateway] ?? []);
    return ownersOf(this.#environment, asked, config.shards);
  }

  /** Ends all, whatever state it is in. */
  async close(): Promise<void> {
    for (const believer of this.#believers.values()) await believer.close({ timeoutMs: 0 });
    for (const tracing of this.#tracings.splice(0)) await tracing.end();
    await this.nodes.end();
    this.#links?.close();
    for (const disk of this.#smallDisks) disk.unmount();
    this.#power?.unmount();
  }

  #cutFile(gateway: number): string {
    return join(this.#folder, `coordinator-cut-${gateway}`);
  }

  async #prepare(): Promise<void> {
    const { gateways, loggers } = this.nodes.config;
    const links = this.#links;
    if (links === undefined) return;
    const portOf = (address: string): number => Number(address.split(':').at(-1));
    for (const { id } of gateways) {
      for (const { id: other, peerAddress, clientAddress } of gateways)
        if (other !== id)
          await links.add(`gateway ${id}`, `gateway ${other}`, [portOf(peerAddress), portOf(clientAddress)]);
      for (const { id: logger, readAddress, writeAddress } of loggers)
        await links.add(`gateway ${id}`, `logger ${logger}`, [portOf(readAddress), portOf(writeAddress)]);
      this.nodes.setVariables('gateway', id, {
        [routesVariable]: JSON.stringify(links.routesOf(`gateway ${id}`)),
        [cutFileVariable]: this.#cutFile(id),
      });
    }
  }
}

function codeOf(error: unknown): string {
  return error instanceof KvError ? error.code : String(error);
}
