/** Size of classes: one with many fields is a small global scope. */
import ts from 'typescript';
import { commentsOf } from './tidy-comments.ts';
import type { Complaint, SourceText } from './tidy-rules.ts';

export const classLimits = { linesMax: 300, fieldsMax: 16 } as const;

/** A sentence "Large because ..." in the file's head or before the class excuses it. */
export function checkClasses(file: SourceText): readonly Complaint[] {
  const source = ts.createSourceFile(file.path, file.text, ts.ScriptTarget.Latest, true);
  const head = commentsOf(file)[0]?.text ?? '';
  const complaints: Complaint[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isClassLike(node)) check(node);
    ts.forEachChild(node, visit);
  };
  const check = (node: ts.ClassLikeDeclaration): void => {
    const start = source.getLineAndCharacterOfPosition(node.getStart(source)).line;
    const lines = source.getLineAndCharacterOfPosition(node.end).line - start + 1;
    const fields = node.members.filter((member) => ts.isPropertyDeclaration(member)).length;
    if (lines <= classLimits.linesMax && fields <= classLimits.fieldsMax) return;
    const own = file.text.slice(node.pos, node.getStart(source));
    if ([head, own].some((text) => /(?:^|[.!?:]\s+|\*\s)Large because\b/.test(text))) return;
    complaints.push({
      rule: 'class-size',
      place: `${file.path}:${start + 1}`,
      message:
        `${node.name?.text ?? 'a class'}: ${lines} lines, ${fields} fields; at most ${classLimits.linesMax} and ` +
        `${classLimits.fieldsMax}, or a reason that begins "Large because"`,
    });
  };
  visit(source);
  return complaints;
}
