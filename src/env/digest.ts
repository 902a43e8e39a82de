/** SHA-256, for the digests by which operators compare replicas. */
import { createHash } from 'node:crypto';

export interface Digest {
  update(bytes: Uint8Array): void;
  /** 64 hexadecimal digits. Nothing may follow. */
  end(): string;
}

export function sha256(): Digest {
  const hash = createHash('sha256');
  return {
    update: (bytes) => void hash.update(bytes),
    end: () => hash.digest('hex'),
  };
}
