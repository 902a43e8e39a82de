/**
 * Builds, then runs test files with node:test, two at a time.
 *   node scripts/test.mjs [PATTERN ...]     only files whose path contains one of the patterns
 *   node scripts/test.mjs --built ...       without building
 * Ends with the line `N passed, N failed` (and `, N skipped`); exit code 1 when something failed or nothing ran.
 */
import { join, relative } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { BuildFailure, ensureBuilt, filesBelow, root } from './build.mjs';

const filesAtOnce = 2;
const fileTimeoutMs = 300_000;

const patterns = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
const isBuilt = process.argv.includes('--built');
// Stacks of failures name the sources.
process.env.NODE_OPTIONS = `${process.env.NODE_OPTIONS ?? ''} --enable-source-maps`.trim();

try {
  if (!isBuilt) await ensureBuilt();
  process.exitCode = await runFiles(selectFiles());
} catch (error) {
  if (!(error instanceof BuildFailure)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}

function selectFiles() {
  const wanted = patterns.map((pattern) => pattern.replace(/^\.\//, '').replace(/\.ts$/, '.js'));
  return filesBelow(join(root, 'dist/test'))
    .filter((path) => path.endsWith('.test.js'))
    .filter((path) => wanted.length === 0 || wanted.some((pattern) => relative(root, path).includes(pattern)));
}

async function runFiles(files) {
  if (files.length === 0) {
    console.error(`no test file matches ${patterns.join(', ') || 'dist/test/**/*.test.js'}`);
    return 1;
  }
  const counts = { pass: 0, fail: 0, cancelled: 0, skipped: 0 };
  const events = run({ files, concurrency: filesAtOnce, timeout: fileTimeoutMs });
  events.on('test:diagnostic', ({ message, nesting }) => {
    const match = /^(pass|fail|cancelled|skipped) (\d+)$/.exec(message);
    if (match !== null && nesting === 0) counts[match[1]] = Number(match[2]);
  });
  const output = events.compose(new spec());
  output.pipe(process.stdout, { end: false });
  await new Promise((resolve, reject) => {
    output.on('end', resolve);
    output.on('error', reject);
  });
  const failed = counts.fail + counts.cancelled;
  process.stdout.write(
    `\n${counts.pass} passed, ${failed} failed${counts.skipped > 0 ? `, ${counts.skipped} skipped` : ''}\n`,
  );
  return failed > 0 || counts.pass === 0 ? 1 : 0;
}
