/**
 * The database library, loaded when it is first needed: clients and most commands need none, and its native part may be
 * missing (`npm ci --omit=optional`, modules copied from a machine of another kind) or not fit this system.
 */
import { createRequire } from 'node:module';
import type Database from 'libsql';
import { KvError } from '../base/errors.ts';

/** @throws KvError `library-missing` */
export function libsql(): typeof Database {
  try {
    // The package's own types, which `require` does not tell.
    return createRequire(import.meta.url)('libsql') as typeof Database;
  } catch (cause) {
    throw new KvError('library-missing', missing(cause), { cause });
  }
}

function missing(cause: unknown): string {
  // Node adds the stack of `require` below the first line.
  const reason = (cause instanceof Error ? cause.message : String(cause)).split('\n')[0] ?? '';
  return (
    `the database library libsql cannot be loaded on ${process.platform}-${process.arch} (${reason}); ` +
    'install the dependencies again on this machine, with the optional ones: npm ci --include=optional'
  );
}
