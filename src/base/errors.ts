/**
 * Operating errors: one table of codes, one class. Every code is explained in docs/operating.md; a test compares both
 * ways. `outcome` says what became of a write: `not-applied` (nothing changed and nothing will) or `unknown` (it may
 * have been applied, or may still be). Reads change nothing: theirs is always `not-applied`. `retryable`: the same
 * request may succeed later, unchanged.
 */

/**
 * What became of a write that failed. `not-applied`: nothing was changed, and nothing will be. `unknown`: it may have
 * been applied, or may still be; reading the key tells.
 */
export type Outcome = 'not-applied' | 'unknown';

interface Row {
  readonly meaning: string;
  readonly retryable: boolean;
}

export const errorTable = {
  'bad-argument': { meaning: 'an argument has the wrong type or value', retryable: false },
  'key-empty': { meaning: 'a key has at least one byte', retryable: false },
  'key-too-long': { meaning: 'the key is longer than the limit', retryable: false },
  'value-too-large': { meaning: 'the value is larger than the limit', retryable: false },
  'condition-failed': {
    meaning: 'the condition of the write does not hold; `currentVersion` says what is there',
    retryable: false,
  },
  overloaded: { meaning: 'a bounded queue is full', retryable: true },
  unavailable: { meaning: 'the shard has no owner that can serve it now', retryable: true },
  'not-owner': { meaning: 'the gateway asked does not own the shard', retryable: true },
  timeout: { meaning: 'no answer before the deadline', retryable: true },
  'connection-lost': { meaning: 'the connection went down before the answer', retryable: true },
  aborted: { meaning: 'the caller aborted the request', retryable: false },
  closed: { meaning: 'the client or node is closed', retryable: false },
  'client-forgotten': {
    meaning: 'the shard no longer remembers this client id, so a repetition cannot be told from a new write',
    retryable: false,
  },
  'request-superseded': {
    meaning: 'the request number lies below the first incomplete one of its client',
    retryable: false,
  },
  'window-exceeded': { meaning: 'too many requests of one client are incomplete', retryable: true },
  'disk-full': { meaning: 'no logger has space for the write', retryable: true },
  damaged: { meaning: 'every replica of the record is damaged or gone', retryable: false },
  'protocol-error': { meaning: 'the other side broke the protocol, or a message was malformed', retryable: false },
  'unknown-method': { meaning: 'no such method on this port', retryable: false },
  'protocol-version': { meaning: 'the two sides have no protocol version in common', retryable: false },
  'wrong-cluster': { meaning: 'the other side, or the data folder, belongs to another cluster', retryable: false },
  internal: { meaning: 'a bug; the log of the node says more', retryable: false },
  'config-invalid': { meaning: 'the configuration has a mistake', retryable: false },
  'config-not-found': { meaning: 'no configuration, and no cluster found where one is looked for', retryable: false },
  'unknown-id': { meaning: 'the configuration has no gateway or logger with this id', retryable: false },
  'port-in-use': { meaning: 'another process listens at the address', retryable: true },
  'address-invalid': { meaning: 'not a usable host:port', retryable: false },
  'wrong-port': { meaning: 'what listens at the address is not the client port of a gateway', retryable: false },
  'folder-in-use': { meaning: 'another process uses the data folder', retryable: true },
  'logger-lost': { meaning: 'the operator has declared this logger lost', retryable: false },
  'logger-live': { meaning: 'a logger that is to be declared lost still answers', retryable: false },
  'last-copy': { meaning: 'a logger that is to be declared lost holds what nobody else does', retryable: false },
  'too-few-loggers': { meaning: 'fewer loggers would stay than zones are to have replicas', retryable: false },
  'logger-twice': {
    meaning: 'another process runs with the identity of this logger: its folder is a copy, or the other one is',
    retryable: false,
  },
  'permission-denied': {
    meaning: 'this process may not read or write a file, make a folder, or listen at a port',
    retryable: false,
  },
  'library-missing': {
    meaning: 'the database library, or its part for this system, cannot be loaded',
    retryable: false,
  },
  'newer-format': { meaning: 'the data was written by a newer version of kv-filelog', retryable: false },
  'data-damaged': { meaning: 'a data folder is damaged beyond what replicas can heal', retryable: false },
  'metadata-regressed': {
    meaning: 'the loggers know more of the shard than the coordinator: its file is an older one',
    retryable: false,
  },
  'settings-differ': {
    meaning: 'a setting that never changes differs from what the cluster was created with',
    retryable: false,
  },
  'device-failed': { meaning: 'a write or sync of the device failed (S17)', retryable: false },
  'coordinator-unavailable': { meaning: 'the coordinator did not answer', retryable: true },
  'coordinator-missing': {
    meaning: "there is data of a cluster, but the coordinator's file, or the cluster in it, is gone",
    retryable: false,
  },
  'trace-invalid': { meaning: 'a line of a trace is neither PUT key value, GET key nor DEL key', retryable: false },
  'output-failed': { meaning: 'standard output takes nothing more', retryable: false },
  'verify-failed': { meaning: 'what was read is not what was written', retryable: false },
} as const satisfies Readonly<Record<string, Row>>;

/** Names of the reasons, for programs; docs/operating.md says of each what to do. */
export type ErrorCode = keyof typeof errorTable;

/** What a `KvError` has beside its code and its message. */
export interface KvErrorOptions {
  /** Default `not-applied`. */
  readonly outcome?: Outcome;
  /** Error, or reason of an abort, that this one comes from. */
  readonly cause?: unknown;
  /** Version that the key has, 0 when it has none; with `condition-failed`. */
  readonly currentVersion?: number;
}

/**
 * Every error that kv-filelog rejects or throws for a reason outside the program. `message` is for people and may
 * change; programs look at `code`.
 */
export class KvError extends Error {
  /** For those who can't use `instanceof`: of two copies of the package, say. */
  override readonly name = 'KvError';
  /** Reason, for programs. */
  readonly code: ErrorCode;
  /** What became of the write; `not-applied` for everything that changes nothing, like reads. */
  readonly outcome: Outcome;
  /**
   * The same call may succeed later, unchanged. The client has tried again until the request's time was over: who tries
   * once more should wait. A write whose outcome is `unknown` may then be applied twice.
   */
  readonly retryable: boolean;
  /** With `condition-failed`: the version that the key has, 0 when it has none. Else undefined. */
  readonly currentVersion: number | undefined;

  /** `message`: what, where, and what is allowed or to be done. */
  constructor(code: ErrorCode, message: string, options: KvErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.outcome = options.outcome ?? 'not-applied';
    this.retryable = errorTable[code].retryable;
    this.currentVersion = options.currentVersion;
  }
}

export function isErrorCode(value: string): value is ErrorCode {
  return Object.hasOwn(errorTable, value);
}
