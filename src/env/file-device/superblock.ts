/**
 * The superblock of a `file` device: two equal copies in the file's first two blocks of 4 KiB, written once when the
 * file is made.
 *
 *    0  magic "KVFDEV01"
 *    8  checksum:u32             of bytes 12 .. 512
 *   12  format:u16  14 zero:u16
 *   16  device id:16 bytes       random (S16)
 *   32  created:u48              milliseconds since 1970   38 zero:u16
 *   40  zone capacity:u48  46 extent:u32  50 alignment:u32  54 metadata area:u32   all in bytes
 *   58  zeros up to 4096
 */
import { checksum } from '../../base/checksum.ts';
import { DeviceError } from '../zoned-device.ts';

export const deviceFormat = 1;
export const blockBytes = 4096;
/** Both copies. The metadata areas follow. */
export const superblockBytes = 2 * blockBytes;

const magic = 'KVFDEV01';
const checkedBytes = 512;

export interface Superblock {
  /** 32 hexadecimal digits. */
  readonly deviceId: string;
  readonly createdMs: number;
  readonly zoneCapacity: number;
  readonly extentBytes: number;
  readonly alignment: number;
  /** Length of each of the two areas. */
  readonly metadataAreaBytes: number;
}

export function encodeSuperblock(superblock: Superblock): Buffer {
  const bytes = Buffer.alloc(superblockBytes);
  bytes.write(magic, 0, 'latin1');
  bytes.writeUInt16LE(deviceFormat, 12);
  bytes.write(superblock.deviceId, 16, 'hex');
  bytes.writeUIntLE(superblock.createdMs, 32, 6);
  bytes.writeUIntLE(superblock.zoneCapacity, 40, 6);
  bytes.writeUInt32LE(superblock.extentBytes, 46);
  bytes.writeUInt32LE(superblock.alignment, 50);
  bytes.writeUInt32LE(superblock.metadataAreaBytes, 54);
  bytes.writeUInt32LE(checksum(bytes.subarray(12, checkedBytes)), 8);
  bytes.copy(bytes, blockBytes, 0, blockBytes);
  return bytes;
}

/** @throws DeviceError `foreign`, `newer-format`, `damaged`: what is wrong with the start of the file `path`. */
export function decodeSuperblock(bytes: Buffer, path: string): Superblock {
  const copies = [bytes.subarray(0, blockBytes), bytes.subarray(blockBytes, superblockBytes)];
  const recognized = copies.filter((copy) => copy.length >= checkedBytes && copy.toString('latin1', 0, 8) === magic);
  if (recognized.length === 0) {
    const what = bytes.length < superblockBytes ? `only ${bytes.length} bytes long and ` : '';
    throw new DeviceError(
      'foreign',
      `${path}: ${what}not a kv-filelog device: no '${magic}' at offset 0 or ${blockBytes}`,
    );
  }
  const good = recognized.find((copy) => checksum(copy.subarray(12, checkedBytes)) === copy.readUInt32LE(8));
  if (good === undefined)
    throw new DeviceError(
      'damaged',
      `${path}: wrong checksum of the superblock at offset 0 and of its copy at ${blockBytes}`,
    );
  const format = good.readUInt16LE(12);
  if (format !== deviceFormat) {
    throw new DeviceError(
      'newer-format',
      `${path}: device format ${format}, this version of kv-filelog reads format ${deviceFormat}`,
    );
  }
  return {
    deviceId: good.toString('hex', 16, 32),
    createdMs: good.readUIntLE(32, 6),
    zoneCapacity: good.readUIntLE(40, 6),
    extentBytes: good.readUInt32LE(46),
    alignment: good.readUInt32LE(50),
    metadataAreaBytes: good.readUInt32LE(54),
  };
}
