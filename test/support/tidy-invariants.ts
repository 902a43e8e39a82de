/** The table of docs/invariants.md against the sources: which assert, checker and test keeps which rule. */
import ts from 'typescript';
import type { SourceText } from './tidy-rules.ts';

/** `S1`, ... */
type Rule = string;

export const columns = ['assert', 'checker', 'test'] as const;
export type Column = (typeof columns)[number];

export interface Row {
  readonly rule: Rule;
  readonly cells: Readonly<Record<Column, string>>;
}

/** Rows that begin `| **S1 ...`, with the three cells behind the rule. */
export function invariantRows(document: string): readonly Row[] {
  return document.split('\n').flatMap((line) => {
    const rule = /^\| \*\*(S\d+) /.exec(line)?.[1];
    const cells = line.split(/(?<!\\)\|/).map((cell) => cell.trim());
    if (rule === undefined) return [];
    return [{ rule, cells: { assert: cells[2] ?? '', checker: cells[3] ?? '', test: cells[4] ?? '' } }];
  });
}

/** Files in which an assert's text names the rule: `assert(..., 'S5 ...')`, or `'... (S5)'`. */
export function assertCitations(files: readonly SourceText[]): ReadonlyMap<Rule, readonly string[]> {
  return citations(files, (node) => {
    if (!ts.isCallExpression(node) || !ts.isIdentifier(node.expression) || node.expression.text !== 'assert') return [];
    const [, rule] = node.arguments;
    return rule !== undefined && ts.isStringLiteralLike(rule) ? rulesIn(rule.text) : templateRules(rule);
  });
}

/** Files in which a text begins with the rule, as a checker's complaint does: `S5 shard ...`. */
export function checkerCitations(files: readonly SourceText[]): ReadonlyMap<Rule, readonly string[]> {
  return citations(files, (node) => {
    const text = ts.isStringLiteralLike(node) ? node.text : ts.isTemplateExpression(node) ? node.head.text : '';
    return [/^(S\d+) /.exec(text)?.[1] ?? []].flat();
  });
}

function templateRules(node: ts.Expression | undefined): readonly Rule[] {
  if (node === undefined || !ts.isTemplateExpression(node)) return [];
  return rulesIn([node.head, ...node.templateSpans.map(({ literal }) => literal)].map(({ text }) => text).join(' '));
}

function rulesIn(text: string): readonly Rule[] {
  return text.match(/\bS\d+\b/g) ?? [];
}

function citations(
  files: readonly SourceText[],
  rulesOf: (node: ts.Node) => readonly Rule[],
): ReadonlyMap<Rule, readonly string[]> {
  const found = new Map<Rule, Set<string>>();
  for (const file of files) {
    const visit = (node: ts.Node): void => {
      for (const rule of rulesOf(node)) found.set(rule, (found.get(rule) ?? new Set()).add(file.path));
      ts.forEachChild(node, visit);
    };
    visit(ts.createSourceFile(file.path, file.text, ts.ScriptTarget.Latest, true));
  }
  return new Map([...found].map(([rule, paths]) => [rule, [...paths].sort()]));
}

export interface Cited {
  /** Files of `src`, of `sim` and of `test`, by the rules that they cite. */
  readonly assert: ReadonlyMap<Rule, readonly string[]>;
  readonly checker: ReadonlyMap<Rule, readonly string[]>;
  readonly test: readonly SourceText[];
}

/** Rules that lack something which could be there: each column's list must only get shorter. */
export type Missing = Readonly<Record<Column, readonly Rule[]>>;

/**
 * What is wrong with the table. A cell is `not built`; or `none yet`, and then the rule is in `missing`; or the files,
 * by the ends of their names. Asserts: exactly those that cite the rule. Checkers: those at least. Tests: each cites
 * it.
 */
export function invariantMistakes(rows: readonly Row[], cited: Cited, missing: Missing): readonly string[] {
  const rules = Array.from({ length: 20 }, (_, index) => `S${index + 1}`);
  const found = rows.map(({ rule }) => rule);
  const order = found.join() === rules.join() ? [] : [`the rules are ${found.join(', ')}, not ${rules.join(', ')}`];
  return [
    ...order,
    ...rows.flatMap((row) => columns.flatMap((column) => cellMistakes(row, column, cited, missing[column]))),
  ];
}

function cellMistakes({ rule, cells }: Row, column: Column, cited: Cited, missing: readonly Rule[]): readonly string[] {
  const cell = cells[column];
  const where = `${rule}, ${column}`;
  const isMissing = missing.includes(rule);
  const citing = column === 'test' ? testsThatCite(cited.test, rule) : (cited[column].get(rule) ?? []);
  if (cell === 'not built' || cell === 'none yet') {
    if (isMissing !== (cell === 'none yet'))
      return [`${where}: the cell says '${cell}', but the list of what is missing ${isMissing ? 'has' : 'lacks'} it`];
    return citing.length === 0 ? [] : [`${where}: the cell says '${cell}', but ${citing.join(', ')} cite it`];
  }
  const named = [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name);
  if (isMissing) return [`${where}: it is there, so the list of what is missing must lose it`];
  if (named.length === 0) return [`${where}: no file in '${cell}'; write files, 'none yet' or 'not built'`];
  const unnamed = citing.filter((file) => !named.some((name) => isEndOf(name, file)));
  const idle = named.filter((name) => !citing.some((file) => isEndOf(name, file)));
  return [
    ...(column === 'test' ? [] : unnamed.map((file) => `${where}: ${file} cites it and is not named`)),
    ...(column === 'checker' ? [] : idle.map((name) => `${where}: ${name} does not cite it`)),
  ];
}

function isEndOf(name: string, file: string): boolean {
  return file === name || file.endsWith(`/${name}`);
}

function testsThatCite(files: readonly SourceText[], rule: Rule): readonly string[] {
  const pattern = new RegExp(`\\b${rule}\\b`);
  return files.filter(({ text }) => pattern.test(text)).map((file) => file.path);
}
