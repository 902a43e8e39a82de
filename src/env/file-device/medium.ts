/**
 * The file under a `file` device: bytes to extents, errors to the device's, and the state of failure that a bad write
 * or sync leaves (S17).
 *
 * It owns the file and its failure. It does not own which extents a zone has (zone-space.ts), nor when to sync
 * (group-sync.ts).
 */
import { assert } from '../../base/assert.ts';
import { isZero } from '../../base/bytes.ts';
import type { File } from '../files.ts';
import { FilesError } from '../files.ts';
import { DeviceError } from '../zoned-device.ts';
import { blockBytes } from './superblock.ts';
import type { ExtentPlace, Piece, Zone } from './zone.ts';
import { joined, piecesOf } from './zone.ts';

export const zeros = Buffer.alloc(256 * 1024);

export class Medium {
  readonly path: string;
  readonly place: ExtentPlace;
  readonly #file: File;
  #failure: DeviceError | undefined;
  /** End of what this object has written, or knows to be stable, in the file. */
  #fileBytes: number;

  constructor(path: string, file: File, place: ExtentPlace, stableBytes: number) {
    this.path = path;
    this.#file = file;
    this.place = place;
    this.#fileBytes = stableBytes;
  }

  get failure(): DeviceError | undefined {
    return this.#failure;
  }

  get fileBytes(): number {
    return this.#fileBytes;
  }

  /** @throws DeviceError `failed` */
  checkNotFailed(): void {
    const cause = this.#failure;
    if (cause !== undefined)
      throw new DeviceError('failed', `${this.path}: an earlier write or sync failed (S17): ${cause.message}`, {
        cause,
      });
  }

  /** Translates a failed write or sync for the caller. Anything but `full` is final. */
  writeError(cause: unknown, what: string): DeviceError {
    if (cause instanceof DeviceError) return cause;
    if (isFull(cause)) return new DeviceError('full', this.#text(cause, what), { cause });
    return this.fail(cause, what);
  }

  /** Final, whatever the cause. */
  fail(cause: unknown, what: string): DeviceError {
    const error = new DeviceError('io', this.#text(cause, what), { cause });
    this.#failure ??= error;
    return error;
  }

  write(zone: Zone, offset: number, bytes: Uint8Array): void {
    let done = 0;
    for (const piece of piecesOf(zone.extents, this.place, offset, bytes.length)) {
      const at = piece.at;
      assert(at !== undefined, 'a zone writes into its own extents');
      this.#file.write(
        at,
        done === 0 && piece.length === bytes.length ? bytes : bytes.subarray(done, done + piece.length),
      );
      done += piece.length;
      this.#fileBytes = Math.max(this.#fileBytes, at + piece.length);
    }
  }

  zero(zone: Zone, from: number, to: number): void {
    for (let offset = from; offset < to; offset += zeros.length)
      this.write(zone, offset, zeros.subarray(0, Math.min(zeros.length, to - offset)));
  }

  /** Undefined when the medium does not give them. */
  readIfGood(pieces: readonly Piece[], length: number): Uint8Array | undefined {
    try {
      return this.readNow(pieces, length);
    } catch {
      return undefined;
    }
  }

  /** Writes what was there before; blocks that take no space stay as they are, if they were zeros. */
  putBack(zone: Zone, offset: number, bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) {
      const end = Math.min(bytes.length, done + blockBytes - ((offset + done) % blockBytes));
      const block = bytes.subarray(done, end);
      try {
        this.write(zone, offset + done, block);
      } catch (cause) {
        if (!isFull(cause) || !isZero(block)) throw cause;
      }
      done = end;
    }
  }

  /** Zeros [from, to); on a full file system what is zeros already stays as it is, since it need not occupy space. */
  zeroEvenIfFull(zone: Zone, from: number, to: number): void {
    try {
      return this.zero(zone, from, to);
    } catch (cause) {
      if (!isFull(cause)) throw cause;
    }
    for (let offset = from; offset < to; ) {
      const end = Math.min(to, offset + blockBytes - (offset % blockBytes));
      const bytes = this.readNow(piecesOf(zone.extents, this.place, offset, end - offset), end - offset);
      if (!isZero(bytes)) this.zero(zone, offset, end);
      offset = end;
    }
  }

  zeroExtent(extent: number): void {
    const { dataOffset, extentBytes } = this.place;
    const start = dataOffset + extent * extentBytes;
    for (let done = 0; done < extentBytes; done += zeros.length) {
      this.#file.write(start + done, zeros.subarray(0, Math.min(zeros.length, extentBytes - done)));
    }
    this.#fileBytes = Math.max(this.#fileBytes, start + extentBytes);
  }

  /** @throws DeviceError `io`, which is not final: a bad spot is for the replicas to heal */
  readNow(pieces: readonly Piece[], length: number): Uint8Array {
    try {
      const parts = pieces.map((piece) =>
        piece.at === undefined ? new Uint8Array(piece.length) : this.#file.readNow(piece.at, piece.length),
      );
      return joined(parts, pieces, length);
    } catch (cause) {
      throw new DeviceError('io', this.#text(cause, `read of ${length} bytes`), { cause });
    }
  }

  async read(pieces: readonly Piece[], length: number): Promise<Uint8Array> {
    try {
      const parts = await Promise.all(
        pieces.map(async (piece) =>
          piece.at === undefined ? new Uint8Array(piece.length) : this.#file.read(piece.at, piece.length),
        ),
      );
      return joined(parts, pieces, length);
    } catch (cause) {
      throw new DeviceError('io', this.#text(cause, `read of ${length} bytes`), { cause });
    }
  }

  sync(): Promise<void> {
    return this.#file.sync();
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  #text(cause: unknown, what: string): string {
    return `${this.path}: ${what}: ${cause instanceof Error ? cause.message : String(cause)}`;
  }
}

export function isFull(cause: unknown): boolean {
  return (cause instanceof FilesError || cause instanceof DeviceError) && cause.code === 'full';
}
