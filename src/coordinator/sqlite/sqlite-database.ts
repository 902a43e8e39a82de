/**
 * One connection to the SQLite file of the embedded coordinator: synchronous, for a thread that may block. Write-ahead
 * log, synchronous = FULL: a commit returns, and others see it, only after its frames are on stable storage.
 *
 *   entries(key, value, revision)   value NULL: deleted at that revision (a tombstone: watches learn of it)
 *   meta(name, value)               revision: the newest; forgotten: tombstones up to here are gone; openings
 *
 * `application_id` marks the file as ours, `user_version` is the version of this layout.
 *
 * It owns the connection, the layout and its statements. It does not own waiting for the lock: `busy` is an answer here
 * (sqlite-worker.ts tries again).
 */
import type Database from 'libsql';
import { present } from '../../base/assert.ts';
import { KvError } from '../../base/errors.ts';
import { libsql } from '../../env/libsql.ts';
import {
  coordinatorLimits,
  type Change,
  type Compare,
  type Entry,
  type Revision,
  type TransactionResult,
  type Write,
} from '../coordinator.ts';
import { prefixEnd } from '../requests.ts';
import type { Listing } from './sqlite-messages.ts';

const applicationId = 0x6b766663;
const layoutVersion = 1;
/** Changes read in one step of a watch; more than one transaction has, so that a whole one always fits. */
const changesPerStep = 4 * coordinatorLimits.transactionItemsMax;

const layout = `
  CREATE TABLE entries(key TEXT PRIMARY KEY NOT NULL, value BLOB, revision INTEGER NOT NULL) WITHOUT ROWID;
  CREATE INDEX by_revision ON entries(revision);
  CREATE INDEX tombstones ON entries(revision) WHERE value IS NULL;
  CREATE TABLE meta(name TEXT PRIMARY KEY NOT NULL, value INTEGER NOT NULL) WITHOUT ROWID;
  INSERT INTO meta VALUES ('revision', 0), ('forgotten', 0), ('openings', 0);
  PRAGMA application_id = ${applicationId};
  PRAGMA user_version = ${layoutVersion};
`;

export type DatabaseErrorCode = 'busy' | 'damaged' | 'newer-format' | 'failed';

export class DatabaseError extends Error {
  override readonly name = 'DatabaseError';
  readonly code: DatabaseErrorCode;
  /** Outcome of the transaction. */
  readonly outcome: 'not-applied' | 'unknown';
  constructor(
    code: DatabaseErrorCode,
    message: string,
    outcome: 'not-applied' | 'unknown' = 'not-applied',
    options?: { cause?: unknown },
  ) {
    super(message, options);
    this.code = code;
    this.outcome = outcome;
  }
}

interface Row {
  readonly key: string;
  readonly value: Uint8Array | ArrayBuffer | null;
  readonly revision: number;
}

function rows(statement: Database.Statement, ...parameters: readonly unknown[]): Row[] {
  // Statements return untyped rows: hence the cast; their shape is that of the SELECTs below.
  return statement.all(...parameters) as Row[];
}

function bytesOf(value: Uint8Array | ArrayBuffer): Uint8Array {
  return value instanceof ArrayBuffer ? new Uint8Array(value) : value;
}

/** Runs `action`; whatever SQLite throws becomes a DatabaseError of this outcome. */
function guarded<T>(file: string, outcome: 'not-applied' | 'unknown', action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (error instanceof DatabaseError || error instanceof KvError) throw error;
    const raw = error instanceof Error && 'rawCode' in error && typeof error.rawCode === 'number' ? error.rawCode : 0;
    const message = `${file}: ${error instanceof Error ? error.message : String(error)} (SQLite code ${raw})`;
    throw new DatabaseError(errorCode(raw & 0xff), message, outcome, { cause: error });
  }
}

function errorCode(primary: number): DatabaseErrorCode {
  // BUSY, LOCKED and PROTOCOL: another process is in the way. CORRUPT, NOTADB: the file is not what it should be.
  if (primary === 5 || primary === 6 || primary === 15) return 'busy';
  return primary === 11 || primary === 26 ? 'damaged' : 'failed';
}

/** Makes a complete, closed database at `file`, which must not be in use. */
export function createDatabaseFile(file: string): void {
  guarded(file, 'not-applied', () => {
    const database = new (libsql())(file);
    try {
      // `exec` alone: a prepared statement would keep the connection open, and the log beside the file, until it is
      // collected.
      database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;');
      database.exec(`BEGIN IMMEDIATE; ${layout} COMMIT;`);
    } finally {
      database.close();
    }
  });
}

export class SqliteDatabase {
  readonly #file: string;
  readonly #database: Database.Database;
  readonly #deletesKept: number;
  #prepared: ReturnType<typeof prepareAll> | undefined;
  #deletesSinceTrim: number;

  /** REQUIRES: the file exists. Nothing may be called before `start`. @throws DatabaseError */
  constructor(file: string, deletesKept: number) {
    this.#file = file;
    this.#deletesKept = deletesKept;
    // Processes that never live long enough to trim would leave it to nobody: the first transaction does it.
    this.#deletesSinceTrim = deletesKept;
    this.#database = guarded(file, 'not-applied', () => new (libsql())(file, { timeout: 0 }));
  }

  /**
   * Checks whose file it is and makes what recovery found stable. @throws DatabaseError; after `busy` it may be called
   * again, which is better than opening again: a connection is really closed only when its statements are collected.
   */
  start(): void {
    this.#checkVersion();
    this.#prepared ??= guarded(this.#file, 'not-applied', () => prepareAll(this.#database));
    this.#begin(() => this.#statements.opened.run());
  }

  get #statements(): ReturnType<typeof prepareAll> {
    return present(this.#prepared, 'start comes first');
  }

  #checkVersion(): void {
    const database = this.#database;
    const [application, version] = guarded(this.#file, 'not-applied', () => {
      database.pragma('synchronous = FULL');
      database.pragma('fullfsync = 1');
      // A checkpoint is called by name (below), where its failure is seen.
      database.pragma('wal_autocheckpoint = 0');
      database.pragma('journal_size_limit = 16777216');
      return [number(database, 'application_id'), number(database, 'user_version')];
    });
    if (application !== applicationId)
      throw new DatabaseError('damaged', `${this.#file} is not a coordinator's database; put the cluster's own back`);
    if (version > layoutVersion) {
      throw new DatabaseError(
        'newer-format',
        `${this.#file} has layout ${version}; this version knows layouts up to ${layoutVersion}`,
      );
    }
  }

  /**
   * Runs `body` in a write transaction and makes it stable. The first one, at opening, changes a counter: its sync
   * covers whatever the recovery of a crashed process's log has found, so that nobody acts on a change that a power cut
   * could still take back.
   */
  #begin<T>(body: () => T): T {
    guarded(this.#file, 'not-applied', () => this.#statements.begin.run());
    let result: T;
    try {
      result = guarded(this.#file, 'not-applied', body);
    } catch (error) {
      this.#rollback();
      throw error;
    }
    try {
      guarded(this.#file, 'unknown', () => this.#statements.commit.run());
    } catch (error) {
      this.#rollback();
      throw error;
    }
    return result;
  }

  #rollback(): void {
    if (!this.#database.inTransaction) return;
    guarded(this.#file, 'unknown', () => this.#statements.rollback.run());
  }

  get(key: string): Entry | undefined {
    const row = guarded(this.#file, 'not-applied', () => rows(this.#statements.get, key)[0]);
    return row === undefined || row.value === null
      ? undefined
      : { key: row.key, value: bytesOf(row.value), revision: row.revision };
  }

  list(prefix: string): Listing {
    return this.#snapshot(() => {
      const end = prefixEnd(prefix);
      const found =
        end === undefined ? rows(this.#statements.listFrom, prefix) : rows(this.#statements.list, prefix, end);
      const entries = found.flatMap(({ key, value, revision }) =>
        value === null ? [] : [{ key, value: bytesOf(value), revision }],
      );
      return { entries, revision: this.#meta('revision') };
    });
  }

  /** Runs reads that must see the same state. */
  #snapshot<T>(body: () => T): T {
    return guarded(this.#file, 'not-applied', () => {
      this.#statements.beginRead.run();
      try {
        return body();
      } finally {
        this.#rollback();
      }
    });
  }

  #meta(name: 'revision' | 'forgotten'): number {
    return present(rows(this.#statements.meta, name)[0], `meta ${name}`).revision;
  }

  get revision(): Revision {
    return guarded(this.#file, 'not-applied', () => this.#meta('revision'));
  }

  /**
   * Changes after `after`, in order of revision, in whole transactions, at most some hundred: `upTo` says how far they
   * reach, `complete` that this is the newest revision. Undefined: some of them are forgotten.
   */
  changesAfter(
    after: Revision,
  ): { readonly changes: readonly Change[]; readonly upTo: Revision; readonly complete: boolean } | undefined {
    return this.#snapshot(() => {
      if (after < this.#meta('forgotten')) return undefined;
      const found = rows(this.#statements.changes, after, changesPerStep);
      const complete = found.length < changesPerStep;
      // The last transaction may be cut off: it belongs to the next step.
      const last = found.at(-1)?.revision ?? after;
      const whole = complete ? found : found.filter((row) => row.revision < last);
      const changes = whole.map(({ key, value, revision }) => ({
        key,
        value: value === null ? undefined : bytesOf(value),
        revision,
      }));
      return {
        changes,
        upTo: complete ? Math.max(after, this.#meta('revision')) : (changes.at(-1)?.revision ?? after),
        complete,
      };
    });
  }

  /** A number that differs from the last answer when another connection has committed since. About 5 us. */
  version(): number {
    return guarded(this.#file, 'not-applied', () =>
      number(this.#database, 'data_version', this.#statements.dataVersion),
    );
  }

  /**
   * Applies the transactions one after another and makes all of them stable with one sync. All of them are answered or
   * none: an error concerns each of them. @throws DatabaseError with the outcome; `busy`: nothing was begun
   */
  transact(
    requests: readonly { readonly compares: readonly Compare[]; readonly writes: readonly Write[] }[],
  ): TransactionResult[] {
    return this.#begin(() => {
      let revision = this.#meta('revision');
      const before = revision;
      const results = requests.map(({ compares, writes }): TransactionResult => {
        if (!compares.every((compare) => this.#revisionOf(compare.key) === compare.revision))
          return { kind: 'refused' };
        if (this.#write(writes, revision + 1)) revision += 1;
        return { kind: 'applied', revision };
      });
      if (revision !== before) this.#statements.setMeta.run(revision, 'revision');
      if (this.#deletesSinceTrim >= this.#deletesKept / 10) this.#trim();
      return results;
    });
  }

  #revisionOf(key: string): Revision {
    const row = rows(this.#statements.get, key)[0];
    return row === undefined || row.value === null ? 0 : row.revision;
  }

  /** Whether anything changed: deleting what is absent changes nothing. */
  #write(writes: readonly Write[], revision: Revision): boolean {
    let changed = false;
    for (const { key, value } of writes) {
      if (value === undefined) {
        if (this.#revisionOf(key) === 0) continue;
        this.#deletesSinceTrim += 1;
      }
      this.#statements.put.run(key, value ?? null, revision);
      changed = true;
    }
    return changed;
  }

  /** Forgets tombstones beyond the newest `deletesKept`. */
  #trim(): void {
    this.#deletesSinceTrim = 0;
    const oldest = rows(this.#statements.tombstone, this.#deletesKept)[0];
    if (oldest === undefined) return;
    this.#statements.dropTombstones.run(oldest.revision);
    this.#statements.setMeta.run(oldest.revision, 'forgotten');
  }

  /** Moves what the log holds into the database. @throws DatabaseError */
  checkpoint(): void {
    guarded(this.#file, 'not-applied', () => this.#database.pragma('wal_checkpoint(PASSIVE)'));
  }

  close(): void {
    this.#database.close();
  }
}

function prepareAll(database: Database.Database) {
  return {
    begin: database.prepare('BEGIN IMMEDIATE'),
    beginRead: database.prepare('BEGIN'),
    commit: database.prepare('COMMIT'),
    rollback: database.prepare('ROLLBACK'),
    opened: database.prepare("UPDATE meta SET value = value + 1 WHERE name = 'openings'"),
    get: database.prepare('SELECT key, value, revision FROM entries WHERE key = ?'),
    list: database.prepare('SELECT key, value, revision FROM entries WHERE key >= ? AND key < ? ORDER BY key'),
    listFrom: database.prepare('SELECT key, value, revision FROM entries WHERE key >= ? ORDER BY key'),
    changes: database.prepare(
      'SELECT key, value, revision FROM entries WHERE revision > ? ORDER BY revision, key LIMIT ?',
    ),
    put: database.prepare('INSERT OR REPLACE INTO entries(key, value, revision) VALUES (?, ?, ?)'),
    meta: database.prepare('SELECT name AS key, NULL AS value, value AS revision FROM meta WHERE name = ?'),
    setMeta: database.prepare('UPDATE meta SET value = ? WHERE name = ?'),
    tombstone: database.prepare(
      'SELECT key, value, revision FROM entries WHERE value IS NULL ORDER BY revision DESC LIMIT 1 OFFSET ?',
    ),
    dropTombstones: database.prepare('DELETE FROM entries WHERE value IS NULL AND revision <= ?'),
    dataVersion: database.prepare('PRAGMA data_version'),
  };
}

function number(database: Database.Database, name: string, prepared?: Database.Statement): number {
  // A pragma's row is untyped as well: hence the cast.
  const row = (prepared ?? database.prepare(`PRAGMA ${name}`)).get() as Readonly<Record<string, unknown>>;
  const value = row[name];
  return typeof value === 'number' ? value : 0;
}
