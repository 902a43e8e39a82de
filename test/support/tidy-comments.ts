/** Rules about comments, and where they are. */
import ts from 'typescript';
import type { Complaint, SourceText } from './tidy-rules.ts';

export interface Comment {
  /** Offset of its first character. */
  readonly start: number;
  /** Line of `start`, from 1. */
  readonly line: number;
  /** Without the marks that make it a comment; as many lines as it has. */
  readonly text: string;
}

/** All comments of a file, in order. Lines of `//` one below the other are one comment. */
export function commentsOf(file: SourceText): readonly Comment[] {
  const source = ts.createSourceFile(file.path, file.text, ts.ScriptTarget.Latest, true);
  const ranges = new Map<number, ts.CommentRange>();
  const collect = (node: ts.Node): void => {
    const children = node.getChildren(source);
    if (children.length > 0) return children.forEach(collect);
    const found = [
      ...(ts.getLeadingCommentRanges(file.text, node.pos) ?? []),
      ...(ts.getTrailingCommentRanges(file.text, node.end) ?? []),
    ];
    for (const range of found) ranges.set(range.pos, range);
  };
  collect(source);
  const sorted = [...ranges.values()].sort((a, b) => a.pos - b.pos);
  return joined(sorted.map((range) => commentOf(file.text, source, range)));
}

interface Found extends Comment {
  readonly isLine: boolean;
  readonly column: number;
}

function commentOf(text: string, source: ts.SourceFile, { pos, end, kind }: ts.CommentRange): Found {
  const { line, character } = source.getLineAndCharacterOfPosition(pos);
  const isLine = kind === ts.SyntaxKind.SingleLineCommentTrivia;
  const raw = text.slice(pos, end);
  const inner = isLine
    ? raw.slice(2)
    : raw
        .slice(2, -2)
        .replace(/^\*/, '')
        .replace(/^[ \t]*\* ?/gm, '');
  return { start: pos, line: line + 1, text: inner.trim(), isLine, column: character };
}

function joined(comments: readonly Found[]): readonly Comment[] {
  const all: Found[] = [];
  let lastLine = 0;
  for (const comment of comments) {
    const before = all.at(-1);
    const continues =
      before?.isLine === true && comment.isLine && comment.line === lastLine + 1 && before.column === comment.column;
    if (before !== undefined && continues) all[all.length - 1] = { ...before, text: `${before.text}\n${comment.text}` };
    else all.push(comment);
    lastLine = comment.line;
  }
  return all;
}

/** "Of the map." hangs on the name below it: the noun comes first ("Length of the map."). */
export function checkFirstWords(file: SourceText): readonly Complaint[] {
  return commentsOf(file)
    .filter(({ text }) => /^Of\b/.test(text))
    .map(({ line, text }) => ({
      rule: 'first-word',
      place: `${file.path}:${line}`,
      message: `${text.slice(0, 40)}: a comment begins with its noun`,
    }));
}
