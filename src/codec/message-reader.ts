/** MessagePack decoder over one complete message. Every method throws MessageFormatError when something else is there. */
export declare class MessageReader {
  /** What the ranges refer to. */
  readonly bytes: Buffer;
  position: number;
  /** Start and length of the last `range()`. */
  rangeStart: number;
  rangeLength: number;
  array(): number;
  map(): number;
  /** Consumes a nil if one is next. */
  tryNil(): boolean;
  boolean(): boolean;
  /** A safe integer. */
  integer(): number;
  float(): number;
  text(): string;
  /** A `bin` or `str` as a view of the message's memory. */
  binary(): Uint8Array;
  /** The same without making a view: see `rangeStart`, `rangeLength`. */
  range(): void;
  skip(): void;
  /** The next object as plain data; `str` as string, `bin` as a view. */
  value(): unknown;
}
export declare class MessageFormatError extends Error {
  readonly position: number;
}
