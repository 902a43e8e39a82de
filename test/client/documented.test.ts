import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import * as path from 'node:path';
import { test } from 'node:test';
import ts from 'typescript';
import { repositoryRoot } from '../support/repository.ts';

function parse(file: string): ts.SourceFile {
  const name = path.join(repositoryRoot, file);
  return ts.createSourceFile(name, readFileSync(name, 'utf8'), ts.ScriptTarget.ES2023, true);
}

/** Names that the door exports, with the file that declares each. */
function exportsOf(door: string): (readonly [name: string, file: string])[] {
  return parse(door).statements.flatMap((statement) => {
    if (!ts.isExportDeclaration(statement) || statement.moduleSpecifier === undefined) return [];
    assert.ok(ts.isStringLiteral(statement.moduleSpecifier));
    const file = path.posix.join(path.posix.dirname(door), statement.moduleSpecifier.text);
    assert.ok(statement.exportClause !== undefined && ts.isNamedExports(statement.exportClause));
    return statement.exportClause.elements.map((element) => [element.name.text, file] as const);
  });
}

function isDocumented(node: ts.Node): boolean {
  return ts.getJSDocCommentsAndTags(node).length > 0;
}

/** The declaration's name, and those of its public members, that have no comment. */
function undocumented(name: string, file: string): string[] {
  for (const statement of parse(file).statements) {
    const isIt =
      (ts.isClassDeclaration(statement) ||
        ts.isInterfaceDeclaration(statement) ||
        ts.isTypeAliasDeclaration(statement) ||
        ts.isFunctionDeclaration(statement)) &&
      statement.name?.text === name;
    if (!isIt) continue;
    const members = ts.isClassDeclaration(statement) || ts.isInterfaceDeclaration(statement) ? statement.members : [];
    const open = [...members].filter((member) => member.name === undefined || !ts.isPrivateIdentifier(member.name));
    const bare = open
      .filter((member) => !isDocumented(member))
      .map((member) => member.name?.getText() ?? 'constructor');
    return [...(isDocumented(statement) ? [] : [name]), ...bare.map((member) => `${name}.${member}`)];
  }
  return [`${name}: not found in ${file}`];
}

test('every public name of the SDK, and every member of it, is documented', () => {
  const names = exportsOf('src/client/index.ts');
  assert.ok(names.length > 15);
  assert.deepEqual(
    names.flatMap(([name, file]) => undocumented(name, file)),
    [],
  );
});
