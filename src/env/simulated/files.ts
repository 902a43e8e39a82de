/**
 * The disk of one simulated machine and the view that each of its processes has of it. The disk forgets what was not
 * synced, tears writes, rots bits, fills up, hangs and fails, by its `Random` and by what a test tells it. Names
 * (create, rename, remove, folders) are stable when the call returns, as the real implementation makes them.
 *
 * `process.kill()` is a process that dies: its handles and locks are gone, the cache stays. `disk.crash()` is a power
 * loss: all processes are killed and unsynced writes are kept, dropped or torn. Calls under way in a process that died
 * never settle.
 */
import { assert } from '../../base/assert.ts';
import type { Clock } from '../clock.ts';
import type { File, Files, FolderLock } from '../files.ts';
import { FilesError } from '../files.ts';
import type { Random } from '../random.ts';
import { below } from '../random.ts';
import { FileImage, pageBytes, sectorBytes } from './file-image.ts';

/** Faults of a disk from now on; change them at any time. */
export interface DiskFaults {
  /** A sync takes so long, plus up to the spread. 0 and 0: it is done in the same turn. */
  syncDelayMs: number;
  syncDelaySpreadMs: number;
  /** The same for `read`. */
  readDelayMs: number;
  /** So many of the next syncs fail: what they cover is lost. */
  failSyncs: number;
  /** Every write fails. */
  failWrites: boolean;
  /** Every read fails. */
  failReads: boolean;
  /** Share of the writes, out of 1,000, that fail (`io`), and of those into new pages that find no space (`full`). */
  failedWritesPerMille: number;
  fullWritesPerMille: number;
  /** Share of the reads, out of 1,000, that fail. */
  failedReadsPerMille: number;
}

/** Copy of all files of a disk at one moment. */
export interface DiskImage {
  readonly images: readonly (readonly [string, FileImage])[];
  readonly folders: readonly string[];
}

export interface SimulatedDiskOptions {
  readonly random: Random;
  readonly clock: Clock;
  /** Bytes of pages that files can occupy together. Default: no limit. */
  readonly capacityBytes?: number;
}

export class SimulatedDisk {
  readonly faults: DiskFaults = {
    syncDelayMs: 0,
    syncDelaySpreadMs: 0,
    readDelayMs: 0,
    failSyncs: 0,
    failWrites: false,
    failReads: false,
    failedWritesPerMille: 0,
    fullWritesPerMille: 0,
    failedReadsPerMille: 0,
  };
  /** May be changed: a disk that has become too small is full. */
  capacityBytes: number;
  readonly #random: Random;
  readonly #clock: Clock;
  readonly #images = new Map<string, FileImage>();
  readonly #folders = new Set<string>(['/', '.']);
  readonly #locks = new Map<string, SimulatedFiles>();
  readonly #processes = new Set<SimulatedFiles>();
  /** Bad sectors by file. */
  readonly #spoilt = new Map<string, Set<number>>();
  #held: (() => void)[] | undefined;
  #isCutOff = false;

  constructor(options: SimulatedDiskOptions) {
    this.#random = options.random;
    this.#clock = options.clock;
    this.capacityBytes = options.capacityBytes ?? Number.POSITIVE_INFINITY;
  }

  /** The files as a new process of the machine sees them. */
  process(): SimulatedFiles {
    const made = new SimulatedFiles({
      disk: this,
      images: this.#images,
      folders: this.#folders,
      locks: this.#locks,
      delay: (milliseconds, spread) => this.#delay(milliseconds, spread),
      held: () => this.#whileHeld(),
      died: (files) => this.#processes.delete(files),
    });
    this.#processes.add(made);
    return made;
  }

  /**
   * The power of the disk alone is gone, and with it what is written from now on; what was written before has reached
   * the medium. No sync ends any more. `crash` follows, in a turn of its own.
   */
  cutOff(): void {
    this.#isCutOff = true;
    for (const image of this.#images.values()) image.settle(image.mark);
    this.holdSyncs();
  }

  get isCutOff(): boolean {
    return this.#isCutOff;
  }

  /** Power loss. */
  crash(): void {
    if (this.#isCutOff) {
      this.#isCutOff = false;
      this.#held = undefined;
    }
    for (const files of [...this.#processes]) files.kill();
    for (const image of this.#images.values()) image.crash(this.#random);
  }

  /** Files as a power loss would leave them now at the least: nothing that is not stable is among them. */
  stableImage(): DiskImage {
    return {
      images: [...this.#images].map(([name, image]) => [name, image.stableCopy()]),
      folders: [...this.#folders],
    };
  }

  /** The disk was put back to an older copy, or never held what it said was stable. REQUIRES: no process runs. */
  putBack({ images, folders }: DiskImage): void {
    assert(this.#processes.size === 0, 'a disk is put back while nobody uses it');
    this.#images.clear();
    this.#folders.clear();
    for (const [name, image] of images) this.#images.set(name, image.stableCopy());
    for (const folder of folders) this.#folders.add(folder);
  }

  /** Syncs that would finish from now on don't, until `releaseSyncs`. */
  holdSyncs(): void {
    this.#held ??= [];
  }

  releaseSyncs(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const release of held) release();
  }

  /** Flips the bits of `mask` of one byte. @throws FilesError `not-found` */
  rot(path: string, offset: number, mask = 1): void {
    const image = this.#images.get(normalized(path));
    if (image === undefined) throw new FilesError('not-found', `${path}: no such file`);
    image.rot(offset, mask);
  }

  /** Flips a random bit of a file, or of any file; says where. Undefined: nothing there to rot. */
  rotSomewhere(path?: string): { readonly path: string; readonly offset: number } | undefined {
    const names = path === undefined ? [...this.#images.keys()] : [normalized(path)];
    const name = names[names.length === 0 ? 0 : below(this.#random, names.length)] ?? '';
    const image = this.#images.get(name);
    const offset = image?.someOffset(this.#random);
    if (image === undefined || offset === undefined) return undefined;
    image.rot(offset, 1 << below(this.#random, 8));
    return { path: name, offset };
  }

  /** Offsets in a file, multiples of `unit` (which divides a page), at which `bytes` stand. */
  placesOf(path: string, bytes: Uint8Array, unit: number): number[] {
    return this.#images.get(normalized(path))?.placesOf(bytes, unit) ?? [];
  }

  /** Bytes of a file as reads show them; none where there is no such file. */
  bytesAt(path: string, offset: number, length: number): Uint8Array {
    return this.#images.get(normalized(path))?.read(offset, length) ?? new Uint8Array(0);
  }

  /** Bad sectors: reads of any byte of them fail until they are written. */
  spoil(path: string, offset: number, length: number): void {
    const name = normalized(path);
    const spoilt = this.#spoilt.get(name) ?? new Set<number>();
    this.#spoilt.set(name, spoilt);
    for (const sector of sectorsOf(offset, length)) spoilt.add(sector);
  }

  /** Whether a read fails by its place or by chance. */
  failsToRead(name: string, offset: number, length: number): boolean {
    const { failReads, failedReadsPerMille } = this.faults;
    if (failReads || this.#happens(failedReadsPerMille)) return true;
    const spoilt = this.#spoilt.get(name);
    return spoilt !== undefined && spoilt.size > 0 && sectorsOf(offset, length).some((sector) => spoilt.has(sector));
  }

  /** Error that a write meets by chance. */
  failureOfWrite(name: string, offset: number, needsSpace: boolean): FilesError | undefined {
    const { failWrites, failedWritesPerMille, fullWritesPerMille } = this.faults;
    if (failWrites || this.#happens(failedWritesPerMille))
      return new FilesError('io', `write ${name} at ${offset}: simulated failure`);
    if (!needsSpace || !this.#happens(fullWritesPerMille)) return undefined;
    return new FilesError('full', `write ${name} at ${offset}: no space, simulated`);
  }

  /** The sectors were written: they can be read again. */
  written(name: string, offset: number, length: number): void {
    const spoilt = this.#spoilt.get(name);
    if (spoilt !== undefined) for (const sector of sectorsOf(offset, length)) spoilt.delete(sector);
  }

  /** Draws only when it could, so that lives without this fault are as they were. */
  #happens(perMille: number): boolean {
    return perMille > 0 && below(this.#random, 1_000) < perMille;
  }

  /** Everything in `folder` is gone: a replaced disk, or somebody's rm -r. */
  wipe(folder = '/'): void {
    const prefix = folder === '/' ? '' : `${normalized(folder)}/`;
    for (const name of [...this.#images.keys()]) if (name.startsWith(prefix)) this.#images.delete(name);
    for (const name of [...this.#folders])
      if (name.startsWith(prefix) && name !== '/' && name !== '.') this.#folders.delete(name);
  }

  get usedBytes(): number {
    let pages = 0;
    for (const image of this.#images.values()) pages += image.pageCount;
    return pages * pageBytes;
  }

  async #delay(milliseconds: number, spread: number): Promise<void> {
    const delay = milliseconds + (spread > 0 ? (spread * below(this.#random, 1_000)) / 1_000 : 0);
    if (delay <= 0) return;
    await new Promise<void>((resolve) => {
      this.#clock.after(delay, resolve);
    });
  }

  async #whileHeld(): Promise<void> {
    while (this.#held !== undefined) {
      const held = this.#held;
      await new Promise<void>((resolve) => {
        held.push(resolve);
      });
    }
  }
}

/** State that the views share with their disk. */
interface Shared {
  readonly disk: SimulatedDisk;
  readonly images: Map<string, FileImage>;
  readonly folders: Set<string>;
  readonly locks: Map<string, SimulatedFiles>;
  delay(milliseconds: number, spread: number): Promise<void>;
  held(): Promise<void>;
  died(files: SimulatedFiles): void;
}

export class SimulatedFiles implements Files {
  readonly #shared: Shared;
  #dead = false;

  constructor(shared: Shared) {
    this.#shared = shared;
  }

  get dead(): boolean {
    return this.#dead;
  }

  /** The process dies. Idempotent. */
  kill(): void {
    this.#dead = true;
    for (const [folder, holder] of this.#shared.locks) if (holder === this) this.#shared.locks.delete(folder);
    this.#shared.died(this);
  }

  async open(
    path: string,
    options: { readonly create?: boolean; readonly exclusive?: boolean; readonly readOnly?: boolean },
  ): Promise<File> {
    await this.#alive();
    const name = normalized(path);
    if (this.#shared.folders.has(name)) throw new FilesError('io', `${path}: a folder`);
    let image = this.#shared.images.get(name);
    if (image !== undefined && options.exclusive === true) throw new FilesError('exists', `${path}: exists`);
    if (image === undefined) {
      if (options.create !== true && options.exclusive !== true)
        throw new FilesError('not-found', `${path}: no such file`);
      this.#checkFolder(parentOf(name));
      image = new FileImage();
      this.#shared.images.set(name, image);
    }
    return new SimulatedFile(this, this.#shared, name, image, options.readOnly ?? false);
  }

  /** Nobody but this node writes its files. */
  watch(): undefined {
    return undefined;
  }

  async list(folder: string): Promise<string[]> {
    await this.#alive();
    const name = normalized(folder);
    this.#checkFolder(name);
    const all = [...this.#shared.images.keys(), ...this.#shared.folders].filter(
      (path) => path !== name && parentOf(path) === name,
    );
    return all.map((path) => path.slice(path.lastIndexOf('/') + 1)).sort();
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#alive();
    const image = this.#shared.images.get(normalized(from));
    if (image === undefined) throw new FilesError('not-found', `${from}: no such file`);
    this.#checkFolder(parentOf(normalized(to)));
    this.#shared.images.delete(normalized(from));
    this.#shared.images.set(normalized(to), image);
  }

  async remove(path: string): Promise<void> {
    await this.#alive();
    this.#shared.images.delete(normalized(path));
  }

  async makeFolder(path: string): Promise<void> {
    await this.#alive();
    for (let name = normalized(path); !this.#shared.folders.has(name); name = parentOf(name)) {
      if (this.#shared.images.has(name))
        throw new FilesError('exists', `make folder ${path}: a file of this name is there`);
      this.#shared.folders.add(name);
    }
  }

  async freeBytes(path: string): Promise<number> {
    await this.#alive();
    const name = normalized(path);
    if (!this.#shared.images.has(name)) this.#checkFolder(name);
    return Math.max(0, this.#shared.disk.capacityBytes - this.#shared.disk.usedBytes);
  }

  async lock(folder: string): Promise<FolderLock> {
    await this.#alive();
    const name = normalized(folder);
    this.#checkFolder(name);
    if (this.#shared.locks.has(name))
      throw new FilesError('locked', `lock ${folder}: another process or another part of this one uses the folder`);
    this.#shared.locks.set(name, this);
    let held = true;
    return {
      release: async () => {
        if (held && !this.#dead) this.#shared.locks.delete(name);
        held = false;
      },
    };
  }

  async #alive(): Promise<void> {
    if (this.#dead) await never();
  }

  #checkFolder(name: string): void {
    if (!this.#shared.folders.has(name)) throw new FilesError('not-found', `${name}: no such folder`);
  }
}

class SimulatedFile implements File {
  readonly #files: SimulatedFiles;
  readonly #shared: Shared;
  readonly #name: string;
  readonly #image: FileImage;
  readonly #readOnly: boolean;
  #open = true;
  readonly #underWay = new Set<Promise<unknown>>();

  constructor(files: SimulatedFiles, shared: Shared, name: string, image: FileImage, readOnly: boolean) {
    this.#files = files;
    this.#shared = shared;
    this.#name = name;
    this.#image = image;
    this.#readOnly = readOnly;
  }

  write(offset: number, bytes: Uint8Array): void {
    this.#checkWritable();
    const { disk } = this.#shared;
    if (disk.isCutOff) return;
    const failure = disk.failureOfWrite(this.#name, offset, this.#image.absentPages(offset, bytes.length) > 0);
    if (failure !== undefined) throw failure;
    disk.written(this.#name, offset, bytes.length);
    if (disk.capacityBytes === Number.POSITIVE_INFINITY || this.#fits(offset, bytes.length)) {
      this.#image.write(offset, bytes);
      return;
    }
    // As pwrite does: what fits is written.
    for (let done = 0; done < bytes.length; ) {
      const count = Math.min(bytes.length - done, pageBytes - ((offset + done) % pageBytes));
      const needed = this.#image.absentPages(offset + done, count) * pageBytes;
      if (disk.usedBytes + needed > disk.capacityBytes)
        throw new FilesError('full', `write ${this.#name} at ${offset + done}: no space left`);
      this.#image.write(offset + done, bytes.subarray(done, done + count));
      done += count;
    }
  }

  #fits(offset: number, length: number): boolean {
    const { disk } = this.#shared;
    const absent = this.#image.absentPages(offset, length);
    return absent === 0 || disk.usedBytes + absent * pageBytes <= disk.capacityBytes;
  }

  readNow(offset: number, length: number): Uint8Array {
    this.#check();
    if (this.#shared.disk.failsToRead(this.#name, offset, length))
      throw new FilesError('io', `read ${this.#name} at ${offset}: simulated failure`);
    return this.#image.read(offset, length);
  }

  read(offset: number, length: number): Promise<Uint8Array> {
    return this.#background(async () => {
      await this.#shared.delay(this.#shared.disk.faults.readDelayMs, 0);
      if (this.#files.dead) return never();
      if (this.#shared.disk.failsToRead(this.#name, offset, length))
        throw new FilesError('io', `read ${this.#name} at ${offset}: simulated failure`);
      return this.#image.read(offset, length);
    });
  }

  sync(): Promise<void> {
    return this.#background(async () => {
      const { faults } = this.#shared.disk;
      const mark = this.#image.mark;
      await this.#shared.delay(faults.syncDelayMs, faults.syncDelaySpreadMs);
      await this.#shared.held();
      if (this.#files.dead) return never();
      if (faults.failSyncs > 0) {
        faults.failSyncs -= 1;
        this.#image.lose(mark);
        throw new FilesError('io', `sync ${this.#name}: simulated failure`);
      }
      this.#image.settle(mark);
    });
  }

  size(): number {
    this.#check();
    return this.#image.size;
  }

  truncate(length: number): void {
    this.#checkWritable();
    if (!this.#shared.disk.isCutOff) this.#image.truncate(length);
  }

  async close(): Promise<void> {
    this.#open = false;
    await Promise.allSettled(this.#underWay);
  }

  #check(): void {
    if (!this.#open || this.#files.dead) throw new FilesError('closed', `${this.#name} is closed`);
  }

  #checkWritable(): void {
    this.#check();
    if (this.#readOnly) throw new FilesError('permission', `${this.#name} is open for reading only`);
  }

  async #background<T>(work: () => Promise<T>): Promise<T> {
    this.#check();
    const running = work();
    this.#underWay.add(running);
    try {
      return await running;
    } finally {
      this.#underWay.delete(running);
    }
  }
}

function sectorsOf(offset: number, length: number): number[] {
  const first = Math.floor(offset / sectorBytes);
  return Array.from({ length: Math.ceil((offset + length) / sectorBytes) - first }, (_, index) => first + index);
}

/** The process that waits for it is dead. */
function never(): Promise<never> {
  return new Promise<never>(() => undefined);
}

/** Without empty, `.` and trailing parts. */
function normalized(path: string): string {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  const joined = parts.join('/');
  if (path.startsWith('/')) return `/${joined}`;
  return joined === '' ? '.' : joined;
}

function parentOf(name: string): string {
  const at = name.lastIndexOf('/');
  return at < 0 ? '.' : at === 0 ? '/' : name.slice(0, at);
}
