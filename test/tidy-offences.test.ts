/** The rules of tidy on planted offences: each finds what it is for, and nothing else. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { checkClasses } from './support/tidy-classes.ts';
import { checkFirstWords, commentsOf } from './support/tidy-comments.ts';
import { checkCircles } from './support/tidy-graph.ts';
import { assertCitations, checkerCitations, invariantMistakes, invariantRows } from './support/tidy-invariants.ts';
import { checkNames } from './support/tidy-names.ts';
import { beyondRatchet } from './support/tidy-ratchet.ts';
import {
  checkSource,
  checkText,
  differences,
  documentedNames,
  type Complaint,
  type SourceText,
} from './support/tidy-rules.ts';
import { checkWalks } from './support/tidy-walks.ts';
import { checkProseWidth, checkSourceWidth } from './support/tidy-width.ts';

function none(complaints: readonly Complaint[]): void {
  assert.deepEqual(beyondRatchet(complaints, {}), []);
}

const source = (text: string, path = 'src/core/a.ts'): SourceText => ({ path, text: `${text}\n` });
const places = (complaints: readonly Complaint[]): readonly string[] => complaints.map(({ place }) => place);

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

describe('circles of imports', () => {
  const file = (path: string, ...targets: readonly string[]): SourceText => ({
    path,
    text: targets.map((target) => `import type { X } from '${target}';`).join('\n'),
  });

  test('two files, types alone; a longer one, by a re-export and an import at run time', () => {
    const files = [
      file('src/a/a.ts', './b.ts'),
      file('src/a/b.ts', './a.ts', './c.ts'),
      file('src/a/c.ts', 'node:path'),
      { path: 'sim/a.ts', text: "export { x } from './b.ts';" },
      { path: 'sim/b.ts', text: "const x = await import('../sim/c.ts');" },
      file('sim/c.ts', '../sim/a.ts', '../src/a/a.ts'),
    ];
    assert.deepEqual(places(checkCircles(files)), ['sim/a.ts sim/b.ts sim/c.ts', 'src/a/a.ts src/a/b.ts']);
  });

  test('a diamond is none', () => {
    none(
      checkCircles([file('a.ts', './b.ts', './c.ts'), file('b.ts', './d.ts'), file('c.ts', './d.ts'), file('d.ts')]),
    );
  });
});

describe('names of files', () => {
  const files = new Set([
    'src/core/a.ts',
    'src/core/shard/serving/owner.ts',
    'docs/design.md',
    'README.md',
    'test/x.test.ts',
  ]);
  const bad: readonly (readonly [name: string, text: string])[] = [
    ['GONE.md', '/** See GONE.md section 3. */'],
    ['core/gone.ts', '// As in core/gone.ts.'],
    ['docs/gone.md', 'f(); /* docs/gone.md */'],
    ['dist/gone.js', '/** `node dist/gone.js` */'],
    ['gone*.test.ts', '// gone*.test.ts'],
  ];
  for (const [name, text] of bad)
    test(`dangling: ${text}`, () =>
      assert.deepEqual(
        checkNames(source(text), files).map(({ message }) => message),
        [`there is no ${name}`],
      ));

  test('there: by the whole name, by its end, as a build, as a pattern; not a comment; an address', () => {
    const good = [
      '// docs/design.md, serving/owner.ts, owner.ts, dist/src/core/shard/serving/owner.js, x*.test.ts',
      "const name = 'gone.ts';",
      '// https://example.com/blob/spec.md, Array.isArray, 1.5, owner.tsx',
    ];
    none(good.flatMap((text) => checkNames(source(text), files)));
  });

  test('documents: names and links; a link may lead to a folder', () => {
    const document = (text: string): SourceText => ({ path: 'docs/a.md', text });
    none(checkNames(document('[x](design.md#y), [y](../src/core/), [z](https://example.com/a.md)'), files));
    const found = checkNames(document('[x](gone/)\n\nand `gone.md`'), files);
    assert.deepEqual(places(found), ['docs/a.md:1', 'docs/a.md:3']);
  });
});

describe('width', () => {
  const wide = 'x'.repeat(120);

  test('comments and code are bounded, a text that cannot be broken is not', () => {
    const lines = [
      `// ${wide}`,
      `/** ${wide} */`,
      `f(${wide});`,
      `f('${wide}');`,
      `const x = /${wide}/;`,
      `f(\`${wide}\`);`,
    ];
    assert.deepEqual(
      places(checkSourceWidth(source(lines.join('\n')))),
      [1, 2, 3].map((line) => `src/core/a.ts:${line}`),
    );
    none(checkSourceWidth(source(`test('${'x'.repeat(110)}', async () => {\n});`)));
    assert.equal(checkSourceWidth(source(`f('short'); // ${wide}`)).length, 1);
  });

  test('prose is bounded; tables, code and links are not', () => {
    const prose = (text: string): readonly string[] => places(checkProseWidth({ path: 'a.md', text }));
    const long = 'word '.repeat(30);
    assert.deepEqual(prose(`${long}\n- ${long}`), ['a.md:1', 'a.md:2']);
    const good = [`| ${long} |`, '```', long, '```', `    ${long}`, `[x](${wide})`, `see https://${wide}`];
    assert.deepEqual(prose(good.join('\n')), []);
    assert.deepEqual(prose(`\`\`\`\n\`\`\`\n${long}`), ['a.md:3'], 'a block of code ends');
  });
});

describe('classes', () => {
  const fields = Array.from({ length: 17 }, (_, index) => `  readonly #f${index} = ${index};`).join('\n');
  const lines = '  f(): void {}\n'.repeat(300);

  test('too many fields, too many lines', () => {
    assert.deepEqual(places(checkClasses(source(`f();\nclass A {\n${fields}\n}`))), ['src/core/a.ts:2']);
    assert.equal(checkClasses(source(`class A {\n${lines}}`)).length, 1);
    assert.equal(checkClasses(source(`/** Not large because of anything. */\nclass A {\n${fields}\n}`)).length, 1);
  });

  test('a reason in the head of the file or before the class excuses; smaller ones need none', () => {
    none(
      checkClasses(
        source(`/**\n * A thing.\n *\n * Large because it is one machine.\n */\nf();\nclass A {\n${fields}\n}`),
      ),
    );
    none(checkClasses(source(`f();\n/** A thing. Large because it is. */\nexport class A {\n${fields}\n}`)));
    none(checkClasses(source(`class A {\n${fields.split('\n').slice(1).join('\n')}\n}`)));
  });
});

describe('comments', () => {
  test('one that hangs on the name below it', () => {
    const bad = ['/** Of the map. */', '// Of the map.\n// And more.', '/**\n * Of the map:\n * 0 is none.\n */'];
    for (const text of bad) assert.equal(checkFirstWords(source(text)).length, 1, text);
    none(
      ['/** Length of the map. */', '// A length,\n// Of which more.', "f('// Of');", '/** Often. */'].flatMap((text) =>
        checkFirstWords(source(text)),
      ),
    );
  });

  test('all are found, also those before a closing brace; texts and patterns are none', () => {
    const text = "f('// no', /\\/\\/ no/, `// no`); // one\nif (x) {\n  // two\n}\n/* three */";
    assert.deepEqual(
      commentsOf(source(text)).map((comment) => [comment.text, comment.line]),
      [
        ['one', 1],
        ['two', 3],
        ['three', 5],
      ],
    );
  });
});

describe('the table of invariants', () => {
  const files = [
    source("assert(x, 'S5 all');", 'src/a.ts'),
    source("assert(x, `S6 ${y}, and S7`); log('S8 not an assert'); other(x, 'S8 no');", 'src/b.ts'),
  ];
  const all = (change: Readonly<Record<string, string>>): string =>
    Array.from({ length: 20 }, (_, index) => `S${index + 1}`)
      .map((rule) => change[rule] ?? `| **${rule} Name.** Text. | not built | not built | not built |`)
      .join('\n');
  const cited = {
    assert: assertCitations(files),
    checker: checkerCitations([source('throw new Violation(`S5 ${where}`); f("no S6");', 'sim/c.ts')]),
    test: [source("test('S5 x', f);", 'test/a.test.ts')],
  };
  const missing = { assert: ['S9'], checker: ['S9'], test: ['S9'] };
  const right = {
    S5: '| **S5 X.** | `a.ts` | `sim/c.ts` | `a.test.ts` |',
    S6: '| **S6 X.** | `src/b.ts` | not built | not built |',
    S7: '| **S7 X.** | `b.ts` | not built | not built |',
    S9: '| **S9 X.** | none yet | none yet | none yet |',
  };
  const mistakes = (change: Readonly<Record<string, string>>): readonly string[] =>
    invariantMistakes(invariantRows(all({ ...right, ...change })), cited, missing);

  test('a right one', () => assert.deepEqual(mistakes({}), []));

  const wrong: readonly (readonly [rule: string, row: string, mistake: RegExp])[] = [
    ['S5', '| **S5 X.** | not built | `c.ts` | `a.test.ts` |', /S5, assert: the cell says 'not built', but src\/a.ts/],
    ['S5', '| **S5 X.** | `a.ts`, `b.ts` | `c.ts` | `a.test.ts` |', /S5, assert: b.ts does not cite it/],
    ['S6', '| **S6 X.** | `a.ts` | not built | not built |', /S6, assert: src\/b.ts cites it and is not named/],
    ['S5', '| **S5 X.** | `a.ts` | `d.ts` | `a.test.ts` |', /S5, checker: sim\/c.ts cites it and is not named/],
    ['S5', '| **S5 X.** | `a.ts` | `c.ts` | `b.test.ts` |', /S5, test: b.test.ts does not cite it/],
    ['S5', '| **S5 X.** | `a.ts` | `c.ts` | |', /S5, test: no file in ''/],
    ['S9', '| **S9 X.** | `a.ts` | none yet | none yet |', /S9, assert: .* the list of what is missing must lose it/],
    ['S8', '| **S8 X.** | none yet | not built | not built |', /S8, assert: .* lacks it/],
    ['S8', '| no rule |', /the rules are/],
  ];
  for (const [rule, row, mistake] of wrong) test(row, () => assert.match(mistakes({ [rule]: row })[0] ?? '', mistake));
});

test('a ratchet: one more and one less than listed are told', () => {
  const complaints = ['a.ts:1', 'a.ts:2'].map((place) => ({ rule: 'r', place, message: 'm' }));
  assert.deepEqual(beyondRatchet(complaints, { r: { 'a.ts': 2 } }), []);
  assert.deepEqual(beyondRatchet(complaints, { r: { 'a.ts': 1 } }), ['a.ts:1 [r] m', 'a.ts:2 [r] m']);
  assert.equal(beyondRatchet(complaints, { r: { 'a.ts': 3 } }).length, 1);
  assert.equal(beyondRatchet([], { r: { 'gone.ts': 1 } }).length, 1);
});

test('walks: a step without its marker, a marker without its step, a walk that is missing or too long', () => {
  const line = (at: number): string => `${at}. [\`src/a${at}.ts\`](src/a${at}.ts): what happens.`;
  const walk = (title: string, steps: number): string =>
    `## ${title} through files\n\n${Array.from({ length: steps }, (_, at) => line(at + 1)).join('\n')}\n`;
  const document = walk('A PUT', 2) + walk('A GET', 1) + walk('A zone change', 8);
  const head = (marks: string): string => `/** Walk: ${marks}. */`;
  const sources = [
    source(head('PUT 1/2, GET 1/1, ZONE CHANGE 1/8'), 'src/a1.ts'),
    source(head('PUT 3/2'), 'src/a2.ts'),
    ...[3, 4, 5, 6, 7, 8].map((at) => source(head(`ZONE CHANGE ${at}/8`), `src/a${at}.ts`)),
  ];
  assert.deepEqual(
    checkWalks(document, sources).map(({ place, message }) => `${place}: ${message}`),
    [
      'ARCHITECTURE.md: ZONE CHANGE is walked in 8 files; allowed: 1 to 7',
      'ARCHITECTURE.md: TAKE-OVER is walked in 0 files; allowed: 1 to 7',
      'src/a2.ts: no walk has PUT 3/2 here',
      'src/a2.ts: its head does not say PUT 2/2',
      'src/a2.ts: its head does not say ZONE CHANGE 2/8',
    ],
  );
});
