/** Circles of imports, imports of types among them: who reads one file of a circle must read all. */
import * as path from 'node:path';
import ts from 'typescript';
import type { Complaint, SourceText } from './tidy-rules.ts';

/** One complaint a circle (files that all reach each other), which is its own place. */
export function checkCircles(files: readonly SourceText[]): readonly Complaint[] {
  const graph = new Map(files.map((file) => [file.path, importsOf(file)]));
  return circlesOf(graph).map((circle) => ({
    rule: 'circle',
    place: circle.join(' '),
    message: 'imports go round',
  }));
}

function importsOf(file: SourceText): readonly string[] {
  return ts
    .preProcessFile(file.text, true, true)
    .importedFiles.map(({ fileName }) => fileName)
    .filter((name) => name.startsWith('.'))
    .map((name) => path.posix.join(path.posix.dirname(file.path), name));
}

/** Strongly connected parts of more than one file (Tarjan). */
function circlesOf(graph: ReadonlyMap<string, readonly string[]>): readonly (readonly string[])[] {
  const order = new Map<string, number>();
  const lowest = new Map<string, number>();
  const open: string[] = [];
  const circles: string[][] = [];
  const visit = (name: string): number => {
    order.set(name, order.size);
    lowest.set(name, order.size - 1);
    open.push(name);
    for (const target of graph.get(name) ?? []) {
      if (!graph.has(target)) continue;
      const seen = order.get(target);
      const reach = seen === undefined ? visit(target) : open.includes(target) ? seen : Infinity;
      lowest.set(name, Math.min(lowest.get(name) ?? 0, reach));
    }
    if (lowest.get(name) === order.get(name)) {
      const part = open.splice(open.indexOf(name));
      if (part.length > 1 || graph.get(name)?.includes(name) === true) circles.push(part.sort());
    }
    return lowest.get(name) ?? 0;
  };
  for (const name of graph.keys()) if (!order.has(name)) visit(name);
  return circles.sort((a, b) => (a[0] ?? '').localeCompare(b[0] ?? ''));
}
