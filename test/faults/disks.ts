/**
 * File systems of the fault test, which take the right to mount: a small one that fills up, and one in a file whose
 * power can be cut: what was not synced is gone then (`EXT4_IOC_SHUTDOWN` without a flush of the journal).
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, fsyncSync, mkdirSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MIB } from '../../src/base/units.ts';

/** From linux/fs/ext4: the request, and "do not write the journal". */
const shutdownRequest = 0x8004_587d;
const withoutFlush = 2;
const imageMebibytes = 512;

/** @throws Error with what it said */
function run(command: string, ...words: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(command, words, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${words.join(' ')}: ${error?.message ?? stderr}`);
  return stdout;
}

/** A file system that was mounted at a folder. It is unmounted when this process ends. */
abstract class Mount {
  readonly folder: string;
  readonly #onExit = (): void => this.#unmountNow();

  protected constructor(folder: string) {
    this.folder = folder;
    mkdirSync(folder, { recursive: true });
    process.prependOnceListener('exit', this.#onExit);
  }

  /** REQUIRES: nobody has a file open there. */
  unmount(): void {
    process.off('exit', this.#onExit);
    run('umount', this.folder);
  }

  #unmountNow(): void {
    spawnSync('umount', ['--lazy', this.folder]);
  }
}

/** In memory, of a few MiB. */
export class SmallDisk extends Mount {
  /** @throws Error this process may not mount */
  constructor(folder: string, mebibytes: number) {
    super(folder);
    run('mount', '-t', 'tmpfs', '-o', `size=${mebibytes}m`, 'kv-filelog-faults', folder);
  }

  get #ballast(): string {
    return join(this.folder, 'ballast');
  }

  /** Takes all space that is left; by another process, since the clients of this one are measured. */
  async fill(): Promise<void> {
    const { bavail, bsize } = statfsSync(this.folder);
    const child = spawn('fallocate', ['--length', String(bavail * bsize), this.#ballast], { stdio: 'ignore' });
    await once(child, 'exit');
    if (child.exitCode !== 0) throw new Error(`fallocate ended with ${child.exitCode}`);
  }

  free(): void {
    rmSync(this.#ballast, { force: true });
  }
}

/** In a file, and journalled. */
export class DiskWithPower extends Mount {
  readonly #image: string;

  /** @throws Error this process may not mount */
  constructor(folder: string, image: string) {
    super(folder);
    this.#image = image;
    const file = openSync(image, 'w');
    writeSync(file, Buffer.of(0), 0, 1, imageMebibytes * MIB - 1);
    closeSync(file);
    run('mkfs.ext4', '-q', '-F', image);
    this.#mount();
  }

  /** From here on nothing reaches the disk, and reads of what is not in memory fail. */
  cutPower(): void {
    const program =
      'open(my $d, "<", $ARGV[0]) or die; my $how = pack("L", $ARGV[2]); ioctl($d, $ARGV[1], $how) or die "$!"';
    run('perl', '-e', program, this.folder, String(shutdownRequest), String(withoutFlush));
  }

  /** Power is back. REQUIRES: nobody has a file open there. */
  restorePower(): void {
    run('umount', this.folder);
    this.#mount();
  }

  #mount(): void {
    run('mount', '-o', 'loop', this.#image, this.folder);
  }
}

/** Undefined: small disks can be made here. */
export function whyNoSmallDisk(): string | undefined {
  return whyNot((folder) => new SmallDisk(join(folder, 'disk'), 1).unmount());
}

/** Undefined: the power of a disk can be cut here, and what was not synced is gone then. */
export function whyNoPowerCut(): string | undefined {
  return whyNot((folder) => {
    const disk = new DiskWithPower(join(folder, 'disk'), join(folder, 'image'));
    const file = openSync(join(disk.folder, 'file'), 'w');
    writeSync(file, 'synced');
    fsyncSync(file);
    writeSync(file, 'not');
    disk.cutPower();
    closeSync(file);
    disk.restorePower();
    const found = run('cat', join(disk.folder, 'file'));
    disk.unmount();
    if (found !== 'synced') throw new Error(`a power cut left '${found}'`);
  });
}

function whyNot(attempt: (folder: string) => void): string | undefined {
  const folder = join(tmpdir(), `kv-filelog-mount-${process.pid}`);
  try {
    attempt(folder);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message.trim() : String(error);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
