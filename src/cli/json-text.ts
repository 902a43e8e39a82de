/**
 * Where a JSON text is wrong. JSON.parse knows that it is, but its messages name a position in some versions of Node
 * and for some mistakes only; a person who edits a config file needs the line.
 */

export type JsonResult =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly line: number; readonly column: number; readonly found: string };

const nestingMax = 100;

export function parseJson(text: string): JsonResult {
  try {
    return { ok: true, value: JSON.parse(text) };
  } catch {
    const scanner = new Scanner(text);
    scanner.document();
    return { ok: false, ...place(text, scanner.position) };
  }
}

function place(text: string, position: number): { line: number; column: number; found: string } {
  const before = text.slice(0, position);
  const found =
    position >= text.length ? 'the end of the file' : `'${text.slice(position, position + 20).split('\n')[0] ?? ''}'`;
  return { line: before.split('\n').length, column: position - before.lastIndexOf('\n'), found };
}

/** Stops at the first character that no JSON text can have there. */
class Scanner {
  readonly #text: string;
  position = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): void {
    if (this.#value(0)) this.#space();
  }

  #value(depth: number): boolean {
    this.#space();
    const next = this.#text[this.position];
    if (depth > nestingMax) return false;
    if (next === '{') return this.#list('}', () => this.#member(depth + 1));
    if (next === '[') return this.#list(']', () => this.#value(depth + 1));
    if (next === '"') return this.#match(/"(?:[^"\\\p{Cc}]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/uy);
    return this.#match(/-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y);
  }

  #member(depth: number): boolean {
    this.#space();
    if (this.#text[this.position] !== '"' || !this.#value(depth)) return false;
    this.#space();
    return this.#take(':') && this.#value(depth);
  }

  #list(end: string, item: () => boolean): boolean {
    this.position += 1;
    this.#space();
    if (this.#take(end)) return true;
    for (;;) {
      if (!item()) return false;
      this.#space();
      if (this.#take(end)) return true;
      if (!this.#take(',')) return false;
    }
  }

  #take(character: string): boolean {
    if (this.#text[this.position] !== character) return false;
    this.position += 1;
    return true;
  }

  #match(pattern: RegExp): boolean {
    pattern.lastIndex = this.position;
    const match = pattern.exec(this.#text);
    if (match === null) return false;
    this.position += match[0].length;
    return true;
  }

  #space(): void {
    this.#match(/[ \t\r\n]*/y);
  }
}
