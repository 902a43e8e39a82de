/**
 * MessagePack decoder over one complete message, as the scanner found it. Every read is checked against the end of the
 * message, so that a reader that expects more than was sent never runs into the next message.
 *
 * It owns the place in one message. It does not own where the message ends (message-scanner.ts), nor copies: ranges and
 * binaries share the message's memory. What methods and their members mean is their codec's.
 */
import { isUtf8 } from 'node:buffer';

/** The message has another form than its reader expects. `position`: bytes from the start of the message. */
export class MessageFormatError extends Error {
  override readonly name = 'MessageFormatError';
  readonly position: number;

  constructor(message: string, position: number) {
    super(`${message} at byte ${position}`);
    this.position = position;
  }
}

/** Nesting that `value` follows; deeper data is refused. */
const depthMax = 64;

/**
 * MessagePack decoder over one complete message. Every method throws MessageFormatError when something else is there.
 */
export class MessageReader {
  /** Memory that the ranges refer to. */
  readonly bytes: Buffer;
  position: number;
  /** Start and length of the last `range()`. */
  rangeStart = 0;
  rangeLength = 0;
  readonly #start: number;
  readonly #end: number;

  /** Reads [position, end) of `bytes`. */
  constructor(bytes: Buffer, position = 0, end = bytes.length) {
    this.bytes = bytes;
    this.position = position;
    this.#start = position;
    this.#end = Math.min(end, bytes.length);
  }

  /** Bytes of the message that were read. */
  get offset(): number {
    return this.position - this.#start;
  }

  /** Nothing is left to read. */
  get atEnd(): boolean {
    return this.position >= this.#end;
  }

  /** The count of members. At least as many bytes are left. */
  array(): number {
    const type = this.#byte();
    let count: number;
    if (type >= 0x90 && type <= 0x9f) count = type & 0x0f;
    else if (type === 0xdc) count = this.#u16();
    else if (type === 0xdd) count = this.#u32();
    else return this.#unexpected(type, 'an array');
    return this.#plausible(count, count);
  }

  /** The count of pairs. At least twice as many bytes are left. */
  map(): number {
    const type = this.#byte();
    let count: number;
    if (type >= 0x80 && type <= 0x8f) count = type & 0x0f;
    else if (type === 0xde) count = this.#u16();
    else if (type === 0xdf) count = this.#u32();
    else return this.#unexpected(type, 'a map');
    return this.#plausible(count, 2 * count);
  }

  /** Consumes a nil if one is next. */
  tryNil(): boolean {
    if (this.position >= this.#end || this.bytes[this.position] !== 0xc0) return false;
    this.position++;
    return true;
  }

  boolean(): boolean {
    const type = this.#byte();
    if (type === 0xc3) return true;
    if (type === 0xc2) return false;
    return this.#unexpected(type, 'a boolean');
  }

  /** A safe integer. */
  integer(): number {
    const type = this.#byte();
    if (type < 0x80) return type;
    if (type >= 0xe0) return type - 0x100;
    switch (type) {
      case 0xcc:
        return this.#byte();
      case 0xcd:
        return this.#u16();
      case 0xce:
        return this.#u32();
      case 0xcf:
        return this.#safe(this.#u32());
      case 0xd0:
        return (this.#byte() << 24) >> 24;
      case 0xd1:
        return (this.#u16() << 16) >> 16;
      case 0xd2:
        return this.#u32() | 0;
      case 0xd3:
        return this.#safe(this.#u32() | 0);
      default:
        return this.#unexpected(type, 'an integer');
    }
  }

  /** A `float`, or an integer, which many encoders write for whole numbers. */
  float(): number {
    const type = this.bytes[this.position];
    if (type === 0xca) {
      const at = this.#take(5) + 1;
      return this.bytes.readFloatBE(at);
    }
    if (type === 0xcb) {
      const at = this.#take(9) + 1;
      return this.bytes.readDoubleBE(at);
    }
    return this.integer();
  }

  /** A `str` of valid UTF-8. */
  text(): string {
    const length = this.#textLength();
    return this.#utf8(this.#take(length), length);
  }

  /** Whether the next object is a `str`. */
  nextIsText(): boolean {
    const type = this.#peek();
    return (type >= 0xa0 && type <= 0xbf) || (type >= 0xd9 && type <= 0xdb);
  }

  /** A `bin` or `str` as a view of the message's memory. */
  binary(): Uint8Array {
    this.range();
    return this.bytes.subarray(this.rangeStart, this.rangeStart + this.rangeLength);
  }

  /** The same without making a view: see `rangeStart`, `rangeLength`. */
  range(): void {
    const type = this.bytes[this.position];
    const length = type !== undefined && type >= 0xc4 && type <= 0xc6 ? this.#binaryLength() : this.#textLength();
    this.rangeStart = this.#take(length);
    this.rangeLength = length;
  }

  /** Passes over one object, however deep. */
  skip(): void {
    for (let owed = 1; owed > 0; owed--) owed += this.#skipHead();
  }

  /**
   * The next object as plain data; `str` as string, `bin` as a view. Refused: extension types, integers beyond 2^53,
   * keys of maps that are neither `str` nor integers, the key `__proto__`, nesting beyond 64.
   */
  value(): unknown {
    return this.#value(0);
  }

  #value(depth: number): unknown {
    const type = this.#peek();
    if (type < 0x80 || type >= 0xe0 || (type >= 0xcc && type <= 0xd3)) return this.integer();
    if (type <= 0x8f || type === 0xde || type === 0xdf) return this.#plainObject(depth);
    if (type <= 0x9f || type === 0xdc || type === 0xdd) return this.#plainArray(depth);
    if (type <= 0xbf || (type >= 0xd9 && type <= 0xdb)) return this.text();
    if (type >= 0xc4 && type <= 0xc6) return this.binary();
    if (type === 0xca || type === 0xcb) return this.float();
    if (type === 0xc2 || type === 0xc3) return this.boolean();
    if (this.tryNil()) return null;
    return this.#unexpected(this.#byte(), 'plain data');
  }

  #plainArray(depth: number): unknown[] {
    if (depth >= depthMax) throw this.#error(`nesting deeper than ${depthMax}`, this.position);
    const count = this.array();
    const members: unknown[] = [];
    for (let index = 0; index < count; index++) members.push(this.#value(depth + 1));
    return members;
  }

  #plainObject(depth: number): Record<string, unknown> {
    if (depth >= depthMax) throw this.#error(`nesting deeper than ${depthMax}`, this.position);
    const count = this.map();
    const members: Record<string, unknown> = {};
    for (let index = 0; index < count; index++) {
      const at = this.position;
      const key = this.#value(depthMax);
      if ((typeof key !== 'string' && typeof key !== 'number') || key === '__proto__') {
        throw this.#error('a map has a key that is not allowed', at);
      }
      members[key] = this.#value(depth + 1);
    }
    return members;
  }

  /** Consumes an object without its members; gives their count. */
  #skipHead(): number {
    const type = this.#byte();
    if (type < 0x80 || type >= 0xe0 || type === 0xc0 || type === 0xc2 || type === 0xc3) return 0;
    this.position--;
    if (type <= 0x8f || type === 0xde || type === 0xdf) return 2 * this.map();
    if (type <= 0x9f || type === 0xdc || type === 0xdd) return this.array();
    if (type <= 0xc6 || (type >= 0xd9 && type <= 0xdb)) this.range();
    else if (type <= 0xc9) this.#skipExtension(type);
    else if (type >= 0xd4 && type <= 0xd8) this.#take(2 + 2 ** (type - 0xd4));
    else if (type === 0xca) this.#take(5);
    else if (type === 0xcb) this.#take(9);
    else this.#take(1 + 2 ** (type >= 0xd0 ? type - 0xd0 : type - 0xcc));
    return 0;
  }

  #skipExtension(type: number): void {
    this.#byte();
    const length = type === 0xc7 ? this.#byte() : type === 0xc8 ? this.#u16() : this.#u32();
    this.#take(length + 1);
  }

  #textLength(): number {
    const type = this.#byte();
    if (type >= 0xa0 && type <= 0xbf) return type & 0x1f;
    if (type === 0xd9) return this.#byte();
    if (type === 0xda) return this.#u16();
    if (type === 0xdb) return this.#u32();
    return this.#unexpected(type, 'a string');
  }

  #binaryLength(): number {
    const type = this.#byte();
    return type === 0xc4 ? this.#byte() : type === 0xc5 ? this.#u16() : this.#u32();
  }

  #utf8(start: number, length: number): string {
    const text = this.bytes.toString('utf8', start, start + length);
    // The decoder replaces what is invalid; only then, or when the character itself was sent, U+FFFD is there.
    if (text.includes('\ufffd') && !isUtf8(this.bytes.subarray(start, start + length))) {
      throw this.#error('a string is not valid UTF-8', start);
    }
    return text;
  }

  /** The 64-bit integer of `high` and the next four bytes. */
  #safe(high: number): number {
    const value = high * 0x1_0000_0000 + this.#u32();
    if (!Number.isSafeInteger(value)) throw this.#error('an integer beyond 2^53', this.position - 9);
    return value;
  }

  #peek(): number {
    if (this.position >= this.#end) return this.#short();
    return this.bytes[this.position] ?? 0;
  }

  #byte(): number {
    if (this.position >= this.#end) return this.#short();
    return this.bytes[this.position++] ?? 0;
  }

  #u16(): number {
    const at = this.#take(2);
    return ((this.bytes[at] ?? 0) << 8) | (this.bytes[at + 1] ?? 0);
  }

  #u32(): number {
    return this.bytes.readUInt32BE(this.#take(4));
  }

  /** Passes `length` bytes; gives where they start. */
  #take(length: number): number {
    const start = this.position;
    if (length > this.#end - start) return this.#short();
    this.position = start + length;
    return start;
  }

  /** Each object takes a byte at least, so a larger count is a lie, told to make us allocate. */
  #plausible(count: number, bytes: number): number {
    if (bytes > this.#end - this.position) throw this.#error('a count exceeds the message', this.position);
    return count;
  }

  #short(): never {
    throw this.#error('the message ends too early', this.#end);
  }

  #unexpected(type: number, expected: string): never {
    throw this.#error(`expected ${expected}, found type 0x${type.toString(16).padStart(2, '0')}`, this.position - 1);
  }

  #error(message: string, at: number): MessageFormatError {
    return new MessageFormatError(message, at - this.#start);
  }
}
