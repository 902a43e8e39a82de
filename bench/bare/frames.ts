/**
 * Frames over TCP: u32 length of the whole frame, u8 kind, u32 number, then the body; little-endian. Reading hands out places in memory that
 * is used again, writing gathers what one turn of the event loop has to say into one write of the socket.
 */
import type { Socket } from 'node:net';
import { connect, createServer } from 'node:net';

export const headerBytes = 9;

/**
 * A `put` is u16 length of the key, key, value; a `get` a key; an `append` u32 position, then whole `put` frames. The answer has the kind and
 * number of its request; that to a `put` holds the position of its batch, that to a `get` the value.
 */
export const kinds = { put: 1, get: 2, append: 3, confirm: 4 } as const;

export interface FrameHandler {
  /** The body of a frame is `bytes` from `start` to `end`, valid until `onPause` has been called. */
  onFrame(kind: number, number: number, bytes: Buffer, start: number, end: number): void;
  /** What has been read so far is done with. */
  onPause(bytes: Buffer): void;
}

/** A shard's part of a logger's file, written with zeros first, then used round and round: a sync never has to write how long the file is. */
export const regionBytes = 32 * 1024 * 1024;

const memoryBytes = 256 * 1024;

/** Cuts a stream into frames, where it lies as far as possible. */
export class FrameReader {
  readonly #handler: FrameHandler;
  #memory = Buffer.allocUnsafeSlow(memoryBytes);
  /** Bytes of an incomplete frame at the start of the memory. */
  #kept = 0;

  constructor(handler: FrameHandler) {
    this.#handler = handler;
  }

  /** Where the socket should read to. */
  room(): Uint8Array {
    return this.#kept === 0 ? this.#memory : this.#memory.subarray(this.#kept);
  }

  /** `count` bytes were read into `room()`. */
  readInPlace(count: number): void {
    this.#cut(this.#memory, this.#kept + count);
  }

  read(chunk: Buffer): void {
    if (this.#kept === 0) return this.#cut(chunk, chunk.length);
    this.#grow(this.#kept + chunk.length);
    chunk.copy(this.#memory, this.#kept);
    this.#cut(this.#memory, this.#kept + chunk.length);
  }

  #cut(bytes: Buffer, end: number): void {
    let start = 0;
    while (end - start >= headerBytes) {
      const next = start + bytes.readUInt32LE(start);
      if (next > end) break;
      this.#handler.onFrame(bytes.readUInt8(start + 4), bytes.readUInt32LE(start + 5), bytes, start + headerBytes, next);
      start = next;
    }
    this.#handler.onPause(bytes);
    const wanted = end - start >= 4 ? bytes.readUInt32LE(start) : 0;
    this.#kept = end - start;
    if (wanted > this.#memory.length) this.#grow(wanted, bytes === this.#memory ? end : 0);
    if (this.#kept > 0 && (start > 0 || bytes !== this.#memory)) bytes.copy(this.#memory, 0, start, end);
  }

  #grow(size: number, used = this.#kept): void {
    if (size <= this.#memory.length) return;
    const larger = Buffer.allocUnsafeSlow(2 * size);
    this.#memory.copy(larger, 0, 0, used);
    this.#memory = larger;
  }
}

export function writeHeader(bytes: Buffer, at: number, kind: number, number: number, frameBytes: number): void {
  bytes.writeUInt32LE(frameBytes, at);
  bytes.writeUInt8(kind, at + 4);
  bytes.writeUInt32LE(number, at + 5);
}

/** What is written in a turn leaves at its end. */
export class FrameWriter {
  readonly #socket: Socket;
  #bytes = Buffer.allocUnsafeSlow(memoryBytes);
  #length = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  get bytes(): Buffer {
    return this.#bytes;
  }

  /** Begins a frame whose body the caller writes into `bytes` at the returned place, now. */
  frame(kind: number, number: number, bodyBytes: number): number {
    const start = this.#length;
    const body = start + headerBytes;
    const end = body + bodyBytes;
    if (start === 0) setImmediate(() => this.#flush());
    if (end > this.#bytes.length) this.#grow(2 * end);
    writeHeader(this.#bytes, start, kind, number, headerBytes + bodyBytes);
    this.#length = end;
    return body;
  }

  #grow(size: number): void {
    const larger = Buffer.allocUnsafeSlow(size);
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }

  #flush(): void {
    this.#socket.write(this.#bytes.subarray(0, this.#length));
    this.#length = 0;
    // As a rule the kernel has taken all of it already, and the memory is free again.
    if (this.#socket.writableLength > 0) this.#bytes = Buffer.allocUnsafeSlow(memoryBytes);
  }
}

/** Reads into one piece of memory of its own, over and over. */
export function connectTo(port: number, handler: FrameHandler): Promise<Socket> {
  const reader = new FrameReader(handler);
  return new Promise((resolve, reject) => {
    const onread = {
      buffer: () => reader.room(),
      callback: (count: number) => {
        reader.readInPlace(count);
        return true;
      },
    };
    const socket: Socket = connect({ port, host: '127.0.0.1', noDelay: true, onread }, () => resolve(socket));
    socket.once('error', reject);
  });
}

/** Resolves to the port. Sockets of a server can't read into memory of one's own: each read has its own buffer. */
export function listen(onConnection: (socket: Socket) => FrameHandler): Promise<number> {
  const server = createServer({ noDelay: true }, (socket) => {
    const reader = new FrameReader(onConnection(socket));
    socket.on('data', (chunk) => reader.read(chunk));
  });
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      if (address === null || typeof address === 'string') throw new Error('a TCP server has a port');
      resolve(address.port);
    });
  });
}

/** A child tells its parent that it serves, and ends with it. */
export function serve(port: number): void {
  process.once('disconnect', () => process.exit());
  process.send?.(port);
}
