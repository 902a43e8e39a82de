/** Colours only for people: on a terminal, and not where NO_COLOR asks for none. */
import picocolors from 'picocolors';
import type { CliIo, Output } from './io.ts';

export type Style = ReturnType<typeof picocolors.createColors>;

export function styleFor(io: Pick<CliIo, 'variables'>, output: Output): Style {
  const isPlain = !output.isTerminal || (io.variables['NO_COLOR'] ?? '') !== '' || io.variables['TERM'] === 'dumb';
  return picocolors.createColors(!isPlain);
}
