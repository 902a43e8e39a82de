/** Width of lines: 120 columns, in sources and in the prose of documents. */
import ts from 'typescript';
import type { Complaint, SourceText } from './tidy-rules.ts';

export const columnsMax = 120;

/**
 * The formatter keeps code within the margin where it can. So what is left are comments, and lines with a text or a
 * pattern that cannot be broken: those may be longer by as much as it is long.
 */
export function checkSourceWidth(file: SourceText): readonly Complaint[] {
  const lines = file.text.split('\n');
  if (lines.every((line) => line.length <= columnsMax)) return [];
  const source = ts.createSourceFile(file.path, file.text, ts.ScriptTarget.Latest, true);
  const excused = new Set<number>();
  const visit = (node: ts.Node): void => {
    if (isLiteral(node)) excuse(node);
    ts.forEachChild(node, visit);
  };
  const excuse = (node: ts.Node): void => {
    const from = source.getLineAndCharacterOfPosition(node.getStart(source));
    const to = source.getLineAndCharacterOfPosition(node.end);
    for (let line = from.line; line <= to.line; line++) {
      const length = lines[line]?.length ?? 0;
      const start = line === from.line ? from.character : 0;
      const end = line === to.line ? to.character : length;
      if (end - start >= length - columnsMax) excused.add(line);
    }
  };
  visit(source);
  return lines.flatMap((line, index) =>
    line.length > columnsMax && !excused.has(index) ? [tooWide(file, index, line)] : [],
  );
}

function isLiteral(node: ts.Node): boolean {
  return ts.isStringLiteral(node) || ts.isTemplateLiteral(node) || ts.isRegularExpressionLiteral(node);
}

/** Tables, blocks of code and the targets of links cannot be broken. */
export function checkProseWidth(file: SourceText): readonly Complaint[] {
  let inCode = false;
  return file.text.split('\n').flatMap((line, index) => {
    if (/^\s*```/.test(line)) inCode = !inCode;
    if (inCode || /^\s*\|/.test(line) || /^ {4}/.test(line)) return [];
    const text = line.replace(/\]\([^)]*\)/g, ']').replace(/https?:\S+/g, '');
    return text.length > columnsMax ? [tooWide(file, index, line)] : [];
  });
}

function tooWide(file: SourceText, index: number, line: string): Complaint {
  return {
    rule: 'width',
    place: `${file.path}:${index + 1}`,
    message: `${line.length} columns; at most ${columnsMax}`,
  };
}
