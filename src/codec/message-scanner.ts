/**
 * Finds where messages end in a stream that arrives in arbitrary pieces, without decoding them. It keeps a count of
 * objects still to come and of bytes to pass, and goes on where it stopped, so that a message costs linear time however
 * it is cut.
 *
 * A message that lies within one piece is not copied, nor is one whose pieces follow each other in the same memory (a
 * socket that reads into a slab delivers such). Other pieces of a longer one are collected, small ones copied together
 * (a peer that sends single bytes must not cost an object for each), and joined once when the end is there. A very long
 * one is copied to its place as it arrives, since joining it would hold up everybody else for tens of milliseconds.
 * Limits strike as soon as a header shows that they will be exceeded; memory is reserved for bytes that have not come
 * only when many have.
 *
 * It owns the pieces of the message that is arriving, and how far it is scanned. It does not own what messages mean
 * (message-reader.ts), nor when the next piece is read (the channel's). Large because its state must outlast every
 * byte: it goes on between any two bytes of any type, and an object per state would cost the hot path more than fields.
 */
import { MessageFormatError } from './message-reader.ts';

export interface ScannerLimits {
  /** Bytes of one message. */
  readonly frameBytesMax: number;
  /** Objects in one message, members of arrays and maps included. */
  readonly frameItemsMax: number;
}

/** Pieces below this are copied into a common slab. */
const smallPieceBytes = 4096;
const headBytes = 16;
/** Bytes of a message that must have come, and as many that must follow, before room for all of it is reserved. */
const longBytes = 1024 * 1024;
/** Room for what may follow the last binary of a message. */
const longSlackBytes = 64;
const slabBytes = 16 * 1024;
const noBytes = Buffer.alloc(0);

/**
 * Bytes of the length field of a type that has one (1, 2 or 4), by type; else 0. Of these `bin`, `str` and extensions
 * (which have a type byte more) pass bytes, arrays and maps add objects.
 */
const lengthFieldBytes = new Uint8Array(256);
for (const [type, bytes] of [
  [0xc4, 1],
  [0xc5, 2],
  [0xc6, 4],
  [0xc7, 1],
  [0xc8, 2],
  [0xc9, 4],
  [0xd9, 1],
  [0xda, 2],
  [0xdb, 4],
  [0xdc, 2],
  [0xdd, 4],
  [0xde, 2],
  [0xdf, 4],
] as const) {
  lengthFieldBytes[type] = bytes;
}

/** Bytes that follow the type byte of a type with a fixed length, by type. */
const fixedBytes = new Uint8Array(256);
for (const [type, bytes] of [
  [0xca, 4],
  [0xcb, 8],
  [0xcc, 1],
  [0xcd, 2],
  [0xce, 4],
  [0xcf, 8],
  [0xd0, 1],
  [0xd1, 2],
  [0xd2, 4],
  [0xd3, 8],
  [0xd4, 2],
  [0xd5, 3],
  [0xd6, 5],
  [0xd7, 9],
  [0xd8, 17],
] as const) {
  fixedBytes[type] = bytes;
}
for (let type = 0xa0; type <= 0xbf; type++) fixedBytes[type] = type & 0x1f;

export class MessageScanner {
  /** The message that `next` found: [start, end) of `bytes`. */
  bytes: Buffer = noBytes;
  start = 0;
  end = 0;

  readonly #limits: ScannerLimits;
  #chunk: Buffer = noBytes;
  /** Place in the chunk where scanning goes on. */
  #at = 0;
  /** Start of the current message in the chunk, 0 if it is in an earlier one. */
  #messageStart = 0;
  /** Bytes of the current message in earlier chunks. */
  #earlier = 0;
  /**
   * The end of the chunk before, which belongs to the current message: it waits for a chunk that continues it in
   * memory.
   */
  #tail: Buffer = noBytes;
  #parts: Buffer[] = [];
  /** Small pieces: [slabStart, slabUsed) is not in `parts` yet. */
  #slab: Buffer = noBytes;
  #slabStart = 0;
  #slabUsed = 0;
  /** Room for the whole message, if it is very long: [0, longUsed) has come, and then nothing is in `parts`. */
  #long: Buffer = noBytes;
  #longUsed = 0;
  /** The current message has been scanned in part: its end has not come. */
  #begun = false;
  /** Objects still to come, bytes to pass first, objects seen. */
  #owed = 0;
  #toPass = 0;
  #items = 0;
  /** A length field that is being read: of which type, how much of it is to come, and what came. */
  #fieldType = 0;
  #fieldLeft = 0;
  #fieldValue = 0;

  constructor(limits: ScannerLimits) {
    this.#limits = limits;
  }

  /** Bytes held of a message whose end has not come. */
  get unfinishedBytes(): number {
    return this.#earlier + this.#tail.length + this.#chunk.length - this.#messageStart;
  }

  /** The first bytes, at most 16, of the message whose end has not been found; also after `next` has thrown. */
  head(): Buffer {
    this.#settleTail();
    if (this.#earlier === 0) return this.#chunk.subarray(this.#messageStart, this.#messageStart + headBytes);
    if (this.#longUsed > 0) return this.#long.subarray(0, headBytes);
    this.#endSlabPart();
    const parts: Buffer[] = [];
    for (let index = 0, length = 0; length < headBytes && index < this.#parts.length; index++) {
      const part = this.#parts[index] ?? noBytes;
      parts.push(part.subarray(0, headBytes - length));
      length += part.length;
    }
    parts.push(this.#chunk.subarray(0, headBytes));
    return Buffer.concat(parts).subarray(0, headBytes);
  }

  /** Adds a piece of the stream. REQUIRES: `next` has returned false since the last one. */
  push(chunk: Buffer): void {
    const tail = this.#tail;
    if (tail.length > 0 && tail.buffer === chunk.buffer && tail.byteOffset + tail.length === chunk.byteOffset) {
      this.#chunk = Buffer.from(tail.buffer, tail.byteOffset, tail.length + chunk.length);
      this.#at = tail.length;
      this.#tail = noBytes;
    } else {
      this.#settleTail();
      this.#chunk = chunk;
      this.#at = 0;
    }
    this.#messageStart = 0;
  }

  /**
   * Looks for the end of the next message; true when it is there, see `bytes`, `start`, `end`.
   * @throws MessageFormatError when the stream is not MessagePack or a limit is exceeded; the scanner is of no use
   * after that.
   */
  next(): boolean {
    if (!this.#begun) {
      if (this.#at >= this.#chunk.length) return this.#keepRest();
      this.#begun = true;
      this.#owed = 1;
      this.#items = 1;
    }
    if (!this.#scan()) return this.#keepRest();
    this.#begun = false;
    this.#found();
    return true;
  }

  /** Scans to the end of the message; false when the chunk ends before. */
  #scan(): boolean {
    const chunk = this.#chunk;
    const length = chunk.length;
    for (;;) {
      if (this.#toPass > 0) {
        const passed = Math.min(this.#toPass, length - this.#at);
        this.#at += passed;
        this.#toPass -= passed;
        if (this.#toPass > 0) return false;
      }
      if (this.#fieldLeft > 0 && !this.#scanField()) return false;
      if (this.#toPass > 0) continue;
      if (this.#owed === 0) return true;
      if (this.#at >= length) return false;
      this.#scanType(chunk[this.#at++] ?? 0);
    }
  }

  #scanType(type: number): void {
    this.#owed--;
    if (type < 0x80 || type >= 0xe0) return;
    if (type <= 0x9f) {
      const count = type & 0x0f;
      if (count > 0) this.#expect(type <= 0x8f ? 2 * count : count, 0);
      return;
    }
    const field = lengthFieldBytes[type] ?? 0;
    if (field > 0) {
      this.#fieldType = type;
      this.#fieldLeft = field;
      this.#fieldValue = 0;
      return;
    }
    if (type === 0xc1) throw new MessageFormatError('byte c1 is not MessagePack', this.#seen() - 1);
    const bytes = fixedBytes[type] ?? 0;
    if (bytes > 0) this.#expect(0, bytes);
  }

  /** Reads the length field as far as it is there; false when the chunk ends within it. */
  #scanField(): boolean {
    while (this.#fieldLeft > 0) {
      if (this.#at >= this.#chunk.length) return false;
      this.#fieldValue = this.#fieldValue * 256 + (this.#chunk[this.#at++] ?? 0);
      this.#fieldLeft--;
    }
    const type = this.#fieldType;
    if (type >= 0xde) this.#expect(2 * this.#fieldValue, 0);
    else if (type >= 0xdc) this.#expect(this.#fieldValue, 0);
    else this.#expect(0, this.#fieldValue + (type >= 0xc7 && type <= 0xc9 ? 1 : 0));
    return true;
  }

  #expect(objects: number, bytes: number): void {
    this.#owed += objects;
    this.#items += objects;
    this.#toPass = bytes;
    const { frameBytesMax, frameItemsMax } = this.#limits;
    if (this.#items > frameItemsMax)
      throw new MessageFormatError(`a message has more than ${frameItemsMax} objects`, this.#seen());
    if (this.#seen() + bytes + this.#owed > frameBytesMax) {
      throw new MessageFormatError(`a message has more than ${frameBytesMax} bytes`, this.#seen());
    }
  }

  /** Bytes of the current message scanned so far. */
  #seen(): number {
    return this.#earlier + this.#at - this.#messageStart;
  }

  #found(): void {
    this.end = this.#at;
    if (this.#earlier === 0) {
      this.bytes = this.#chunk;
      this.start = this.#messageStart;
    } else {
      this.#join();
    }
    this.#messageStart = this.#at;
  }

  #join(): void {
    const last = this.#chunk.subarray(0, this.#at);
    const total = this.#earlier + last.length;
    if (total > this.#long.length) this.#reserve(total);
    last.copy(this.#long, this.#longUsed);
    this.bytes = this.#long;
    this.start = 0;
    this.end = total;
    this.#earlier = 0;
    this.#long = noBytes;
    this.#longUsed = 0;
  }

  /** Moves what has come to memory with room for `length` bytes. */
  #reserve(length: number): void {
    const bytes = Buffer.allocUnsafeSlow(length);
    let at = this.#long.copy(bytes, 0, 0, this.#longUsed);
    this.#endSlabPart();
    for (const part of this.#parts) at += part.copy(bytes, at);
    this.#long = bytes;
    this.#longUsed = at;
    this.#parts = [];
    this.#slab = noBytes;
    this.#slabUsed = 0;
    this.#slabStart = 0;
  }

  /** Keeps what the chunk holds of an unfinished message and lets go of the chunk. */
  #keepRest(): false {
    if (this.#chunk.length > this.#messageStart)
      this.#tail = this.#messageStart === 0 ? this.#chunk : this.#chunk.subarray(this.#messageStart);
    this.#chunk = noBytes;
    this.bytes = noBytes;
    this.#at = 0;
    this.#messageStart = 0;
    return false;
  }

  /** Gives up the tail's waiting: the bytes that come next do not continue it. */
  #settleTail(): void {
    const tail = this.#tail;
    if (tail.length === 0) return;
    this.#tail = noBytes;
    if (this.#longUsed > 0) {
      this.#copyLong(tail);
    } else if (tail.length < smallPieceBytes) {
      this.#copySmall(tail);
    } else {
      this.#endSlabPart();
      this.#parts.push(tail);
    }
    this.#earlier += tail.length;
    if (this.#longUsed === 0 && this.#earlier >= longBytes && this.#toPass >= longBytes)
      this.#reserve(this.#earlier + this.#toPass + longSlackBytes);
  }

  /** Twice as much at least when the room does not do: each byte is moved a few times at most. */
  #copyLong(piece: Buffer): void {
    const needed = this.#longUsed + piece.length;
    if (needed > this.#long.length)
      this.#reserve(Math.max(needed + this.#toPass + longSlackBytes, 2 * this.#long.length));
    this.#longUsed += piece.copy(this.#long, this.#longUsed);
  }

  #copySmall(piece: Buffer): void {
    if (this.#slabUsed + piece.length > this.#slab.length) {
      this.#endSlabPart();
      // The first slab is small: most fragments are the last bytes of a chunk, and thousands of connections may hold
      // one.
      this.#slab = Buffer.allocUnsafeSlow(this.#earlier === 0 ? smallPieceBytes : slabBytes);
      this.#slabUsed = 0;
      this.#slabStart = 0;
    }
    piece.copy(this.#slab, this.#slabUsed);
    this.#slabUsed += piece.length;
  }

  #endSlabPart(): void {
    if (this.#slabUsed === this.#slabStart) return;
    this.#parts.push(this.#slab.subarray(this.#slabStart, this.#slabUsed));
    this.#slabStart = this.#slabUsed;
  }
}
