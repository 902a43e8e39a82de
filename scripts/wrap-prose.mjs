/**
 * Wraps the prose of Markdown documents at 120 columns, where test/tidy.test.ts finds lines that are longer. Paragraphs
 * and items of lists that fit stay as they are; so do tables, headings and blocks of code.
 *   node scripts/wrap-prose.mjs FILE ...
 */
import { readFileSync, writeFileSync } from 'node:fs';

const columnsMax = 120;
const item = /^(\s*)(?:[-*]|\d+\.) +/;

for (const file of process.argv.slice(2)) writeFileSync(file, wrapped(readFileSync(file, 'utf8')));

function wrapped(text) {
  const out = [];
  let block = [];
  let inCode = false;
  const flush = () => {
    out.push(...(block.some((line) => line.length > columnsMax) ? wrapBlock(block) : block));
    block = [];
  };
  for (const line of text.split('\n')) {
    const isFence = /^\s*```/.test(line);
    const isIndentedCode = block.length === 0 && /^ {4}/.test(line);
    if (inCode || isFence || isIndentedCode || /^\s*\||^#|^\s*$/.test(line)) {
      flush();
      out.push(line);
    } else {
      if (item.test(line)) flush();
      block.push(line);
    }
    if (isFence) inCode = !inCode;
  }
  flush();
  return out.join('\n');
}

function wrapBlock(lines) {
  const [mark = ''] = item.exec(lines[0]) ?? [/^\s*/.exec(lines[0])[0]];
  const hang = ' '.repeat(mark.length);
  const words = lines.join(' ').slice(mark.length).trim().split(/\s+/);
  const out = [];
  let line = mark;
  let isEmpty = true;
  for (const word of words) {
    const isLonger = line.length + (isEmpty ? 0 : 1) + word.length > columnsMax;
    // What would begin a list, a heading or a table stays on its line.
    if (!isEmpty && isLonger && !/^(?:[-+*]|#{1,6}|\d+\.|[>|].*)$/.test(word)) {
      out.push(line);
      line = hang;
      isEmpty = true;
    }
    line += (isEmpty ? '' : ' ') + word;
    isEmpty = false;
  }
  out.push(line);
  return out;
}
