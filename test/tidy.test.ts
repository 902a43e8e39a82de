/** The rules of STYLE.md that a machine can hold the sources to. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import * as path from 'node:path';
import { describe, test } from 'node:test';
import { errorTable } from '../src/base/errors.ts';
import { exitCodes } from '../src/cli/exit-codes.ts';
import { integerSettings, otherSettings } from '../src/cli/settings.ts';
import { repositoryRoot } from './support/repository.ts';
import {
  checkSource,
  checkText,
  differences,
  documentedNames,
  exemptions,
  type Complaint,
  type SourceText,
} from './support/tidy-rules.ts';

function read(name: string): string {
  return readFileSync(path.join(repositoryRoot, name), 'utf8');
}

function namesBelow(folder: string): readonly string[] {
  const absolute = path.join(repositoryRoot, folder);
  if (!existsSync(absolute)) return [];
  return readdirSync(absolute, { recursive: true, encoding: 'utf8' }).map((name) =>
    path.posix.join(folder, name.split(path.sep).join('/')),
  );
}

function sources(folders: readonly string[]): readonly SourceText[] {
  const names = folders.flatMap(namesBelow).filter((name) => name.endsWith('.ts'));
  return names.map((name) => ({ path: name, text: read(name) }));
}

function none(complaints: readonly Complaint[]): void {
  assert.deepEqual(
    complaints.map(({ rule, place, message }) => `${place} [${rule}] ${message}`),
    [],
  );
}

/** What git would commit; all text files where there is no git (an unpacked archive). */
function repositoryFiles(): readonly SourceText[] {
  const names = existsSync(path.join(repositoryRoot, '.git'))
    ? execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
        cwd: repositoryRoot,
        encoding: 'utf8',
      }).split('\0')
    : ['src', 'test', 'sim', 'bench', 'docs', 'scripts', '.ci'].flatMap(namesBelow);
  const isText = (name: string): boolean => /\.(ts|mjs|js|json|md|txt|sh)$|^\.ci\/run$|^\.npmrc$|^LICENSE$/.test(name);
  return names
    .filter((name) => isText(name) && existsSync(path.join(repositoryRoot, name)))
    .map((name) => ({ path: name, text: read(name) }));
}

test('sources keep to layers, bans, sizes and the forms that STYLE.md asks for', () => {
  const files = sources(['src', 'test', 'sim', 'bench']);
  assert.ok(files.length > 50, 'the sources were found');
  none(files.flatMap(checkSource));
});

test('no file holds a path of one machine or the address of a package registry', () => {
  // The rules' own file and this test hold what they look for.
  const own = ['test/tidy.test.ts', 'test/support/tidy-rules.ts'];
  none(
    repositoryFiles()
      .filter(({ path: name }) => !own.includes(name))
      .flatMap(checkText),
  );
});

test('every exemption is needed by a file that exists', () => {
  for (const { where, why } of exemptions) {
    assert.ok(existsSync(path.join(repositoryRoot, where)), `${where}: there is no such file; its exemption must go`);
    assert.ok(why.length > 10, `${where}: the reason`);
  }
});

test('docs/operating.md explains every error code, setting and exit code, and no other', () => {
  const operating = read('docs/operating.md');
  assert.deepEqual(differences(Object.keys(errorTable), documentedNames(operating, 'Error codes')), []);
  assert.deepEqual(
    differences([...otherSettings, ...Object.keys(integerSettings)], documentedNames(operating, 'Settings')),
    [],
  );
  assert.deepEqual(differences(Object.values(exitCodes).map(String), documentedNames(operating, 'Exit codes')), []);
});

test('the settings table of docs/operating.md has the defaults and ranges of the code', () => {
  const operating = read('docs/operating.md');
  for (const [name, setting] of Object.entries(integerSettings)) {
    const row = operating.split('\n').find((line) => line.startsWith(`| \`${name}\` |`)) ?? '';
    const cells = row.split('|').map((cell) => cell.trim().replaceAll(',', ''));
    assert.equal(cells[2], setting.default === undefined ? 'gateways' : String(setting.default), `${name}: default`);
    assert.equal(cells[3], `${setting.min} to ${setting.max}`, `${name}: range`);
  }
});

test('docs/dependencies.md has a line of reason for each dependency', () => {
  const manifest: unknown = JSON.parse(read('package.json'));
  const { dependencies, devDependencies } = manifest as {
    dependencies: Record<string, string>;
    devDependencies: Record<string, string>;
  };
  const document = read('docs/dependencies.md');
  assert.deepEqual(differences(Object.keys(dependencies), documentedNames(document, 'Run time')), []);
  assert.deepEqual(differences(Object.keys(devDependencies), documentedNames(document, 'Development')), []);
  for (const [name, version] of Object.entries({ ...dependencies, ...devDependencies }))
    assert.match(version, /^\d+\.\d+\.\d+$/, `${name}: an exact version`);
});

test('every package that the product imports is a run-time dependency', () => {
  const manifest: unknown = JSON.parse(read('package.json'));
  const { dependencies } = manifest as { dependencies: Record<string, string> };
  for (const { path: name, text } of sources(['src'])) {
    for (const [, specifier = ''] of text.matchAll(/^(?:import|export)\b[^;]*? from '([^.'][^']*)';/gm)) {
      const packageName = specifier
        .split('/')
        .slice(0, specifier.startsWith('@') ? 2 : 1)
        .join('/');
      assert.ok(specifier.startsWith('node:') || packageName in dependencies, `${name} imports ${specifier}`);
    }
  }
});

test('tests mirror sources', (context) => {
  const isMirrored = (name: string): boolean =>
    existsSync(path.join(repositoryRoot, name.replace(/\.test\.ts$/, '.ts').replace(/^test\//, 'src/')));
  for (const name of namesBelow('test').filter((file) => file.endsWith('.test.ts') && !isMirrored(file)))
    context.diagnostic(`${name} mirrors no source`);
});

describe('the rules catch what they are for', () => {
  const bad: readonly (readonly [rule: string, file: string, text: string])[] = [
    ['import-direction', 'src/base/a.ts', "import { x } from '../codec/x.ts';"],
    ['import-direction', 'src/gateway/a.ts', "import type { x } from '../logger/x.ts';"],
    ['import-direction', 'src/client/a.ts', "import { x } from '../gateway/x.ts';"],
    ['import-direction', 'src/logger/a.ts', "export { x } from '../client/x.ts';"],
    ['import-direction', 'src/core/a.ts', "import { x } from '../env/clock.ts';"],
    ['import-direction', 'src/codec/a.ts', "import type { x } from '../core/x.ts';"],
    ['import-direction', 'src/env/a.ts', "import { x } from '../codec/x.ts';"],
    ['import-direction', 'src/rpc/a.ts', "const x = await import('../cli/x.ts');"],
    ['import-direction', 'src/cli/a.ts', "import { x } from '../../test/x.ts';"],
    ['import-direction', 'src/cli/a.ts', "import { x } from '../env/simulated/x.ts';"],
    ['import-real', 'src/gateway/a.ts', "import { x } from '../env/real/clock.ts';"],
    ['import', 'src/cli/a.ts', 'const x = await import(name);'],
    ['layer', 'src/util/a.ts', 'const x = 1;'],
    ['ban', 'src/core/a.ts', 'const x = Date.now();'],
    ['ban', 'src/core/a.ts', 'const x = globalThis.Date.now();'],
    ['ban', 'src/core/a.ts', 'const x = new Date();'],
    ['ban', 'src/core/a.ts', 'const x = Math.random();'],
    ['ban', 'src/rpc/a.ts', 'setTimeout(() => undefined, 1);'],
    ['ban', 'src/rpc/a.ts', 'const later = setTimeout;'],
    ['ban', 'src/rpc/a.ts', 'setInterval(() => undefined, 1);'],
    ['ban', 'src/rpc/a.ts', 'setImmediate(() => undefined);'],
    ['ban', 'src/rpc/a.ts', 'globalThis.setImmediate(() => undefined);'],
    ['ban', 'src/rpc/a.ts', 'process.nextTick(() => undefined);'],
    ['ban', 'src/rpc/a.ts', 'queueMicrotask(() => undefined);'],
    ['ban', 'src/rpc/a.ts', 'const x = performance.now();'],
    ['ban', 'src/client/a.ts', 'const x = AbortSignal.timeout(1);'],
    ['ban', 'src/client/a.ts', 'const x = process.hrtime();'],
    ['ban', 'src/logger/a.ts', "import * as fs from 'node:fs';"],
    ['ban', 'src/logger/a.ts', "import * as fs from 'fs';"],
    ['ban', 'src/gateway/a.ts', "import net from 'node:net';"],
    ['ban', 'src/gateway/a.ts', "import { x } from 'node:crypto';"],
    ['ban', 'src/gateway/a.ts', "import { Worker } from 'node:worker_threads';"],
    ['ban', 'src/gateway/a.ts', "import { x } from 'node:timers/promises';"],
    ['ban', 'src/gateway/a.ts', "import readline from 'node:readline';"],
    ['ban', 'src/cli/a.ts', "import { spawn } from 'node:child_process';"],
    ['enum', 'test/a.ts', 'enum X { A }'],
    ['default-export', 'src/core/a.ts', 'export default 1;'],
    ['default-export', 'src/core/a.ts', 'export default function x() {}'],
    ['barrel', 'src/core/a.ts', "export { x } from './x.ts';"],
    ['barrel', 'src/core/a.ts', "export * from './x.ts';\nexport const y = 1;"],
    ['module-state', 'src/core/a.ts', 'let x = 1;'],
    ['module-state', 'src/core/a.ts', 'export let x = 1;'],
    ['file-size', 'sim/a.ts', 'f();\n'.repeat(501)],
    ['cast', 'src/gateway/a.ts', 'const x = 1 as unknown;'],
  ];
  for (const [rule, file, text] of bad) {
    test(`${rule}: ${file}: ${text.slice(0, 60).replaceAll('\n', ' ')}`, () => {
      const found = checkSource({ path: file, text: `${text}\n` }).map((complaint) => complaint.rule);
      assert.ok(found.includes(rule), `found ${JSON.stringify(found)}`);
    });
  }

  const good: readonly (readonly [file: string, text: string])[] = [
    ['src/core/a.ts', "import type { Clock } from '../env/clock.ts';\nimport { x } from '../codec/x.ts';"],
    ['src/cli/a.ts', "import { x } from '../gateway/x.ts';\nimport readline from 'node:readline/promises';"],
    ['src/cli/main.ts', "import { x } from '../env/real/environment.ts';"],
    [
      'src/gateway/a.ts',
      'const x = [1, 2] as const;\nconst y = new Date(x[0]);\nconst z = { performance: 1 };\nz.performance;',
    ],
    ['src/gateway/a.ts', '// The shape was checked above.\nconst x = 1 as unknown;'],
    ['src/env/real/a.ts', "import * as fs from 'node:fs';\nconst x = Date.now();"],
    ['test/a.ts', 'let x = Date.now();'],
  ];
  for (const [file, text] of good) {
    test(`nothing to complain about: ${file}: ${text.slice(0, 60).replaceAll('\n', ' ')}`, () =>
      none(checkSource({ path: file, text: `${text}\n` })));
  }

  test('texts: machine paths, registries, resolved', () => {
    const rules = (name: string, text: string): string[] => checkText({ path: name, text }).map(({ rule }) => rule);
    assert.deepEqual(rules('docs/a.md', 'see /home/anna/x'), ['machine-path']);
    assert.deepEqual(rules('docs/a.md', 'see https://registry.example.com/x'), ['registry']);
    assert.deepEqual(rules('package-lock.json', '"resolved": "x"'), ['registry']);
    assert.deepEqual(rules('docs/a.md', 'see https://github.com/x/work/tree and ./work/x'), []);
  });

  test('documents: a code too few, one too many', () => {
    const document =
      '# X\n## Codes\n| code | meaning |\n|---|---|\n| `a` | b |\n### more\n| `c` | d |\n## Other\n| `e` | f |\n';
    assert.deepEqual(documentedNames(document, 'Codes'), ['a', 'c']);
    assert.deepEqual(differences(['a', 'b'], ['a', 'c']), [
      'b is not documented',
      'c is documented, but does not exist',
    ]);
  });
});
