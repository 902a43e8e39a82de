/** The rules of STYLE.md that a machine can hold the sources to. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import * as path from 'node:path';
import { test } from 'node:test';
import { errorTable } from '../src/base/errors.ts';
import { clientSettings, clusterSettings, clusterTexts, type IntegerSetting } from '../src/base/settings.ts';
import { exitCodes } from '../src/cli/exit-codes.ts';
import { repositoryRoot } from './support/repository.ts';
import { checkClasses } from './support/tidy-classes.ts';
import { checkFirstWords } from './support/tidy-comments.ts';
import { checkCircles } from './support/tidy-graph.ts';
import {
  assertCitations,
  checkerCitations,
  invariantMistakes,
  invariantRows,
  type Missing,
} from './support/tidy-invariants.ts';
import { checkNames, foreignNames } from './support/tidy-names.ts';
import { beyondRatchet, ratchet } from './support/tidy-ratchet.ts';
import {
  checkSource,
  checkText,
  differences,
  documentedNames,
  exemptions,
  type Complaint,
  type SourceText,
} from './support/tidy-rules.ts';
import { checkWalks } from './support/tidy-walks.ts';
import { checkProseWidth, checkSourceWidth } from './support/tidy-width.ts';

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
  assert.deepEqual(beyondRatchet(complaints, {}), []);
}

/** What git would commit; all text files where there is no git (an unpacked archive). */
function repositoryFiles(): readonly SourceText[] {
  const names = existsSync(path.join(repositoryRoot, '.git'))
    ? execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
        cwd: repositoryRoot,
        encoding: 'utf8',
      }).split('\0')
    : [
        ...readdirSync(repositoryRoot),
        ...['src', 'test', 'sim', 'bench', 'docs', 'scripts', '.ci'].flatMap(namesBelow),
      ];
  const isText = (name: string): boolean => /\.(ts|mjs|js|json|md|txt|sh)$|^\.ci\/run$|^\.npmrc$|^LICENSE$/.test(name);
  return names
    .filter((name) => isText(name) && existsSync(path.join(repositoryRoot, name)))
    .map((name) => ({ path: name, text: read(name) }));
}

function documents(): readonly SourceText[] {
  return repositoryFiles().filter(({ path: name }) => name.endsWith('.md'));
}

test('sources keep to layers, bans, sizes, widths and the forms that STYLE.md asks for', () => {
  const files = sources(['src', 'test', 'sim', 'bench']);
  assert.ok(files.length > 50, 'the sources were found');
  const product = files.filter(({ path: name }) => name.startsWith('src/'));
  const scripts = namesBelow('scripts').map((name) => ({ path: name, text: read(name) }));
  // The mutants hold lines of the build as they are there.
  const bounded = [...files, ...scripts].filter(({ path: name }) => name !== 'sim/mutant-list.ts');
  const complaints = [
    ...files.flatMap(checkSource),
    ...checkCircles(files),
    ...bounded.flatMap(checkSourceWidth),
    ...product.flatMap(checkClasses),
    ...product.flatMap(checkFirstWords),
  ];
  assert.deepEqual(beyondRatchet(complaints, ratchet), []);
});

test('the prose of documents is wrapped at 120 columns (`node scripts/wrap-prose.mjs FILE`)', () => {
  none(documents().flatMap(checkProseWidth));
});

test('each step of the walks in ARCHITECTURE.md is marked in its file', () => {
  none(checkWalks(read('ARCHITECTURE.md'), sources(['src'])));
});

test('every file that a comment or a document names is there', () => {
  const files = repositoryFiles();
  const names = new Set(files.map((file) => file.path));
  const isSource = ({ path: name }: SourceText): boolean => /\.(ts|mjs)$/.test(name);
  none([...files.filter(isSource), ...documents()].flatMap((file) => checkNames(file, names)));
  for (const [name, why] of Object.entries(foreignNames))
    assert.ok(names.has(name) && why.length > 10, `${name}: its exemption must go, or needs a reason`);
});

/** What could be there and is not yet; an entry that is there now is a failure, so that the lists only get shorter. */
const missing: Missing = { assert: [], checker: [], test: [] };

test('docs/invariants.md names the asserts, checkers and tests of each rule as the sources have them', () => {
  const ownTests = /^test\/(?:tidy|support\/tidy)/;
  const cited = {
    assert: assertCitations(sources(['src'])),
    checker: checkerCitations(sources(['sim']).filter(({ path: name }) => name !== 'sim/mutant-list.ts')),
    test: sources(['test']).filter(({ path: name }) => name.endsWith('.test.ts') && !ownTests.test(name)),
  };
  assert.deepEqual(invariantMistakes(invariantRows(read('docs/invariants.md')), cited, missing), []);
});

test('no file holds a path of one machine or the address of a package registry', () => {
  // The rules' own file and their test hold what they look for.
  const own = ['test/tidy-offences.test.ts', 'test/support/tidy-rules.ts'];
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
    differences(Object.keys({ ...clusterTexts, ...clusterSettings }), documentedNames(operating, 'Settings')),
    [],
  );
  assert.deepEqual(
    differences([...Object.keys(clientSettings), 'direct'], documentedNames(operating, 'Options of the SDK')),
    [],
  );
  assert.deepEqual(differences(Object.values(exitCodes).map(String), documentedNames(operating, 'Exit codes')), []);
});

test('the tables of settings in docs/operating.md have the defaults, ranges and units of the code', () => {
  const operating = read('docs/operating.md').split('\n');
  /** What the document says where the default is worked out from another setting. */
  const workedOut: Readonly<Record<string, string>> = { shards: 'gateways', connectTimeoutMs: 'timeoutMs' };
  for (const [name, setting] of Object.entries<IntegerSetting>({ ...clusterSettings, ...clientSettings })) {
    const row = operating.find((line) => line.startsWith(`| \`${name}\` |`)) ?? '';
    const cells = row.split('|').map((cell) => cell.trim().replaceAll(',', ''));
    assert.equal(cells[2], String(setting.default ?? workedOut[name]), `${name}: default`);
    assert.equal(cells[3], `${setting.min} to ${setting.max}`, `${name}: range`);
    assert.equal(cells[4], setting.unit, `${name}: unit`);
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
