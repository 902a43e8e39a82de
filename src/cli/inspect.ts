/**
 * `inspect`: what the device of a logger holds, and whether it is sound, while the logger does not run. Changes
 * nothing.
 */
import * as path from 'node:path';
import { asBuffer } from '../base/bytes.ts';
import { KvError } from '../base/errors.ts';
import { lbaOf } from '../base/ids.ts';
import { limits } from '../base/limits.ts';
import type { CutRecords } from '../codec/cut-records.ts';
import { decodeBatchHeader, type BatchHeader } from '../codec/log-batch.ts';
import { decodeRecord, decodeZoneHeader, recordKind, zoneSeed, type DecodedRecord } from '../codec/log-format.ts';
import type { ZoneEntry } from '../core/logger/metadata-format.ts';
import { foldFrames } from '../core/logger/restored-state.ts';
import type { ZoneScan } from '../core/logger/zone-scan.ts';
import { openFileDevice, type FileDevice } from '../env/file-device/open.ts';
import { FilesError, type Files } from '../env/files.ts';
import { DeviceError } from '../env/zoned-device.ts';
import { findMetadata, type FoundMetadata, type LoggerIdentity } from '../logger/metadata-log.ts';
import { recordsBehind, scanDeviceZone } from '../logger/recovery.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import type { CliIo } from './io.ts';
import { overlayFiles } from './overlay-files.ts';
import { formatBytes, formatTable } from './table.ts';

export interface InspectOptions {
  readonly records?: boolean | undefined;
  readonly json?: boolean | undefined;
}

interface Behind {
  readonly records: number;
  /** ... and pieces that can't be read, at least. */
  readonly unreadable: number;
}

interface ZoneFinding {
  readonly entry: ZoneEntry;
  readonly scan: Extract<ZoneScan, { readonly kind: 'scanned' }>;
  /** '' when it is sound. */
  readonly damage: string;
  /** Records behind the end: never committed, or cut since every copy was damaged there (S9). */
  readonly behind: Behind;
}

type FoundState = Extract<FoundMetadata, { readonly kind: 'found' }>;

const deviceName = 'device';
const capacityFirst = 64 * 1024 ** 3;

/**
 * `target`: a device, the folder of a logger, or the folder of a cluster. Exit code 4 when a zone or the metadata are
 * damaged.
 * @throws KvError `config-not-found`, `folder-in-use`, `data-damaged`, `newer-format`
 */
export async function inspect(io: CliIo, target: string, options: InspectOptions): Promise<ExitCode> {
  const { files } = io.environment;
  const devices = await findDevices(files, path.resolve(io.folder, target));
  if (devices.length === 0)
    throw new KvError(
      'config-not-found',
      `${target}: no device of a logger; allowed: a device, the folder of a logger, or the folder of a cluster`,
    );
  let isSound = true;
  for (const device of devices) {
    const lock = await lockFor(files, path.dirname(device));
    try {
      isSound = (await inspectDevice(io, device, options)) && isSound;
    } finally {
      await lock.release();
    }
  }
  return isSound ? exitCodes.ok : exitCodes.wrong;
}

async function findDevices(files: Files, target: string): Promise<readonly string[]> {
  const names = await listOrNothing(files, target);
  if (names === undefined) return path.basename(target) === '' ? [] : [target];
  if (names.includes(deviceName)) return [path.join(target, deviceName)];
  const folders = names.filter((name) => /^logger-\d+$/.test(name)).map((name) => path.join(target, name));
  const found = await Promise.all(
    folders.map(async (folder) =>
      (await listOrNothing(files, folder))?.includes(deviceName) === true ? [path.join(folder, deviceName)] : [],
    ),
  );
  return found.flat();
}

/** Undefined when it is no folder. */
async function listOrNothing(files: Files, folder: string): Promise<readonly string[] | undefined> {
  try {
    return await files.list(folder);
  } catch (error) {
    if (error instanceof FilesError) return undefined;
    throw error;
  }
}

async function lockFor(files: Files, folder: string): Promise<{ release(): Promise<void> }> {
  try {
    return await files.lock(folder);
  } catch (error) {
    if (!(error instanceof FilesError) || error.code !== 'locked') throw error;
    throw new KvError('folder-in-use', `${folder}: its logger runs; stop it first, or use \`zones\``, { cause: error });
  }
}

async function inspectDevice(io: CliIo, file: string, options: InspectOptions): Promise<boolean> {
  const device = await openDevice(io, file);
  try {
    const found = await findMetadata(device, file);
    if (found.kind === 'empty') {
      io.out.write(`${file}: empty: no logger has written to it\n`);
      return true;
    }
    const state = foldFrames(found.frames);
    const zones = [...state.zones].sort((a, b) => a.shard - b.shard || a.zone - b.zone);
    const findings: ZoneFinding[] = [];
    for (const entry of zones) findings.push(await checkZone(device, found.identity, entry));
    report(io, file, device, found, findings, options);
    if (options.records === true)
      for (const finding of findings) await dumpZone(io, device, found.identity, finding, options);
    return found.damage === undefined && findings.every(({ damage }) => damage === '');
  } finally {
    await device.close();
  }
}

/**
 * The capacity is a setting that the device does not keep: the largest that its map has room for holds all that is in
 * use.
 */
async function openDevice(io: CliIo, file: string): Promise<FileDevice> {
  const { clock, random, files } = io.environment;
  const size = await sizeOf(files, file);
  for (let capacityBytes = Math.max(capacityFirst, 4 * size); ; capacityBytes /= 2) {
    try {
      return await openFileDevice(overlayFiles(files), file, { create: false, capacityBytes, random }, clock);
    } catch (error) {
      const isTooLarge = error instanceof DeviceError && error.code === 'invalid' && capacityBytes > size / 2;
      if (!isTooLarge) throw error;
    }
  }
}

async function sizeOf(files: Files, file: string): Promise<number> {
  const opened = await files.open(file, { readOnly: true });
  try {
    return opened.size();
  } finally {
    await opened.close();
  }
}

async function checkZone(device: FileDevice, identity: LoggerIdentity, entry: ZoneEntry): Promise<ZoneFinding> {
  const { writePointer } = device.reportZone(entry.deviceZone);
  const scan = await scanDeviceZone(device, identity, entry, entry.state === 'finished' ? entry.length : writePointer);
  if (scan.kind === 'newer-format')
    throw new KvError('newer-format', `shard ${entry.shard}, zone ${entry.zone}: log format ${scan.format}`);
  const isShort = entry.state === 'finished' && scan.length < entry.length;
  const short = isShort ? `intact up to ${scan.length} of ${entry.length}` : '';
  const damage = scan.damage === undefined ? short : `at ${scan.damage.offset}: ${scan.damage.reason}`;
  const end = entry.state === 'finished' ? entry.length : scan.length;
  const { occupied } = device.reportZone(entry.deviceZone);
  return { entry, scan, damage, behind: behindOf(await recordsBehind(device, identity, entry, end, occupied)) };
}

function behindOf({ records, isCutShort }: CutRecords): Behind {
  const unreadable = records.filter(({ key }) => key.length === 0).length;
  return { records: records.length - unreadable, unreadable: unreadable + (isCutShort ? 1 : 0) };
}

function behindText({ records, unreadable }: Behind): string {
  const rest = unreadable === 0 ? '' : `, ${unreadable} unreadable`;
  return records + unreadable === 0 ? '' : `${records} records${rest}`;
}

function report(
  io: CliIo,
  file: string,
  device: FileDevice,
  { identity, damage: metadataDamage }: FoundState,
  findings: readonly ZoneFinding[],
  options: InspectOptions,
): void {
  if (options.json === true) {
    const zones = findings.map(({ entry, scan, damage, behind }) => ({
      ...entry,
      intact: scan.length,
      seen: scan.seen,
      tail: scan.tail,
      batches: scan.batches,
      damage,
      behind,
    }));
    io.out.write(`${JSON.stringify({ file, ...identity, occupied: device.occupiedBytes, metadataDamage, zones })}\n`);
    return;
  }
  const right = 'right' as const;
  const columns = [
    { title: 'shard', align: right },
    { title: 'zone', align: right },
    { title: 'epoch', align: right },
    { title: 'state' },
    { title: 'device zone', align: right },
    { title: 'intact', align: right },
    { title: 'committed at least', align: right },
    { title: 'batches', align: right },
    { title: 'tail' },
    { title: 'damage' },
    { title: 'behind the end' },
  ];
  const rows = findings.map(({ entry, scan, damage, behind }) => [
    entry.shard,
    entry.zone,
    entry.epoch,
    entry.state,
    entry.deviceZone,
    scan.length,
    scan.seen,
    scan.batches,
    scan.tail,
    damage,
    behindText(behind),
  ]);
  io.out.write(
    `${file}: logger ${identity.logger} of cluster ${identity.cluster}; ${formatBytes(device.occupiedBytes)} occupied\n${formatTable(columns, rows)}\n`,
  );
  if (metadataDamage === undefined) return;
  const { deviceZone, offset } = metadataDamage;
  const where = `device zone ${deviceZone} at offset ${offset}`;
  io.out.write(
    `the metadata are damaged in ${where}: zones may be missing above; the logger finds them when it starts\n`,
  );
}

const kindNames: Readonly<Record<number, string>> = Object.fromEntries(
  Object.entries(recordKind).map(([name, kind]) => [kind, name]),
);

/** One line a record, up to the end of the intact prefix. */
async function dumpZone(
  io: CliIo,
  device: FileDevice,
  identity: LoggerIdentity,
  { entry, scan }: ZoneFinding,
  options: InspectOptions,
): Promise<void> {
  const { shard, zone, epoch, instance } = entry;
  const place = { cluster: identity.cluster, shard, zone, epoch, instance };
  const seed = zoneSeed(place);
  for (let at = await firstBatch(device, entry); at < scan.length; ) {
    const head = asBuffer(
      await device.read(entry.deviceZone, at, Math.min(limits.alignmentBytesMax, scan.length - at)),
    );
    const decoded = decodeBatchHeader(head, 0, at, place, seed);
    if (decoded.kind !== 'batch')
      throw new KvError(
        'data-damaged',
        `shard ${entry.shard}, zone ${entry.zone}, offset ${at}: no batch where the scan found one`,
      );
    const { header } = decoded;
    const bytes = asBuffer(await device.read(entry.deviceZone, at, header.totalLength));
    for (const { record, offset } of recordsOf(bytes, header, seed))
      await io.out.flush(recordText(identity, entry, bytes, record, offset, options));
    at += header.totalLength;
  }
}

/** Behind the zone header. Infinity when that is not good: then nothing is intact. */
async function firstBatch(device: FileDevice, entry: ZoneEntry): Promise<number> {
  const head = decodeZoneHeader(await device.read(entry.deviceZone, 0, limits.alignmentBytesMax));
  return head.kind === 'zone' ? head.length : Number.POSITIVE_INFINITY;
}

function* recordsOf(
  bytes: Buffer,
  header: BatchHeader,
  seed: number,
): Generator<{ readonly record: DecodedRecord; readonly offset: number }> {
  let at = header.headerLength;
  for (let index = 0; index < header.recordCount; index++) {
    const result = decodeRecord(bytes, at, seed, header.offset + at);
    if (result.kind !== 'record')
      throw new KvError('data-damaged', `offset ${header.offset + at}: no record: ${result.kind}`);
    yield { record: result.record, offset: header.offset + at };
    at += result.record.length;
  }
}

function recordText(
  identity: LoggerIdentity,
  entry: ZoneEntry,
  bytes: Buffer,
  record: DecodedRecord,
  offset: number,
  options: InspectOptions,
): string {
  const key = bytes.toString('utf8', record.keyStart, record.keyStart + record.keyLength);
  const line = {
    shard: entry.shard,
    lba: lbaOf(entry.zone, offset, identity.zoneSize),
    kind: kindNames[record.kind] ?? String(record.kind),
    key,
    valueLength: record.valueLength,
    version: record.version,
    expiresAt: record.expiresAt,
    client: record.client,
    number: record.number,
  };
  if (options.json === true) return `${JSON.stringify(line)}\n`;
  const rest = [
    record.version === undefined ? '' : ` version ${record.version}`,
    record.client === 0 ? '' : ` client ${record.client} request ${record.number}`,
  ];
  return `shard ${line.shard} LBA ${line.lba} ${line.kind} ${JSON.stringify(key)} ${line.valueLength} bytes${rest.join('')}\n`;
}
