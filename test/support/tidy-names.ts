/** Names of files in comments and documents: each names a file that is there. */
import * as path from 'node:path';
import { commentsOf } from './tidy-comments.ts';
import type { Complaint, SourceText } from './tidy-rules.ts';

/** Names that are no file of the repository, each with the reason. */
export const foreignNames: Readonly<Record<string, string>> = {
  'STYLE.md': 'cites files of the projects that we learn from',
};

/** `serving/owner.ts`, `STYLE.md`, `test/core/index/key-index*.test.ts`; not a part of a longer name or an address. */
const fileName = /(?<![\w/.*@<>-])(?:[\w.*-]+\/)*[\w*-][\w.*-]*\.(?:ts|mjs|js|md|sh)(?![\w/*-])/g;
/** `[text](target)`, targets within the repository. */
const link = /\]\((?!https?:|#)([^)#\s]+)(?:#[^)]*)?\)/g;

/** `files`: every file of the repository. A source is looked at in its comments, a document everywhere. */
export function checkNames(file: SourceText, files: ReadonlySet<string>): readonly Complaint[] {
  if (file.path in foreignNames) return [];
  const isDocument = file.path.endsWith('.md');
  const texts = isDocument ? [{ line: 1, text: file.text }] : commentsOf(file);
  const complaints: Complaint[] = [];
  const complain = (line: number, name: string): void => {
    complaints.push({ rule: 'dangling-name', place: `${file.path}:${line}`, message: `there is no ${name}` });
  };
  for (const comment of texts) {
    for (const [offset, text] of comment.text.split('\n').entries()) {
      for (const [name] of text.matchAll(fileName))
        if (!isThere(name, file.path, files)) complain(comment.line + offset, name);
      if (!isDocument) continue;
      for (const [, target = ''] of text.matchAll(link)) {
        const full = path.posix.join(path.posix.dirname(file.path), target);
        const isFolder = [...files].some((name) => name.startsWith(`${full.replace(/\/$/, '')}/`));
        if (!files.has(full) && !isFolder) complain(comment.line + offset, target);
      }
    }
  }
  return complaints;
}

/** By its full name, by the end of it, or as the build's copy of a source. */
function isThere(name: string, mentionedIn: string, files: ReadonlySet<string>): boolean {
  const source = name.replace(/^dist\//, '').replace(/\.js$/, '.ts');
  const wanted = [name, ...(source === name || !name.startsWith('dist/') ? [] : [source])];
  return wanted.some((one) => {
    if (one.includes('*')) return [...files].some((file) => globOf(one).test(file));
    const full = path.posix.join(path.posix.dirname(mentionedIn), one);
    return files.has(full) || [...files].some((file) => file === one || file.endsWith(`/${one}`));
  });
}

function globOf(name: string): RegExp {
  const pattern = name.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replace(/\*/g, '[^/]*');
  return new RegExp(`(?:^|/)${pattern}$`);
}
