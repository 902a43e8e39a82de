/**
 * The promise table: all rows, and which can be run here. Links lead through the harness's TCP proxies; what a gateway
 * and its coordinator's thread say to one another is held back in its process (node-shim.ts); syncs are disturbed by
 * strace (scripts/install-strace.sh); full disks and power cuts take the right to mount. What a row that fails leaves
 * (logs, data, history) stays, and is named.
 */
import { whyNoPowerCut, whyNoSmallDisk } from './disks.ts';
import { processRows, type Row } from './rows.ts';
import { diskRows } from './rows-of-disks.ts';
import { folderRows } from './rows-of-folders.ts';
import { linkRows } from './rows-of-links.ts';
import type { Need } from './stage.ts';
import { whyNoTracing } from './tracing.ts';

export const rows: readonly Row[] = [...processRows, ...folderRows, ...linkRows, ...diskRows];

const reasons = new Map<Need, string | undefined>();

/** Undefined: what `row` needs is here. */
export function whyNot({ needs = [] }: Pick<Row, 'needs'>): string | undefined {
  return needs.map((need) => whyNoNeed(need)).find((reason) => reason !== undefined);
}

function whyNoNeed(need: Need): string | undefined {
  if (!reasons.has(need)) reasons.set(need, lookFor(need));
  return reasons.get(need);
}

function lookFor(need: Need): string | undefined {
  switch (need) {
    case 'links':
      return undefined;
    case 'tracing':
      return whyNoTracing();
    case 'small-disks':
      return whyNoSmallDisk();
    case 'power':
      return whyNoPowerCut();
  }
}
