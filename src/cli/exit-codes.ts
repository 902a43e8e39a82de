/** What the exit code of a command says (docs/operating.md). */
import type { ErrorCode } from '../base/errors.ts';

export const exitCodes = {
  ok: 0,
  failed: 1,
  /** The command line, the config file or an argument has a mistake. */
  usage: 2,
  /** There is no such key, or the condition of a write does not hold. */
  absent: 3,
  /** What was read is not what was written, or data is damaged. */
  wrong: 4,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

const usageCodes: readonly ErrorCode[] = [
  'bad-argument',
  'key-empty',
  'key-too-long',
  'value-too-large',
  'config-invalid',
  'config-not-found',
  'unknown-id',
  'address-invalid',
  'wrong-port',
  'settings-differ',
  'trace-invalid',
];
const wrongCodes: readonly ErrorCode[] = ['verify-failed', 'damaged', 'data-damaged'];

export function exitCodeOf(code: ErrorCode): ExitCode {
  if (usageCodes.includes(code)) return exitCodes.usage;
  if (wrongCodes.includes(code)) return exitCodes.wrong;
  return code === 'condition-failed' ? exitCodes.absent : exitCodes.failed;
}
