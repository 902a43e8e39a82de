/**
 * The client's door: every public name of `kv-filelog`.
 *
 *   import { connect } from 'kv-filelog';
 *   await using kv = await connect('127.0.0.1:7101');
 *   const { version } = await kv.put('greeting', 'hello');
 *   console.log((await kv.get('greeting'))?.text);
 *   await kv.put('greeting', 'hello again', { ifVersion: version });
 */
export { KvError } from '../base/errors.ts';
export type { ErrorCode, Outcome } from '../base/errors.ts';
export { Client } from './client.ts';
export { connect } from './connect.ts';
export { Entry } from './types.ts';
export type {
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
