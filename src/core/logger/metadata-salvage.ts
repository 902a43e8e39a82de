/**
 * Remains of a metadata log in which something acknowledged is damaged: every frame that is good, whichever lie before
 * it. What the lost ones said is learnt elsewhere (logger/salvage.ts).
 */
import type { Frame } from './metadata-format.ts';
import { decodeFrame, frameHeaderBytes, frameUnitBytes } from './metadata-format.ts';

/** Bytes of one zone of the metadata log. */
export interface MetadataImage {
  readonly deviceZone: number;
  readonly bytes: Uint8Array;
}

export type SalvagedFrames =
  /** In the order in which they were written, at least one, all of one logger. */
  | { readonly kind: 'frames'; readonly frames: readonly Frame[] }
  /** Nothing says even which logger this was. */
  | { readonly kind: 'none' }
  | { readonly kind: 'newer-format'; readonly format: number };

export function salvageFrames(images: readonly MetadataImage[]): SalvagedFrames {
  const found: Frame[] = [];
  for (const { deviceZone, bytes } of images) {
    for (let at = 0; at + frameHeaderBytes <= bytes.length; ) {
      const result = decodeFrame(bytes, at, deviceZone);
      if (result.kind === 'newer-format') return result;
      if (result.kind === 'frame') found.push(result.frame);
      at += result.kind === 'frame' ? result.frame.totalLength : frameUnitBytes;
    }
  }
  found.sort((a, b) => a.generation - b.generation || a.offset - b.offset);
  const newest = found.at(-1);
  if (newest === undefined) return { kind: 'none' };
  const isSame = (frame: Frame): boolean => frame.logger === newest.logger && frame.cluster === newest.cluster;
  return { kind: 'frames', frames: found.filter(isSame) };
}
