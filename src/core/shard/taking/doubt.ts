/** What is said of a zone's length that is not proven: in its entry of the metadata, and to the operator (S9). */
import type { Uuid, ZoneId } from '../../../base/ids.ts';
import type { LostKeys, ZoneDoubt } from '../head/metadata.ts';
import { describeLost } from './lost-keys.ts';
import type { SealProof } from './seal-length.ts';

export function doubtOf(proof: SealProof): ZoneDoubt | undefined {
  return proof === 'sound' ? undefined : proof;
}

/** Zone that ends, where, and who holds all of it of those that were listed. */
interface DoubtfulEnd {
  readonly zone: ZoneId;
  readonly length: number;
  readonly proof: SealProof;
  readonly holders: readonly Uuid[];
  readonly replicas: readonly Uuid[];
  /** Keys that are lost with a cut end. */
  readonly lost: LostKeys | undefined;
}

/** Lasting line that says on what the length rests; undefined: it is proven. */
export function doubtNote({
  zone,
  length,
  proof,
  holders,
  replicas,
  lost,
}: DoubtfulEnd): { readonly text: string; readonly fields: Readonly<Record<string, string | number>> } | undefined {
  const missing = replicas.filter((logger) => !holders.includes(logger));
  const fields = { zone, length, copies: holders.join(' '), missing: missing.join(' ') };
  if (proof === 'restarted') return { text: 'zone ended by copies of restarted loggers alone', fields };
  if (lost === undefined) return undefined;
  return { text: 'zone cut: every copy is damaged behind its length', fields: { ...fields, ...describeLost(lost) } };
}
