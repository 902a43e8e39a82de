import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';
import { EvidenceError, evidencePath, originOf, writeEvidence } from '../../sim/evidence.ts';
import { exitCodes, runProgram } from '../../sim/program.ts';

function withCheckout(work: (folder: string) => void): void {
  const folder = mkdtempSync(path.join(tmpdir(), 'kv-filelog-evidence-'));
  try {
    work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test('evidence says what ran, on what, and the result; a later run replaces it', () => {
  withCheckout((folder) => {
    const file = evidencePath('lives', 'txt', folder);
    assert.equal(file, path.join(folder, 'docs/evidence/lives.txt'));
    const origin = { ...originOf('sim:mutants', ['--only', 'ack before']), changed: ['sim/a.ts', 'src/b.ts'] };
    writeEvidence(file, origin, 'first result\n');
    const text = readFileSync(file, 'utf8');
    assert.match(text, / {4}command {3}npm run sim:mutants -- --only 'ack before'\n/);
    assert.match(text, / {4}commit {4}([0-9a-f]{7,}|unknown)\n/);
    assert.match(text, / {4}changes {3}sim\/a\.ts, src\/b\.ts\n/);
    assert.match(text, / {4}date {6}\d{4}-\d\d-\d\dT/);
    assert.match(text, new RegExp(` {4}node {6}${process.version}\n {4}machine {3}\\d+ cores, .+\n\nfirst result\n$`));
    writeEvidence(evidencePath('lives', 'txt', folder), { ...origin, changed: [] }, 'second result');
    assert.match(readFileSync(file, 'utf8'), /changes {3}none\n[^]*\n\nsecond result\n$/);
  });
});

test('what is no evidence is not overwritten', () => {
  withCheckout((folder) => {
    mkdirSync(path.join(folder, 'docs/evidence'), { recursive: true });
    const file = path.join(folder, 'docs/evidence/notes.md');
    writeFileSync(file, 'written by hand\n');
    assert.throws(() => evidencePath('notes', 'md', folder), /docs\/evidence\/notes\.md is there and is no evidence/);
    assert.equal(readFileSync(file, 'utf8'), 'written by hand\n');
  });
});

test('the name of evidence is no path', () => {
  for (const name of ['', '../testing', 'a/b', '.hidden', 'A name'])
    assert.throws(() => evidencePath(name, 'txt'), EvidenceError, name);
});

test('evidence is of many seeds, and a bad name is refused before any life is run', async () => {
  const errors: string[] = [];
  const io = { out: () => assert.fail('no life is run'), error: (text: string) => errors.push(text) };
  assert.equal(await runProgram(['--seed', '1', '--evidence', 'lives'], io), exitCodes.use);
  assert.equal(await runProgram(['--seeds', '1', '--evidence', '../lives'], io), exitCodes.use);
  assert.match(errors[0] ?? '', /^usage:/);
  assert.match(errors[1] ?? '', /'..\/lives': the name of evidence/);
});
