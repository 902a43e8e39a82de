/** A zone of a `file` device in memory: its extents, where its bytes lie in the file, and its entries in the map. */
import { present } from '../../base/assert.ts';
import type { DeviceGeometry, DeviceZone, ZoneState } from '../zoned-device.ts';
import type { Taken } from './extents.ts';
import type { MapEntry } from './map-log.ts';

/** A zone that is not empty. */
export interface Zone {
  readonly extents: number[];
  /**
   * Bytes from the start of each extent that are known to be zeros or the zone's own: `extentBytes` when it was handed
   * out clean.
   */
  readonly clean: boolean[];
  writePointer: number;
  known: boolean;
  finished: boolean;
  /** Written to since the device was opened. */
  opened: boolean;
  /** A recovery kept what lies beyond the write pointer: no zeros are written ahead. */
  keepsBeyond: boolean;
  /** Zeros lie in [writePointer, zeroedTo). */
  zeroedTo: number;
  /**
   * Zeros ahead fell below half of what is wanted and are being filled up: in bursts, since a sync with few zeros costs
   * as much as one with many.
   */
  filling: boolean;
}

export interface ExtentPlace {
  /** Offset of extent 0 in the file. */
  readonly dataOffset: number;
  readonly extentBytes: number;
}

/** A row of bytes of the file; `at` is undefined where a zone has no extent. */
export interface Piece {
  readonly at: number | undefined;
  length: number;
}

/** Pieces of the file in which [offset, offset + length) of a zone with `extents` lies, neighbours joined. */
export function piecesOf(extents: readonly number[], place: ExtentPlace, offset: number, length: number): Piece[] {
  const { dataOffset, extentBytes } = place;
  const pieces: Piece[] = [];
  for (let from = offset; from < offset + length; ) {
    const position = Math.floor(from / extentBytes);
    const within = from - position * extentBytes;
    const count = Math.min(extentBytes - within, offset + length - from);
    const extent = extents[position];
    const at = extent === undefined ? undefined : dataOffset + extent * extentBytes + within;
    const last = pieces.at(-1);
    const expected = last?.at === undefined ? undefined : last.at + last.length;
    if (last !== undefined && at === expected) last.length += count;
    else pieces.push({ at, length: count });
    from += count;
  }
  return pieces;
}

export function newZone(): Zone {
  return {
    extents: [],
    clean: [],
    writePointer: 0,
    known: true,
    finished: false,
    opened: false,
    keepsBeyond: false,
    zeroedTo: 0,
    filling: false,
  };
}

export function stateOf(zone: Zone, capacity: number): ZoneState {
  if (zone.finished || (zone.known && zone.writePointer === capacity)) return 'full';
  if (zone.known && zone.writePointer === 0) return 'empty';
  return zone.opened ? 'open' : 'closed';
}

/** The bytes of the pieces in a row; what lies beyond the file's end is zeros. */
export function joined(parts: readonly Uint8Array[], pieces: readonly Piece[], length: number): Uint8Array {
  const only = parts[0];
  if (parts.length === 1 && only?.length === length) return only;
  const bytes = new Uint8Array(length);
  let at = 0;
  parts.forEach((part, index) => {
    bytes.set(part, at);
    at += present(pieces[index], 'piece').length;
  });
  return bytes;
}

/** The entries that give a zone what was taken for it. */
export function allocations(zone: DeviceZone, position: number, taken: readonly Taken[]): MapEntry[] {
  return runs(taken.map((item) => item.extent)).map((run) => ({
    kind: 'allocate',
    zone,
    position: position + run.index,
    extent: run.extent,
    count: run.count,
  }));
}

/** Rows of consecutive extents. */
function runs(extents: readonly number[]): { readonly index: number; readonly extent: number; count: number }[] {
  const found: { readonly index: number; readonly extent: number; count: number }[] = [];
  extents.forEach((extent, index) => {
    const last = found.at(-1);
    if (last !== undefined && last.extent + last.count === extent) last.count += 1;
    else found.push({ index, extent, count: 1 });
  });
  return found;
}

/** Everything the map says, as entries. */
export function checkpointOf(zones: ReadonlyMap<DeviceZone, Zone>): MapEntry[] {
  const entries: MapEntry[] = [];
  for (const [zone, { extents, finished, writePointer }] of zones) {
    for (const run of runs(extents))
      entries.push({ kind: 'allocate', zone, position: run.index, extent: run.extent, count: run.count });
    if (finished) entries.push({ kind: 'finish', zone, length: writePointer });
  }
  return entries;
}

/** Says what keeps `length` bytes from being written at `offset`; undefined: nothing. */
export function whyNotWritten(
  zone: Zone,
  offset: number,
  length: number,
  { alignment, zoneCapacity }: DeviceGeometry,
): string | undefined {
  if (zone.finished) return 'it is full';
  if (!zone.known) return 'it must be recovered before it is written';
  if (offset !== zone.writePointer) return `a write at ${offset}, its write pointer is ${zone.writePointer}`;
  if (length % alignment !== 0) return `a write of ${length} bytes: not a multiple of ${alignment}`;
  if (offset + length > zoneCapacity)
    return `a write of ${length} bytes at ${offset}: beyond the capacity of ${zoneCapacity}`;
  return undefined;
}
