/**
 * Compiles src, test, sim and bench to dist/ when a source changed since the last good build, and says so.
 *   node scripts/build.mjs
 * Used by every npm script that runs compiled code; `ensureBuilt` throws BuildFailure on type errors.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(root, 'dist');
const stampPath = join(dist, '.stamp');
const lockPath = join(dist, '.build-lock');
const sourceFolders = ['src', 'test', 'sim', 'bench'];
const executable = join(dist, 'src/cli/main.js');

export class BuildFailure extends Error {}

/** Builds unless dist/ is up to date. Two callers at a time build one after the other. */
export async function ensureBuilt({ quiet = false } = {}) {
  if (isUpToDate()) return false;
  await withLock(() => {
    const fingerprint = sourceFingerprint();
    if (isUpToDate(fingerprint)) return;
    if (!quiet) console.error('building kv-filelog (sources changed since the last build) ...');
    const start = Date.now();
    compile();
    removeOrphans();
    linkFixtures();
    if (existsSync(executable)) chmodSync(executable, 0o755);
    writeFileSync(stampPath, fingerprint);
    if (!quiet) console.error(`built in ${((Date.now() - start) / 1000).toFixed(1)} s`);
  });
  return true;
}

function compile() {
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  if (!existsSync(tsc)) throw new BuildFailure('the dependencies are not installed: run `npm ci` first');
  // tsc must write again what somebody removed from dist/ by hand: it trusts its own record of what it wrote.
  if (!existsSync(executable)) rmSync(join(dist, '.tsbuildinfo'), { force: true });
  const result = spawnSync(
    process.execPath,
    [tsc, '-p', join(root, 'tsconfig.json'), '--pretty', String(process.stderr.isTTY === true)],
    {
      cwd: root,
      stdio: ['ignore', 2, 2],
    },
  );
  if (result.status !== 0) {
    rmSync(stampPath, { force: true });
    throw new BuildFailure('the build failed: see the errors above');
  }
}

function isUpToDate(fingerprint = sourceFingerprint()) {
  return existsSync(executable) && existsSync(stampPath) && readFileSync(stampPath, 'utf8') === fingerprint;
}

/** Names, sizes and times of all that goes into the build. A removed file changes it, too. */
function sourceFingerprint() {
  const hash = createHash('sha256');
  const add = (path) => {
    const { size, mtimeMs } = statSync(path);
    hash.update(`${relative(root, path)} ${size} ${mtimeMs}\n`);
  };
  for (const folder of sourceFolders)
    for (const path of filesBelow(join(root, folder))) if (path.endsWith('.ts')) add(path);
  for (const name of ['tsconfig.json', 'package-lock.json']) add(join(root, name));
  return hash.digest('hex');
}

/** Output whose source is gone would still be run as a test, or be packed. */
function removeOrphans() {
  for (const folder of sourceFolders) {
    for (const path of filesBelow(join(dist, folder))) {
      const source = join(root, relative(dist, path).replace(/(\.d\.ts|\.js\.map|\.js)$/, '.ts'));
      if (!existsSync(source)) rmSync(path);
    }
  }
}

/** Compiled tests find recorded files where the sources do: beside themselves. */
function linkFixtures() {
  const link = join(dist, 'test/fixtures');
  if (existsSync(join(root, 'test/fixtures')) && !existsSync(link)) symlinkSync('../../test/fixtures', link);
}

export function filesBelow(folder) {
  if (!existsSync(folder)) return [];
  const entries = readdirSync(folder, { withFileTypes: true, recursive: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

/**
 * The lock file is made by one process only; it holds the number of the process, so that a dead one's lock can be told.
 */
async function withLock(work) {
  mkdirSync(dist, { recursive: true });
  while (!tryLock()) await new Promise((resolve) => setTimeout(resolve, 100));
  try {
    work();
  } finally {
    rmSync(lockPath, { force: true });
  }
}

function tryLock() {
  try {
    writeFileSync(lockPath, String(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
  }
  if (!isAlive(readHolder())) rmSync(lockPath, { force: true });
  return false;
}

function readHolder() {
  try {
    return Number(readFileSync(lockPath, 'utf8'));
  } catch {
    return Number.NaN;
  }
}

function isAlive(pid) {
  // An empty file: its writer is between making and filling it.
  if (!Number.isInteger(pid) || pid === 0)
    return existsSync(lockPath) && Date.now() - statSync(lockPath).mtimeMs < 5_000;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    await ensureBuilt();
  } catch (error) {
    if (!(error instanceof BuildFailure)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  }
}
