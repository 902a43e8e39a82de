/**
 * Frames over TCP: u32 length of the whole frame, u8 kind, u32 number, then the body; little-endian. Reading hands out
 * places in memory that is used again; writing gathers what one turn of the event loop has to say into one write of the
 * socket.
 */
import type { Socket } from 'node:net';
import { connect, createServer } from 'node:net';

/**
 * A `put` is u16 length of the key, key, value; a `get` a key; an `append` u32 position, then whole `put` frames. The
 * answer has the kind and number of its request; that to a `put` holds the position of its batch, that to a `get` the
 * value.
 */
export const kinds = { put: 1, get: 2, append: 3, confirm: 4 } as const;
export const headerBytes = 9;
/** What a turn brings or says fits in. */
export const memoryBytes = 4 * 1024 * 1024;

/** The body of a frame is `bytes` from `start` to `end`, valid during the call. */
export type OnFrame = (kind: number, number: number, bytes: Buffer, start: number, end: number) => void;

export function writeHeader(bytes: Buffer, at: number, kind: number, number: number, frameBytes: number): void {
  bytes.writeUInt32LE(frameBytes, at);
  bytes.writeUInt8(kind, at + 4);
  bytes.writeUInt32LE(number, at + 5);
}

/** Cuts a stream into frames where it lies. */
class FrameReader {
  readonly #onFrame: OnFrame;
  readonly #memory = Buffer.allocUnsafeSlow(memoryBytes);
  /** Bytes of an incomplete frame at the start of the memory. */
  #kept = 0;

  constructor(onFrame: OnFrame) {
    this.#onFrame = onFrame;
  }

  /** Where the socket should read to. */
  room(): Uint8Array {
    return this.#kept === 0 ? this.#memory : this.#memory.subarray(this.#kept);
  }

  /** `count` bytes were read into `room()`. */
  readInPlace(count: number): boolean {
    this.#cut(this.#memory, this.#kept + count);
    return true;
  }

  read(chunk: Buffer): void {
    if (this.#kept === 0) this.#cut(chunk, chunk.length);
    else this.readInPlace(chunk.copy(this.#memory, this.#kept));
  }

  #cut(bytes: Buffer, end: number): void {
    let start = 0;
    while (end - start >= headerBytes) {
      const next = start + bytes.readUInt32LE(start);
      if (next > end) break;
      this.#onFrame(bytes.readUInt8(start + 4), bytes.readUInt32LE(start + 5), bytes, start + headerBytes, next);
      start = next;
    }
    this.#kept = end - start;
    if (this.#kept === memoryBytes) throw new Error('a frame is too long');
    if (this.#kept > 0 && (start > 0 || bytes !== this.#memory)) bytes.copy(this.#memory, 0, start, end);
  }
}

/** What is written in a turn leaves at its end. */
export class FrameWriter {
  readonly #socket: Socket;
  bytes = Buffer.allocUnsafeSlow(memoryBytes);
  #length = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Begins a frame; the caller writes its body into `bytes` from the returned place on, at once. */
  frame(kind: number, number: number, bodyBytes: number): number {
    const start = this.#length;
    if (start === 0) setImmediate(() => this.#flush());
    this.#length = start + headerBytes + bodyBytes;
    if (this.#length > memoryBytes) throw new Error('too much for one turn');
    writeHeader(this.bytes, start, kind, number, headerBytes + bodyBytes);
    return start + headerBytes;
  }

  #flush(): void {
    this.#socket.write(this.bytes.subarray(0, this.#length));
    this.#length = 0;
    // As a rule the kernel has taken all of it already, and the memory is free again.
    if (this.#socket.writableLength > 0) this.bytes = Buffer.allocUnsafeSlow(memoryBytes);
  }
}

/** Reads into one piece of memory, over and over. */
export function connectTo(port: number, onFrame: OnFrame): Promise<Socket> {
  const reader = new FrameReader(onFrame);
  const onread = { buffer: () => reader.room(), callback: (count: number) => reader.readInPlace(count) };
  return new Promise((resolve, reject) => {
    const socket: Socket = connect({ port, host: '127.0.0.1', noDelay: true, onread }, () => resolve(socket));
    socket.once('error', reject);
  });
}

/**
 * For a child: tells its parent the port, and ends with it. Node can't read into one's own memory here: each chunk is
 * new memory.
 */
export function serve(onConnection: (socket: Socket) => OnFrame): void {
  process.once('disconnect', () => process.exit());
  const server = createServer({ noDelay: true }, (socket) => {
    const reader = new FrameReader(onConnection(socket));
    socket.on('data', (chunk) => reader.read(chunk));
  });
  server.listen(0, '127.0.0.1', () => process.send?.(server.address()));
}
