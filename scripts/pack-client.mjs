/**
 * Packs the SDK alone, without the server and without dependencies, as the package kv-filelog-client: what
 * `src/client/index.ts` needs of dist/, for programs that only speak to a cluster.
 *   node scripts/pack-client.mjs [--to FOLDER]
 * Prints the name of the archive. Its version is that of this package.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { ensureBuilt, root } from './build.mjs';

const { values } = parseArgs({ options: { to: { type: 'string', default: '.' } } });
const entry = 'dist/src/client/index';

await ensureBuilt();
const folder = mkdtempSync(join(tmpdir(), 'kv-filelog-client-'));
try {
  for (const file of [...reachable(`${entry}.js`), ...reachable(`${entry}.d.ts`)]) copy(file);
  copy('LICENSE');
  copy('docs/operating.md');
  writeFileSync(join(folder, 'README.md'), readme());
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifest(), undefined, 2)}\n`);
  const argv = ['pack', '--ignore-scripts', '--silent', '--pack-destination', resolve(values.to)];
  console.log(execFileSync('npm', argv, { cwd: folder, encoding: 'utf8' }).trim());
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function copy(file) {
  mkdirSync(dirname(join(folder, file)), { recursive: true });
  cpSync(join(root, file), join(folder, file));
}

/** Files that `first` imports, directly or not, itself included. */
function reachable(first) {
  const found = new Set([first]);
  for (const file of found) {
    const isTypes = file.endsWith('.d.ts');
    const text = readFileSync(join(root, file), 'utf8');
    for (const [, name] of text.matchAll(/^(?:import|export)\b[^'";]*?\bfrom ['"]([^'"]+)['"]/gm)) {
      if (name.startsWith('node:')) continue;
      if (!name.startsWith('.')) throw new Error(`${file} imports ${name}: the client has no dependencies`);
      const target = relative(root, resolve(root, dirname(file), name));
      found.add(isTypes ? target.replace(/(?:\.d)?\.ts$|\.js$/, '.d.ts') : target);
    }
  }
  return found;
}

function manifest() {
  const { version, license, type, engines } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  return {
    name: 'kv-filelog-client',
    version,
    description: 'Client of kv-filelog, a replicated, durable key-value store; without dependencies',
    license,
    type,
    engines,
    exports: {
      '.': { types: `./${entry}.d.ts`, default: `./${entry}.js` },
      './package.json': './package.json',
    },
    sideEffects: false,
  };
}

/** What this package's README says to programs, without what concerns the server. */
function readme() {
  const [, section = ''] = readFileSync(join(root, 'README.md'), 'utf8').split(/^## From a program$/m);
  const [programs = ''] = section.split(/^(?:## |- The types )/m);
  const text = programs.replaceAll("'kv-filelog'", "'kv-filelog-client'").trim();
  return `# kv-filelog-client\n\nThe client of kv-filelog alone.\n\n${text}\n- TypeScript 5.5 or newer; the types need no others.\n`;
}
