/**
 * A logger as a process of its own, for tests that look at its system calls. Arguments: folder, then `honest` or
 * `cheat`: a cheat's syncs return at once, which the tests must notice. Prints one line of JSON when it is ready and
 * ends when its input does.
 */
import type { Files } from '../../src/env/files.ts';
import { realEnvironment } from '../../src/env/real/environment.ts';
import { startLogger } from '../../src/logger/logger.ts';
import { options, world } from './support.ts';

/** Real files whose syncs are told to be done before they are. */
function cheating(files: Files): Files {
  return {
    open: async (path, how) => {
      const file = await files.open(path, how);
      return new Proxy(file, {
        get: (target, name) => {
          if (name === 'sync') {
            return async (): Promise<void> => {
              void target.sync();
            };
          }
          const member: unknown = Reflect.get(target, name, target);
          return typeof member === 'function' ? (member.bind(target) as unknown) : member;
        },
      });
    },
    list: (folder) => files.list(folder),
    rename: (from, to) => files.rename(from, to),
    remove: (path) => files.remove(path),
    makeFolder: (path) => files.makeFolder(path),
    freeBytes: (path) => files.freeBytes(path),
    lock: (folder) => files.lock(folder),
    watch: (...given) => files.watch(...given),
  };
}

const [folder = '', mode = 'honest'] = process.argv.slice(2);
const environment = realEnvironment();
const node = await startLogger(
  options(folder),
  world({ ...environment, files: mode === 'cheat' ? cheating(environment.files) : environment.files }),
);
process.stdout.write(
  `${JSON.stringify({ uuid: node.uuid, readAddress: node.readAddress, writeAddress: node.writeAddress })}\n`,
);
process.stdin.resume();
process.stdin.on('end', () => void node.close().then(() => process.exit(0)));
