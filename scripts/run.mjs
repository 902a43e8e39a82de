/**
 * Builds when needed, then runs a compiled program in this process.
 *   node scripts/run.mjs src/cli/main.ts [arguments of the program]
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { BuildFailure, ensureBuilt, root } from './build.mjs';

const [source, ...rest] = process.argv.slice(2);
if (source === undefined) {
  console.error('usage: node scripts/run.mjs SOURCE.ts [arguments]');
  process.exit(2);
}
const parent = process.ppid;
try {
  await ensureBuilt();
} catch (error) {
  if (!(error instanceof BuildFailure)) throw error;
  console.error(error.message);
  process.exit(1);
}
// npm was ended during the build: nobody waits for the program any more.
if (process.env.npm_lifecycle_event !== undefined && process.ppid !== parent) process.exit(1);
const compiled = join(root, 'dist', source.replace(/\.ts$/, '.js'));
if (!existsSync(compiled)) {
  console.error(`there is no program ${source}`);
  process.exit(2);
}
process.argv = [process.execPath, compiled, ...rest];
await import(pathToFileURL(compiled).href);
