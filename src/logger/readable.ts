/** Reading a device that has bad sectors: what cannot be read is given as damage, the rest as it is. */
import { limits } from '../base/limits.ts';
import type { DeviceZone, ZonedDevice } from '../env/zoned-device.ts';
import { DeviceError } from '../env/zoned-device.ts';

/** Neither zeros nor the start of anything: no scan takes it for untouched or good. */
const unreadableByte = 0xff;

/**
 * Bytes [offset, offset + length) of a device zone; blocks that the medium does not give are filled with a byte that
 * nothing good has, and `onUnreadable` is told the offset of each.
 */
export async function readDespiteDamage(
  device: ZonedDevice,
  zone: DeviceZone,
  offset: number,
  length: number,
  onUnreadable: (offset: number) => void,
): Promise<Uint8Array> {
  try {
    return await device.read(zone, offset, length);
  } catch (error) {
    if (!(error instanceof DeviceError) || error.code !== 'io') throw error;
  }
  if (length <= limits.blockBytes) {
    onUnreadable(offset);
    return new Uint8Array(length).fill(unreadableByte);
  }
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; ) {
    const count = Math.min(length - at, limits.blockBytes - ((offset + at) % limits.blockBytes));
    bytes.set(await readDespiteDamage(device, zone, offset + at, count, onUnreadable), at);
    at += count;
  }
  return bytes;
}
