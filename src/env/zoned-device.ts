/**
 * A zoned device: the verbs of a ZNS drive. A logger keeps all it stores on one. Implementations: `file`
 * (file-device.ts, one file in extents), later `zonefs`. Words and states follow the NVMe Zoned Namespace command set.
 */

export type DeviceZone = number;

/** `read-only` and `offline` are a drive's own states of failure. */
export type ZoneState = 'empty' | 'open' | 'closed' | 'full' | 'read-only' | 'offline';

export interface ZoneReport {
  readonly zone: DeviceZone;
  readonly state: ZoneState;
  /**
   * Bytes from the zone's start. After a restart the `file` device knows only an upper bound until `recover` was
   * called.
   */
  readonly writePointer: number;
  readonly writePointerKnown: boolean;
  readonly capacity: number;
  /** Bytes of the medium that the zone occupies now. */
  readonly occupied: number;
}

/**
 * `full`: no space; nothing was written and the zone is as before. `io`: the medium failed; the device is `failed` from
 * now on. `failed`: an earlier write or sync failed (S17). `invalid`: wrong zone, not at the write pointer, misaligned,
 * beyond the capacity.
 */
export type DeviceErrorCode = 'full' | 'io' | 'failed' | 'invalid' | 'locked' | 'foreign' | 'newer-format' | 'damaged';

export class DeviceError extends Error {
  override readonly name = 'DeviceError';
  readonly code: DeviceErrorCode;
  constructor(code: DeviceErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

export interface DeviceGeometry {
  readonly zoneCount: number;
  /** Writable bytes of a zone. */
  readonly zoneCapacity: number;
  /** Every write has a multiple of this length; 1: any. A power of two. */
  readonly alignment: number;
}

export interface ZonedDevice {
  readonly geometry: DeviceGeometry;
  reportZones(): readonly ZoneReport[];
  /**
   * Writes `bytes` at the zone's write pointer, which must be `offset`, and moves it. Synchronous and volatile: stable
   * after a `sync` that began later. An empty zone becomes open. @throws DeviceError
   */
  write(zone: DeviceZone, offset: number, bytes: Uint8Array): void;
  /**
   * Bytes in [offset, offset + length), whatever lies beyond the write pointer reads as what the medium holds (zeros if
   * untouched).
   */
  read(zone: DeviceZone, offset: number, length: number): Promise<Uint8Array>;
  /** The same, synchronously: for what is in the cache. */
  readNow(zone: DeviceZone, offset: number, length: number): Uint8Array;
  /**
   * Everything written, reset and finished before the call is stable when it returns. One at a time is under way; a
   * failure is final (S17).
   */
  sync(): Promise<void>;
  /** Empties the zone and gives its space back. Stable after the next sync; the space is not reused before that. */
  reset(zone: DeviceZone): void;
  /**
   * Ends the zone at `length` (at most its write pointer): no write follows, the space beyond `keptTo` (by default the
   * length) is given back. Stable after the next sync.
   */
  finish(zone: DeviceZone, length: number, keptTo?: number): void;
  /**
   * Ends a zone's uncertainty after a restart: declares `writePointer` to be the end of what it holds, and makes
   * [stableBefore, writePointer) stable (S3): what a crash left in the cache may never have reached the medium, and an
   * ordinary sync need not write it. How is the device's business (`file` writes it again in place; a sequential zone
   * must not be). What lies beyond reads as zeros afterwards unless `keepBeyond`; then a write replaces it as far
   * as it goes (S19), where the device can do that, else it throws `invalid`.
   * @throws DeviceError `invalid` when the zone is not waiting to be recovered, or the bounds are not within it
   */
  recover(zone: DeviceZone, stableBefore: number, writePointer: number, keepBeyond: boolean): Promise<void>;
  close(): Promise<void>;
}

/** Device as a logger needs it: with members beyond the verbs. */
export interface LoggerDevice extends ZonedDevice {
  /** Bytes that all zones together can hold, the reserve included. */
  readonly capacityBytes: number;
  /** Bytes that zones occupy now. */
  readonly occupiedBytes: number;
  /** Bytes that ordinary zones can still get. */
  readonly freeBytes: number;
  /** @throws DeviceError `invalid` when there is no such zone */
  reportZone(zone: DeviceZone): ZoneReport;
  /**
   * `urgent`: the write may take half of the reserve: what frees space must go on when the device is full. @throws
   * DeviceError
   */
  write(zone: DeviceZone, offset: number, bytes: Uint8Array, urgent?: boolean): void;
  /**
   * Moves the write pointer of an open zone back to `to`: what lies behind reads as zeros, its space is given back.
   * Stable after the next sync. @throws DeviceError `invalid` when the zone is finished, or `to` is beyond the pointer
   */
  rewind(zone: DeviceZone, to: number): void;
  /** Lets `zone` take the reserve, until it is reset: the metadata log must go on when the device is full. */
  privilege(zone: DeviceZone): void;
}
