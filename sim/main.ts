/**
 * The simulator as a program.
 *
 *   npm run sim -- --seed N | --plan FILE [--trace] [--history FILE] [--save FILE] [--shrink]
 *   npm run sim -- --seeds COUNT [--from N] [--jobs 2] [--keep-going] [--evidence NAME]
 *
 * Exit codes: 0 all lives were as they should be, 2 wrong use, 3 crash, 4 stuck, 5 wrong, 6 a history could not be
 * judged; of several, the worst (wrong above crash above stuck above not judged).
 */
import { runProgram } from './program.ts';

process.exitCode = await runProgram(process.argv.slice(2), {
  out: (text) => process.stdout.write(`${text}\n`),
  error: (text) => process.stderr.write(`${text}\n`),
});
