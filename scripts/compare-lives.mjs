/**
 * Compares the simulator's hashes of this checkout with those of another commit, life by life: what only restructures
 * the code changes none of them.
 *   node scripts/compare-lives.mjs [--against COMMIT|FILE] [--seeds 200] [--from 1] [--jobs 2] [--save FILE]
 * `--against`: a commit, built in a folder of its own (default HEAD), or a file that `--save` wrote. `--save` keeps
 * this checkout's hashes. Exit code 1 when one differs or a life failed.
 */
import { execFileSync, fork, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ensureBuilt, root } from './build.mjs';

const { values } = parseArgs({
  options: {
    against: { type: 'string' },
    seeds: { type: 'string', default: '200' },
    from: { type: 'string', default: '1' },
    jobs: { type: 'string', default: '2' },
    save: { type: 'string' },
  },
});
const seeds = Number(values.seeds);
const from = Number(values.from);
const jobs = Number(values.jobs);

await ensureBuilt();
const own = await hashesOf(root);
if (values.save !== undefined) writeFileSync(values.save, `${JSON.stringify(own, undefined, 1)}\n`);
if (values.against !== undefined || values.save === undefined) {
  const against = values.against ?? 'HEAD';
  report(against, existsSync(against) ? JSON.parse(readFileSync(against, 'utf8')) : await hashesAt(against));
}

function report(against, theirs) {
  const differing = Object.keys(own).filter((seed) => own[seed] !== theirs[seed]);
  for (const seed of differing.slice(0, 10))
    console.log(`seed ${seed}: ${own[seed]} here, ${theirs[seed] ?? 'none'} there`);
  console.log(
    `${Object.keys(own).length} lives from seed ${from}: ${differing.length} differ from those of ${against}`,
  );
  const failed = Object.values(own).filter((hash) => hash.startsWith('failed')).length;
  if (failed > 0) console.log(`${failed} lives failed here`);
  process.exitCode = differing.length + failed > 0 ? 1 : 0;
}

/** A build of another commit, with this checkout's packages. */
async function hashesAt(commit) {
  const folder = mkdtempSync(join(tmpdir(), 'kv-filelog-lives-'));
  try {
    execFileSync('git', ['clone', '--quiet', '--shared', '--no-checkout', root, folder], { stdio: 'inherit' });
    execFileSync('git', ['checkout', '--quiet', commit], { cwd: folder, stdio: 'inherit' });
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
    const { status } = spawnSync(process.execPath, ['scripts/build.mjs'], { cwd: folder, stdio: 'inherit' });
    if (status !== 0) throw new Error(`${commit} does not build`);
    return await hashesOf(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function hashesOf(folder) {
  const share = Math.ceil(seeds / jobs);
  const hashes = {};
  const runs = Array.from({ length: jobs }, (_, job) => {
    const first = from + job * share;
    return runBlock(folder, first, Math.min(share, from + seeds - first), hashes);
  });
  await Promise.all(runs);
  return Object.fromEntries(Object.entries(hashes).sort(([a], [b]) => Number(a) - Number(b)));
}

function runBlock(folder, first, count, hashes) {
  if (count <= 0) return Promise.resolve();
  const args = ['--seeds', String(count), '--from', String(first), '--keep-going'];
  const child = fork(join(folder, 'dist/sim/main.js'), args, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  child.on('message', ({ seed, kind, hash }) => {
    hashes[seed] = kind === 'ok' ? hash : `failed: ${kind} ${hash}`;
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', resolve);
  });
}
