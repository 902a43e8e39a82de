/**
 * Offences that were there when their rule came, by rule and file. The lists only get shorter: one more is a complaint,
 * and so is one less that is still listed.
 */
import type { Complaint } from './tidy-rules.ts';

export type Ratchet = Readonly<Record<string, Readonly<Record<string, number>>>>;

/** What is wrong: complaints beyond the ratchet, and entries of it that are mended. */
export function beyondRatchet(complaints: readonly Complaint[], ratchet: Ratchet): readonly string[] {
  const counts = new Map<string, Complaint[]>();
  for (const complaint of complaints) {
    const key = keyOf(complaint.rule, fileOf(complaint));
    counts.set(key, [...(counts.get(key) ?? []), complaint]);
  }
  const allowed = new Map(
    Object.entries(ratchet).flatMap(([rule, files]) =>
      Object.entries(files).map(([file, count]) => [keyOf(rule, file), count] as const),
    ),
  );
  const tooMany = [...counts].flatMap(([key, found]) =>
    found.length > (allowed.get(key) ?? 0)
      ? found.map(({ rule, place, message }) => `${place} [${rule}] ${message}`)
      : [],
  );
  const mended = [...allowed].flatMap(([key, count]) => {
    const found = counts.get(key)?.length ?? 0;
    return found < count ? [`${key}: ${count} listed in test/support/tidy-ratchet.ts, ${found} there: lower it`] : [];
  });
  return [...tooMany, ...mended];
}

function keyOf(rule: string, file: string): string {
  return `[${rule}] ${file}`;
}

function fileOf({ place }: Complaint): string {
  return place.replace(/:\d+$/, '');
}

export const ratchet: Ratchet = {
  'file-size': {},
  circle: {},
  width: {},
  'class-size': {},
  'first-word': {},
};
