/** MessagePack encoder into a growing buffer. */
export declare class MessageWriter {
  array(count: number): void;
  map(count: number): void;
  nil(): void;
  boolean(value: boolean): void;
  /** Any safe integer, in the shortest form. */
  integer(value: number): void;
  float(value: number): void;
  /** UTF-8 `str`. */
  text(value: string): void;
  /** `str` of raw bytes, as the testbed's C++ peers send them. */
  rawText(bytes: Uint8Array): void;
  /** `bin` of bytes [start, end) of `bytes`. Long ones may be kept by reference until they are sent: they must not change. */
  binary(bytes: Uint8Array, start?: number, end?: number): void;
  /** Plain data: undefined and null (nil), booleans, numbers, strings, Uint8Array, arrays, objects with string keys. */
  value(value: unknown): void;
}
