/**
 * The rules that test/tidy.test.ts holds the sources to. Each takes files and gives complaints, so that it can be tried
 * on bad snippets.
 */
import * as path from 'node:path';
import ts from 'typescript';

export interface SourceText {
  /** Relative to the repository, with `/`. */
  readonly path: string;
  readonly text: string;
}

export interface Complaint {
  readonly rule: string;
  readonly place: string;
  readonly message: string;
}

/** By layer: what its files may import beside their own layer. */
export const layers: Readonly<Record<string, readonly string[]>> = {
  base: [],
  codec: ['base'],
  core: ['base', 'codec'],
  env: ['base'],
  coordinator: ['base', 'codec', 'core', 'env'],
  rpc: ['base', 'codec', 'core', 'env', 'coordinator'],
  logger: ['base', 'codec', 'core', 'env', 'coordinator', 'rpc'],
  gateway: ['base', 'codec', 'core', 'env', 'coordinator', 'rpc'],
  client: ['base', 'codec', 'core', 'env', 'coordinator', 'rpc'],
  server: ['base', 'codec', 'core', 'env', 'coordinator', 'rpc', 'logger', 'gateway', 'client'],
  cli: ['base', 'codec', 'core', 'env', 'coordinator', 'rpc', 'logger', 'gateway', 'client', 'server'],
};

/** Files that may use what is banned elsewhere, each with the reason. A trailing `/` means the folder. */
interface Exemption {
  readonly where: string;
  readonly what: readonly string[];
  readonly why: string;
}

export const exemptions: readonly Exemption[] = [
  { where: 'src/env/real/', what: ['*'], why: 'the real implementations of the injected world' },
  {
    where: 'src/env/simulated/clock.ts',
    what: ['setImmediate', 'process.nextTick'],
    why: 'simulated time lets the microtasks of a step run dry before the next',
  },
  { where: 'src/env/digest.ts', what: ['node:crypto'], why: 'a hash of bytes: neither time nor randomness' },
  { where: 'src/env/libsql.ts', what: ['node:module'], why: 'loads a package when it is first needed' },
  {
    where: 'src/coordinator/sqlite/sqlite.ts',
    what: ['node:worker_threads'],
    why: 'the embedded coordinator waits in a thread of its own',
  },
  {
    where: 'src/coordinator/sqlite/sqlite-worker.ts',
    what: ['node:worker_threads', 'env/real'],
    why: 'entry point of that thread',
  },
  { where: 'src/cli/main.ts', what: ['node:module', 'env/real'], why: 'entry point of the command' },
  {
    where: 'src/cli/child-process.ts',
    what: ['node:child_process', 'env/real'],
    why: 'starts the processes that `up` supervises, with their logs',
  },
  { where: 'src/client/connect.ts', what: ['env/real'], why: 'entry point of the SDK' },
  { where: 'src/server/', what: ['env/real'], why: 'entry point for embedding' },
];

const bannedGlobals = ['setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask', 'performance'];
const bannedMembers = [
  'Date.now',
  'Math.random',
  'AbortSignal.timeout',
  'process.nextTick',
  'process.hrtime',
  'process.uptime',
];
/** Pure helpers of Node that any layer may use. */
const pureModules = ['node:buffer', 'node:path', 'node:url', 'node:zlib'];
/** Streams and the terminal, for commands only. */
const cliModules = ['node:readline', 'node:readline/promises', 'node:stream', 'node:tty'];
const doors = ['src/client/index.ts', 'src/server/index.ts'];
const linesMax = 500;

export function checkSource(file: SourceText): readonly Complaint[] {
  const source = ts.createSourceFile(file.path, file.text, ts.ScriptTarget.Latest, true);
  const checker = new SourceChecker(file, source);
  checker.check();
  return checker.complaints;
}

class SourceChecker {
  readonly complaints: Complaint[] = [];
  readonly #file: SourceText;
  readonly #source: ts.SourceFile;
  readonly #layer: string;
  readonly #isProduct: boolean;

  constructor(file: SourceText, source: ts.SourceFile) {
    this.#file = file;
    this.#source = source;
    this.#isProduct = file.path.startsWith('src/');
    this.#layer = this.#isProduct ? (file.path.split('/')[1] ?? '') : '';
  }

  check(): void {
    if (this.#isProduct && layers[this.#layer] === undefined)
      this.#complain('layer', this.#source, `'${this.#layer}' is no layer of ${Object.keys(layers).join(', ')}`);
    this.#sizes();
    this.#barrel();
    for (const statement of this.#source.statements) this.#topLevel(statement);
    this.#walk(this.#source);
  }

  #complain(rule: string, node: ts.Node, message: string): void {
    const { line } = this.#source.getLineAndCharacterOfPosition(node.getStart(this.#source));
    this.complaints.push({ rule, place: `${this.#file.path}:${line + 1}`, message });
  }

  #sizes(): void {
    const lines = this.#file.text.split('\n').length - 1;
    if (lines > linesMax) this.#complain('file-size', this.#source, `${lines} lines; at most ${linesMax}`);
  }

  #barrel(): void {
    const { statements } = this.#source;
    const isBarrel =
      statements.length > 0 &&
      statements.every((statement) => ts.isExportDeclaration(statement) && statement.moduleSpecifier !== undefined);
    if (this.#isProduct && isBarrel && !doors.includes(this.#file.path))
      this.#complain('barrel', this.#source, 'only the public doors list names of other files');
    const star = statements.find(
      (statement) => ts.isExportDeclaration(statement) && statement.exportClause === undefined,
    );
    if (this.#isProduct && star !== undefined) this.#complain('barrel', star, 'export * hides what is exported');
  }

  #topLevel(statement: ts.Statement): void {
    if (
      this.#isProduct &&
      ts.isVariableStatement(statement) &&
      (statement.declarationList.flags & ts.NodeFlags.Const) === 0
    ) {
      this.#complain('module-state', statement, 'no module-level let or var');
    }
    const isDefault =
      ts.isExportAssignment(statement) ||
      (ts.canHaveModifiers(statement) &&
        ts.getModifiers(statement)?.some(({ kind }) => kind === ts.SyntaxKind.DefaultKeyword));
    if (isDefault === true) this.#complain('default-export', statement, 'named exports only');
  }

  #walk(node: ts.Node): void {
    if (ts.isEnumDeclaration(node)) this.#complain('enum', node, 'string unions or `as const` objects instead of enum');
    if (this.#isProduct) this.#product(node);
    ts.forEachChild(node, (child) => this.#walk(child));
  }

  #product(node: ts.Node): void {
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node))
      this.#import(node, node.moduleSpecifier, isTypeOnly(node));
    if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword)
      this.#import(node, node.arguments[0], false);
    if (ts.isPropertyAccessExpression(node)) this.#member(node);
    if (ts.isIdentifier(node) && bannedGlobals.includes(node.text) && isReference(node)) this.#banned(node, node.text);
    if (
      ts.isNewExpression(node) &&
      node.expression.getText(this.#source) === 'Date' &&
      (node.arguments?.length ?? 0) === 0
    )
      this.#banned(node, 'new Date()');
    if (ts.isAsExpression(node)) this.#cast(node);
  }

  #member(node: ts.PropertyAccessExpression): void {
    const name = node.getText(this.#source);
    const found = bannedMembers.find((member) => name === member || name === `globalThis.${member}`);
    if (found !== undefined) this.#banned(node, found);
    else if (node.expression.getText(this.#source) === 'globalThis' && bannedGlobals.includes(node.name.text))
      this.#banned(node, node.name.text);
  }

  #banned(node: ts.Node, what: string): void {
    if (!isExempt(this.#file.path, what)) this.#complain('ban', node, `${what}: the world is injected (src/env)`);
  }

  #import(node: ts.Node, specifier: ts.Expression | undefined, isType: boolean): void {
    if (specifier === undefined) return;
    if (!ts.isStringLiteral(specifier)) {
      this.#complain('import', node, 'the name of an imported module is a literal');
      return;
    }
    const name = specifier.text;
    if (name.startsWith('.')) this.#ownImport(node, name, isType);
    else if (isNodeModule(name)) this.#nodeImport(node, name.startsWith('node:') ? name : `node:${name}`);
  }

  #nodeImport(node: ts.Node, name: string): void {
    const isAllowed =
      pureModules.includes(name) ||
      (this.#layer === 'cli' && cliModules.includes(name)) ||
      isExempt(this.#file.path, name);
    if (!isAllowed) this.#complain('ban', node, `${name}: the world is injected (src/env)`);
  }

  #ownImport(node: ts.Node, name: string, isType: boolean): void {
    const target = path.posix.join(path.posix.dirname(this.#file.path), name);
    const [, layer = ''] = target.split('/');
    if (!target.startsWith('src/'))
      this.#complain('import-direction', node, `the product imports nothing of ${target.split('/')[0] ?? ''}/`);
    if (target.startsWith('src/env/real/') && !isExempt(this.#file.path, 'env/real'))
      this.#complain('import-real', node, 'only entry points import the real world');
    if (target.startsWith('src/env/simulated/') && !this.#file.path.startsWith('src/env/simulated/'))
      this.#complain('import-direction', node, 'the simulated world is for tests');
    // The core knows the shapes of the world, never the world.
    const isShape = this.#layer === 'core' && (layer === 'env' || layer === 'coordinator') && isType;
    if (
      target.startsWith('src/') &&
      layer !== this.#layer &&
      !isShape &&
      layers[this.#layer]?.includes(layer) !== true
    ) {
      this.#complain('import-direction', node, `${this.#layer} must not import ${layer}`);
    }
  }

  #cast(node: ts.AsExpression): void {
    const isConst = ts.isTypeReferenceNode(node.type) && node.type.typeName.getText(this.#source) === 'const';
    if (isConst || this.#file.path === 'src/base/ids.ts' || this.#layer === 'codec' || this.#hasComment(node)) return;
    this.#complain(
      'cast',
      node,
      '`as` belongs into ids.ts and codecs; elsewhere it needs a comment on its line or the one above',
    );
  }

  #hasComment(node: ts.Node): boolean {
    const lines = this.#file.text.split('\n');
    const { line } = this.#source.getLineAndCharacterOfPosition(node.getStart(this.#source));
    const isComment = (text: string): boolean => /^\s*(\/\/|\/\*|\*)/.test(text);
    return isComment(lines[line - 1] ?? '') || / \/\/ /.test(lines[line] ?? '');
  }
}

function isTypeOnly(node: ts.ImportDeclaration | ts.ExportDeclaration): boolean {
  if (ts.isExportDeclaration(node)) return node.isTypeOnly;
  const clause = node.importClause;
  if (clause === undefined) return false;
  if (clause.phaseModifier === ts.SyntaxKind.TypeKeyword) return true;
  const bindings = clause.namedBindings;
  return (
    clause.name === undefined &&
    bindings !== undefined &&
    ts.isNamedImports(bindings) &&
    bindings.elements.every(({ isTypeOnly: isType }) => isType)
  );
}

/** A use of the name itself, not a member or a declaration that happens to have it. */
function isReference(node: ts.Identifier): boolean {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent) || ts.isQualifiedName(parent)) return parent.getChildAt(0) === node;
  if (
    ts.isPropertyAssignment(parent) ||
    ts.isMethodDeclaration(parent) ||
    ts.isMethodSignature(parent) ||
    ts.isPropertySignature(parent)
  )
    return parent.name !== node;
  return true;
}

function isNodeModule(name: string): boolean {
  return (
    name.startsWith('node:') ||
    ['fs', 'net', 'crypto', 'worker_threads', 'timers', 'os', 'child_process', 'perf_hooks'].includes(name)
  );
}

function isExempt(file: string, what: string): boolean {
  return exemptions.some(
    ({ where, what: list }) =>
      (where.endsWith('/') ? file.startsWith(where) : file === where) && (list.includes('*') || list.includes(what)),
  );
}

/** Rules for every text file of the repository. */
export function checkText(file: SourceText): readonly Complaint[] {
  const complaints: Complaint[] = [];
  const find = (rule: string, pattern: RegExp, message: string): void => {
    for (const [index, line] of file.text.split('\n').entries()) {
      const match = pattern.exec(line);
      if (match !== null)
        complaints.push({ rule, place: `${file.path}:${index + 1}`, message: `${match[0]}: ${message}` });
    }
  };
  find('machine-path', /(?<![\w.@-])\/(?:home|work|Users|root)\/\w+/, 'a path of one machine');
  find(
    'registry',
    /https?:\/\/[^\s"'/]*(?:registry|npmjs|yarnpkg|artifactory|nexus|verdaccio)[^\s"']*/i,
    'the address of a package registry',
  );
  if (file.path === 'package-lock.json') find('registry', /"resolved":/, 'the lock file holds no download addresses');
  return complaints;
}

/** Codes or names in the first column of the tables below a heading of a document: rows `| \`name\` | ...`. */
export function documentedNames(markdown: string, heading: string): readonly string[] {
  const lines = markdown.split('\n');
  const start = lines.findIndex((line) => line.replace(/^#+\s*/, '') === heading && line.startsWith('#'));
  if (start < 0) return [];
  const level = /^#+/.exec(lines[start] ?? '')?.[0].length ?? 1;
  const rest = lines.slice(start + 1);
  const end = rest.findIndex((line) => /^#+ /.test(line) && (/^#+/.exec(line)?.[0].length ?? 9) <= level);
  return rest.slice(0, end < 0 ? undefined : end).flatMap((line) => /^\| `([^`]+)` \|/.exec(line)?.[1] ?? []);
}

/** Names that only one of the two lists has. */
export function differences(actual: readonly string[], documented: readonly string[]): readonly string[] {
  return [
    ...actual.filter((name) => !documented.includes(name)).map((name) => `${name} is not documented`),
    ...documented.filter((name) => !actual.includes(name)).map((name) => `${name} is documented, but does not exist`),
    ...documented
      .filter((name, index) => documented.indexOf(name) !== index)
      .map((name) => `${name} is documented twice`),
  ];
}
