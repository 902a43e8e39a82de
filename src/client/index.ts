/**
 * The client's door: every public name of `kv-filelog`.
 *
 *   import { connect } from 'kv-filelog';
 *   await using kv = await connect('127.0.0.1:7400');
 *   const { version } = await kv.put('greeting', 'hello');
 *   console.log((await kv.get('greeting'))?.text);
 *   await kv.put('greeting', 'hello again', { ifVersion: version });
 *
 * `await using` closes the client at the end of its block; without it, `await kv.close()`: an open client keeps its
 * connections, and with them the process.
 */
export { KvError } from '../base/errors.ts';
export type { ErrorCode, KvErrorOptions, Outcome } from '../base/errors.ts';
export { Client } from './client.ts';
export { connect } from './connect.ts';
export { Entry } from './types.ts';
export type {
  AbortSignalLike,
  Bytes,
  ClientOptions,
  ClientStatus,
  CloseOptions,
  DeleteOptions,
  DeleteResult,
  GatewayConnection,
  GetManyResult,
  PutManyResult,
  PutOptions,
  PutResult,
  ReadOptions,
  RequestOptions,
} from './types.ts';
