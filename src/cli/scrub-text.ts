/** For people: how far the scrub of a shard is, when all copies had their turn last, and what it met. */
import type { ScrubLine } from '../codec/node-status.ts';
import { formatCount } from './table.ts';

const units = [
  { name: 'd', ms: 86_400_000 },
  { name: 'h', ms: 3_600_000 },
  { name: 'min', ms: 60_000 },
  { name: 's', ms: 1_000 },
] as const;

/** `not yet` also where it is switched off. */
export function scrubText({ underWay, checked, listed, endedAgoMs, damaged, unreached }: ScrubLine): string {
  const share = Math.min(100, Math.floor((100 * checked) / Math.max(1, listed)));
  return [
    ...(underWay ? [`${share} % of ${formatCount(listed)} copies`] : []),
    ...(endedAgoMs >= 0 ? [`${underWay ? 'last ' : ''}${ageText(endedAgoMs)} ago`] : underWay ? [] : ['not yet']),
    ...(damaged > 0 ? [`${formatCount(damaged)} found damaged`] : []),
    ...(unreached > 0 ? [`${formatCount(unreached)} out of reach`] : []),
  ].join(', ');
}

/** 3 h; never finer than a second. */
function ageText(ageMs: number): string {
  const { name, ms } = units.find((unit) => ageMs >= unit.ms) ?? units[3];
  return `${Math.floor(ageMs / ms)} ${name}`;
}
