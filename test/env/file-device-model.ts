/**
 * What a zoned device may hold after a crash: each zone is in one of the states it had since what was last
 * acknowledged, and of the bytes written since then each sector holds what the cache held at some moment.
 */
import assert from 'node:assert/strict';
import { isZero } from '../../src/base/bytes.ts';
import type { FileDevice } from '../../src/env/file-device/open.ts';

interface State {
  /** One more at each reset. */
  readonly life: number;
  readonly content: Uint8Array;
  readonly finished: boolean;
}

const untouched: State = { life: 0, content: new Uint8Array(0), finished: false };
const sectorBytes = 512;

export type ModelMark = ReadonlyMap<number, State>;

export class DeviceModel {
  /** The first state is acknowledged, the last one is the present. */
  readonly #zones: Map<number, readonly State[]>;

  constructor(zones: ReadonlyMap<number, readonly State[]> = new Map()) {
    this.#zones = new Map(zones);
  }

  copy(): DeviceModel {
    return new DeviceModel(this.#zones);
  }

  present(zone: number): State {
    return this.#zones.get(zone)?.at(-1) ?? untouched;
  }

  write(zone: number, bytes: Uint8Array): void {
    const { life, content } = this.present(zone);
    const longer = new Uint8Array(content.length + bytes.length);
    longer.set(content);
    longer.set(bytes, content.length);
    this.#push(zone, { life, content: longer, finished: false });
  }

  finish(zone: number, length: number): void {
    const { life, content } = this.present(zone);
    this.#push(zone, { life, content: content.subarray(0, length), finished: true });
  }

  reset(zone: number): void {
    this.#push(zone, { life: this.present(zone).life + 1, content: new Uint8Array(0), finished: false });
  }

  /** A sync begins now. */
  mark(): ModelMark {
    return new Map([...this.#zones.keys()].map((zone) => [zone, this.present(zone)]));
  }

  /** The sync that began at `mark` has returned. */
  acknowledge(mark: ModelMark): void {
    for (const [zone, state] of mark) {
      const states = this.#zones.get(zone) ?? [];
      const at = states.indexOf(state);
      if (at > 0) this.#zones.set(zone, states.slice(at));
    }
  }

  acknowledgedLength(zone: number): number {
    const states = this.#zones.get(zone) ?? [];
    return stableLength(states[0] ?? untouched, this.present(zone));
  }

  /** Checks every zone and makes the model agree with what was found; zones not finished are recovered. */
  async adopt(device: FileDevice): Promise<void> {
    const reports = device.reportZones();
    assert.equal(
      device.occupiedBytes,
      reports.reduce((sum, report) => sum + report.occupied, 0),
    );
    for (const report of reports) {
      const states = this.#zones.get(report.zone);
      if (states === undefined) {
        assert.equal(report.state, 'empty', `zone ${report.zone} was never written`);
        continue;
      }
      const found = matching(device, report.zone, states);
      if (found === undefined) assert.fail(describe(device, report.zone, states));
      if (report.state === 'closed')
        await device.recover(report.zone, stableLength(states[0] ?? untouched, found), found.content.length, false);
      this.#zones.set(report.zone, [found]);
    }
  }

  /** After a process died with the machine alive: everything written is there. */
  checkPresent(device: FileDevice): void {
    for (const [zone] of this.#zones) {
      const { content } = this.present(zone);
      const found = device.readNow(zone, 0, content.length);
      assert.ok(Buffer.from(found).equals(content), `zone ${zone} holds what was written`);
    }
  }

  #push(zone: number, state: State): void {
    this.#zones.set(zone, [...(this.#zones.get(zone) ?? [untouched]), state]);
  }
}

/** How much of `state` was acknowledged when `acknowledged` was. */
function stableLength(acknowledged: State, state: State): number {
  return acknowledged.life === state.life ? Math.min(acknowledged.content.length, state.content.length) : 0;
}

/** The state that the zone is in, cut to its intact prefix; undefined: none of `states`. */
function matching(device: FileDevice, zone: number, states: readonly State[]): State | undefined {
  const report = device.reportZone(zone);
  const bytes = device.readNow(zone, 0, report.capacity);
  for (const state of [...states].reverse()) {
    const stable = stableLength(states[0] ?? untouched, state);
    const written = states
      .filter((other) => other.life === state.life)
      .reduce((longest, other) => (other.content.length > longest.length ? other.content : longest), state.content);
    if (state.finished !== (report.state === 'full')) continue;
    if (state.finished && report.writePointer !== state.content.length) continue;
    if (!state.finished && (report.writePointer < stable || (report.state === 'empty' && stable > 0))) continue;
    const intact = intactLength(
      bytes.subarray(0, state.finished ? state.content.length : bytes.length),
      written,
      stable,
    );
    if (intact === undefined) continue;
    // What was finished and not acknowledged may lack bytes; from now on it is what it is.
    if (state.finished) return { ...state, content: bytes.slice(0, state.content.length) };
    const aligned =
      Math.floor(Math.min(intact, report.writePointer) / device.geometry.alignment) * device.geometry.alignment;
    return { life: state.life, content: written.subarray(0, aligned), finished: false };
  }
  return undefined;
}

/**
 * Each sector is a prefix of what was written, then zeros; below `stable` nothing is missing. Returns where the first
 * is missing.
 */
function intactLength(bytes: Uint8Array, written: Uint8Array, stable: number): number | undefined {
  let intact: number | undefined;
  for (let start = 0; start < bytes.length; start += sectorBytes) {
    const sector = bytes.subarray(start, start + sectorBytes);
    const expected = written.subarray(start, start + sectorBytes);
    if (expected.length === sector.length && Buffer.compare(sector, expected) === 0) continue;
    const at = start + commonLength(sector, expected);
    if (at < stable || !isZero(sector.subarray(at - start))) return undefined;
    intact ??= at;
  }
  return Math.min(intact ?? bytes.length, written.length);
}

function commonLength(left: Uint8Array, right: Uint8Array): number {
  let length = 0;
  while (length < left.length && length < right.length && left[length] === right[length]) length += 1;
  return length;
}

function describe(device: FileDevice, zone: number, states: readonly State[]): string {
  const { state, writePointer, occupied } = device.reportZone(zone);
  const expected = states
    .map((item) => `life ${item.life}: ${item.content.length}${item.finished ? ' finished' : ''}`)
    .join(', ');
  const bytes = device.readNow(zone, 0, device.geometry.zoneCapacity);
  const last = states.at(-1)?.content ?? new Uint8Array(0);
  const differs = bytes.findIndex((byte, index) => byte !== (last[index] ?? 0));
  return `zone ${zone} is ${state} at ${writePointer} with ${occupied} bytes occupied, differs from the last state at ${differs}; possible: ${expected}`;
}
