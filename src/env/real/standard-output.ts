/** Standard output and standard error, byte for byte. */
import * as fs from 'node:fs';

/** Writes all of `bytes`, or calls `done` with the reason why not; in order, whatever became of the write before. */
export type ByteSink = (bytes: Uint8Array, done: (error?: Error) => void) => void;

/**
 * The sink behind a stream of this process. Its failures are told to `done` alone: none of them ends the process.
 *
 * Node writes a file by one `write` call and ignores that a file system that fills up takes only a part, so files are
 * written here; pipes and terminals by the stream, which waits for them.
 */
export function standardSink(stream: NodeJS.WriteStream & { readonly fd: number }): ByteSink {
  stream.on('error', () => undefined);
  const { fd } = stream;
  if (!isFile(fd)) return (bytes, done) => void stream.write(bytes, (error) => done(error ?? undefined));
  return (bytes, done) => {
    try {
      for (let at = 0; at < bytes.length; ) at += fs.writeSync(fd, bytes, at);
    } catch (error) {
      return done(error instanceof Error ? error : new Error(String(error)));
    }
    done();
  };
}

function isFile(descriptor: number): boolean {
  try {
    const status = fs.fstatSync(descriptor);
    return status.isFile() || status.isBlockDevice();
  } catch {
    return false;
  }
}
