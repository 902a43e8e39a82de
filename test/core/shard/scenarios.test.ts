/**
 * Transcripts of test/scenarios/, which must be as they are. `REWRITE=1` writes them anew, for the diff to be reviewed.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import * as path from 'node:path';
import { test } from 'node:test';
import { repositoryRoot } from '../../support/repository.ts';
import { runScenario } from './scenario.ts';

const folder = path.join(repositoryRoot, 'test/scenarios');

for (const name of readdirSync(folder).filter((file) => file.endsWith('.txt'))) {
  test(`scenario ${name}`, () => {
    const file = path.join(folder, name);
    const written = readFileSync(file, 'utf8');
    const actual = runScenario(written);
    if (process.env['REWRITE'] === '1') writeFileSync(file, actual);
    else assert.equal(actual, written);
  });
}

test('results are replaced, comments and commands stay; what is no command is named', () => {
  const text = '# A comment.\n\ncluster gateways=1 loggers=1\n----\nwrong\n\n# Why.\nread g0 key\n----\n';
  assert.equal(
    runScenario(text),
    '# A comment.\n\ncluster gateways=1 loggers=1\n----\n\n# Why.\nread g0 key\n----\nread key: failed, not-owner, outcome not-applied\n',
  );
  assert.throws(() => runScenario('cluster\n----\n\nfly g0\n----\n'), /'fly g0': no such command/);
});
