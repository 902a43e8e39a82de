/**
 * The door to the embedded coordinator for all that start a node: opens its file and finds the cluster's record, or
 * makes both where there never was a cluster. Beside data of a cluster nothing is made: a new identity in place of a
 * lost one would make all of that data another cluster's.
 *
 * The record is made before the first folder of a node, and stable. So a folder with data proves that there was one,
 * also while other processes of the cluster start: look for folders first, then for the record.
 */
import * as path from 'node:path';
import { KvError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Environment } from '../env/environment.ts';
import { FilesError, type Files } from '../env/files.ts';
import { clusterKey, joinCluster, type ClusterRecord } from './cluster-record.ts';
import type { Coordinator } from './coordinator.ts';
import { openSqliteCoordinator } from './sqlite/sqlite.ts';

export interface ClusterPlace {
  /** Folder with the nodes' folders, `gateway-<id>` and `logger-<id>`. It exists. */
  readonly dir: string;
  /** The coordinator's file. */
  readonly file: string;
  readonly shardCount: number;
  /** Bytes. */
  readonly zoneSize: number;
}

export interface OpenCluster {
  readonly coordinator: Coordinator;
  readonly cluster: ClusterRecord;
}

type World = Pick<Environment, 'files' | 'clock' | 'random'>;

/**
 * REQUIRES: the caller closes the coordinator.
 * @throws KvError `coordinator-missing` when there is data but no file or no record, and the errors of
 * `openSqliteCoordinator` and `joinCluster`
 */
export async function openCluster(world: World, place: ClusterPlace, log: Log): Promise<OpenCluster> {
  const { files, clock } = world;
  const { dir, file } = place;
  const data = await foldersWithData(files, dir);
  if (data.length > 0 && !(await isThere(files, file))) throw missing(`${file} is not there`, theFile(file), data);
  const coordinator = await openSqliteCoordinator({ file, clock, log, files });
  try {
    return { coordinator, cluster: await join(world, place, coordinator, data, theFile(file)) };
  } catch (error) {
    await coordinator.close();
    throw error;
  }
}

/**
 * The same for a command that changes a cluster: it makes none. @throws as `openCluster`, and `coordinator-missing`
 * also where there is no data
 */
export async function openExistingCluster(world: World, place: ClusterPlace, log: Log): Promise<OpenCluster> {
  const { file } = place;
  if (await isThere(world.files, file)) return await openCluster(world, place, log);
  throw new KvError('coordinator-missing', `${file} is not there: there is no cluster yet, or its coordinator is gone`);
}

/** The same with a coordinator that is open. It is not closed here. @throws as `openCluster` */
export async function joinFolder(world: World, place: ClusterPlace, coordinator: Coordinator): Promise<OpenCluster> {
  const data = await foldersWithData(world.files, place.dir);
  return { coordinator, cluster: await join(world, place, coordinator, data, 'what it held') };
}

async function join(
  { random }: World,
  { shardCount, zoneSize }: ClusterPlace,
  coordinator: Coordinator,
  data: readonly string[],
  back: string,
): Promise<ClusterRecord> {
  if (data.length > 0 && (await coordinator.get(clusterKey)) === undefined)
    throw missing('the coordinator knows of no cluster', back, data);
  return await joinCluster(coordinator, random, { shardCount, zoneSize });
}

/** With the log of a process that crashed, which may hold all of it. */
function theFile(file: string): string {
  return `the cluster's own ${path.basename(file)} (with its -wal, if it has one)`;
}

function missing(what: string, back: string, data: readonly string[]): KvError {
  return new KvError(
    'coordinator-missing',
    `${what}, but ${data.join(', ')} ${data.length === 1 ? 'has' : 'have'} data of a cluster; put ${back} back, or ` +
      'move the data away for a new cluster',
  );
}

/** Nodes' folders with more in them than a lock, by name. */
async function foldersWithData(files: Files, dir: string): Promise<readonly string[]> {
  const folders = (await files.list(dir)).filter((name) => /^(gateway|logger)-\d+$/.test(name));
  const contents = await Promise.all(folders.map(async (name) => await contentOf(files, path.join(dir, name))));
  return folders.filter((_, index) => contents[index]?.some((name) => !name.startsWith('lock')));
}

async function contentOf(files: Files, folder: string): Promise<readonly string[]> {
  try {
    return await files.list(folder);
  } catch (error) {
    // Whoever must be able to read it says why it can't; a folder that hides what it holds is not an empty one.
    if (error instanceof FilesError) return error.code === 'not-found' ? [] : ['unknown'];
    throw error;
  }
}

/** Looked up by name: opening and closing a database that this process uses would drop its locks (POSIX). */
async function isThere(files: Files, file: string): Promise<boolean> {
  try {
    return (await files.list(path.dirname(file))).includes(path.basename(file));
  } catch (error) {
    if (error instanceof FilesError && error.code === 'not-found') return false;
    throw error;
  }
}
