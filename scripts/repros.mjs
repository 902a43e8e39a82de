/**
 * Runs every script of a folder of reproductions against this project, one after another, and says which behave
 * rightly.
 *   node scripts/repros.mjs [--folder PATH] [NAME-PART...]
 * A script gets the project and a free folder, and exits 0 when the product behaves rightly, 77 where it can't be
 * tried. Default folder: `../shared/repros` beside the project. Ports: `KV_BASE_PORT` or from 27000 on.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ensureBuilt, root } from './build.mjs';

const timeoutMs = 300_000;
const portsEach = 400;
const given = process.argv.slice(2);
const at = given.indexOf('--folder');
const folder = at === -1 ? path.join(root, '..', 'shared', 'repros') : path.resolve(given[at + 1] ?? '');
const wanted = given.filter((_, index) => at === -1 || (index !== at && index !== at + 1));

if (!existsSync(folder)) {
  console.error(`there is no folder ${folder}`);
  process.exit(2);
}
await ensureBuilt();
const scripts = readdirSync(folder)
  .filter((name) => /^\d\d-.*\.(sh|mjs)$/.test(name))
  .filter((name) => wanted.length === 0 || wanted.some((part) => name.includes(part)));
const counts = { passed: 0, failed: 0, skipped: 0 };
let port = Number(process.env.KV_BASE_PORT ?? 27_000);

for (const name of scripts) {
  const startMs = Date.now();
  const { code, output } = await run(path.join(folder, name));
  const verdict = code === 0 ? 'passed' : code === 77 ? 'skipped' : 'failed';
  counts[verdict] += 1;
  console.log(`${verdict.padEnd(8)}${((Date.now() - startMs) / 1000).toFixed(0).padStart(4)} s  ${name}`);
  if (verdict !== 'passed') console.log(output.trimEnd().split('\n').slice(-8).join('\n'));
}
if (counts.skipped > 0) console.log(`${counts.skipped} could not be tried here`);
console.log(`${counts.passed} passed, ${counts.failed} failed`);
process.exitCode = counts.failed === 0 ? 0 : 1;

/** The script's exit code, 124 when it took too long, and what it printed. Its whole process group ends with it. */
function run(file) {
  const free = mkdtempSync(path.join(tmpdir(), 'kv-repro-'));
  const base = String((port += portsEach) > 60_000 ? (port = 27_000) : port);
  const [command, args] = file.endsWith('.sh') ? ['bash', [file]] : [process.execPath, [file]];
  const child = spawn(command, [...args, root, free], {
    cwd: folder,
    detached: true,
    env: { ...process.env, B: base, KV_BASE_PORT: base },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => (output += bytes));
  return new Promise((resolve) => {
    let isLate = false;
    const end = () => {
      try {
        process.kill(-child.pid, 'SIGKILL');
      } catch {
        // All of them have ended.
      }
    };
    const timer = setTimeout(() => {
      isLate = true;
      end();
    }, timeoutMs);
    child.once('exit', (code) => {
      clearTimeout(timer);
      end();
      // Processes of other groups, which end by themselves, may still write there.
      rmSync(free, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
      resolve({ code: isLate ? 124 : (code ?? 1), output });
    });
  });
}
