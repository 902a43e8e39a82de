import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { parseJson } from '../../src/cli/json-text.ts';

describe('where a JSON text is wrong', () => {
  const cases: readonly (readonly [text: string, line: number, column: number, found: string])[] = [
    ['', 1, 1, 'the end of the file'],
    ['{', 1, 2, 'the end of the file'],
    ['{"a": 1,}', 1, 9, "'}'"],
    ['{\n  "a": 1\n  "b": 2\n}', 3, 3, `'"b": 2'`],
    ['[1, 2', 1, 6, 'the end of the file'],
    ['[1 2]', 1, 4, "'2]'"],
    ['{"a": nul}', 1, 7, "'nul}'"],
    ["{'a': 1}", 1, 2, "''a': 1}'"],
    ['{"a": "x\n"}', 1, 7, `'"x'`],
    ['{"a" 1}', 1, 6, "'1}'"],
    ['{} x', 1, 4, "'x'"],
    ['// no comments\n{}', 1, 1, "'// no comments'"],
    ['[01]', 1, 3, "'1]'"],
    ['{"\\x": 1}', 1, 2, `'"\\x": 1}'`],
  ];
  for (const [text, line, column, found] of cases) {
    test(JSON.stringify(text), () => assert.deepEqual(parseJson(text), { ok: false, line, column, found }));
  }

  test('what JSON.parse takes is taken, with its value', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        const value: unknown = JSON.parse(text);
        assert.deepEqual(parseJson(text), { ok: true, value });
      }),
      { seed: 1, numRuns: 300 },
    );
  });

  test('a place is found for every cut and every changed character of a text', () => {
    const text = JSON.stringify(
      { gateways: ['a:1, 2'], nested: [[1.5e-3, true, null, 'x\u00e9\\"']], '': {} },
      null,
      2,
    );
    for (let index = 0; index < text.length; index++) {
      for (const bad of [text.slice(0, index), `${text.slice(0, index)}#${text.slice(index + 1)}`]) {
        const result = parseJson(bad);
        if (result.ok) continue;
        assert.ok(result.line >= 1 && result.line <= bad.split('\n').length);
        assert.ok(result.column >= 1 && result.column <= (bad.split('\n')[result.line - 1] ?? '').length + 1);
      }
    }
  });
});
