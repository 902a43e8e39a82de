/**
 * Accepted sockets that read into memory of ours, as sockets that connect do by `onread`. node:net has no option for
 * them: left to itself it allocates 64 KiB for every read, and so much memory outside the heap makes V8 mark the whole
 * heap several times a second under load (a fifth of a logger's processor time, docs/performance.md).
 */
import { type OnReadOpts, Socket, type SocketConstructorOpts } from 'node:net';
import { assert } from '../../base/assert.ts';

/** Options that node:net itself makes a socket of; their type leaves `handle` out. */
interface OptionsWithHandle extends SocketConstructorOpts {
  readonly handle: object;
  readonly onread: OnReadOpts;
}

/**
 * A socket that takes over the connection of `accepted`, which a server with `pauseOnConnect` handed out and nobody has
 * read from; it is paused, too. The server still counts `accepted`, which ends with the new one. Undefined when this
 * version of Node keeps the handle elsewhere: `accepted` is as it was then.
 */
export function readingInto(accepted: Socket, onread: OnReadOpts): Socket | undefined {
  const handle: unknown = Reflect.get(accepted, '_handle');
  if (typeof handle !== 'object' || handle === null || !('useUserBuffer' in handle)) return undefined;
  const options: OptionsWithHandle = { handle, onread };
  const detached = Reflect.set(accepted, '_handle', null);
  assert(detached, 'a socket lets go of its handle');
  const socket = new Socket(options);
  socket.pause();
  socket.once('close', () => accepted.destroy());
  return socket;
}
