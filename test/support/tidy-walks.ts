/**
 * Walks through the code: ARCHITECTURE.md lists the files of a PUT, a GET, a zone change and a take-over in their
 * order, and each of these files says at its head which step it is.
 */
import type { Complaint, SourceText } from './tidy-rules.ts';

const walkNames = {
  'A PUT': 'PUT',
  'A GET': 'GET',
  'A zone change': 'ZONE CHANGE',
  'A take-over': 'TAKE-OVER',
} as const;
const filesMax = 7;
const heading = /^## (A PUT|A GET|A zone change|A take-over) through /;
const step = /^(\d)\. \[`([^`]+)`\]/;
const marker = /\b(PUT|GET|ZONE CHANGE|TAKE-OVER) (\d)\/(\d)\b/g;

/** Files of each walk, in their order. */
export function walksOf(document: string): ReadonlyMap<string, readonly string[]> {
  const walks = new Map<string, string[]>();
  let files: string[] | undefined;
  for (const line of document.split('\n')) {
    const title = heading.exec(line)?.[1];
    if (line.startsWith('## ')) files = undefined;
    const name = Object.entries(walkNames).find(([words]) => words === title)?.[1];
    if (name !== undefined) walks.set(name, (files = []));
    const file = step.exec(line)?.[2];
    if (file !== undefined) files?.push(file);
  }
  return walks;
}

/** Every step is marked in its file, and no marker is anywhere else. */
export function checkWalks(document: string, sources: readonly SourceText[]): readonly Complaint[] {
  const complaints: Complaint[] = [];
  const complain = (place: string, message: string): void => void complaints.push({ rule: 'walk', place, message });
  const wanted = new Map<string, Set<string>>();
  const walks = walksOf(document);
  for (const name of Object.values(walkNames)) {
    const files = walks.get(name) ?? [];
    if (files.length === 0 || files.length > filesMax)
      complain('ARCHITECTURE.md', `${name} is walked in ${files.length} files; allowed: 1 to ${filesMax}`);
    for (const [at, file] of files.entries()) {
      const marks = wanted.get(file) ?? new Set();
      wanted.set(file, marks.add(`${name} ${at + 1}/${files.length}`));
    }
  }
  for (const { path: file, text } of sources) {
    const found = new Set([...text.slice(0, text.indexOf('*/')).matchAll(marker)].map(([mark]) => mark));
    for (const mark of found) if (wanted.get(file)?.delete(mark) !== true) complain(file, `no walk has ${mark} here`);
  }
  for (const [file, marks] of wanted) for (const mark of marks) complain(file, `its head does not say ${mark}`);
  return complaints;
}
