/** Self-describing values: whoever knows the key and the sequence number can make every byte again. */

const filler = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

/** 1..4,095 letters and digits and a head; a different length and rotation for each (seed, key, sequence). */
export function valueOf(seed: number, key: string, sequence: number): string {
  const hash = mix(seed, key, sequence);
  const head = `${key}#${sequence}#`;
  const length = 1 + (hash % 4_095);
  const start = (hash >>> 12) % filler.length;
  const turned = filler.slice(start) + filler.slice(0, start);
  return `${head}${turned.repeat(Math.ceil(length / filler.length)).slice(0, length)}#${hash.toString(36)}`;
}

/** The sequence number that a value claims; undefined when it has none. */
export function sequenceOf(value: string): number | undefined {
  const match = /^[^#]*#(\d+)#/.exec(value);
  return match?.[1] === undefined ? undefined : Number(match[1]);
}

function mix(seed: number, key: string, sequence: number): number {
  let hash = seed | 0;
  for (const character of `${key}/${sequence}`)
    hash = Math.imul(hash ^ character.charCodeAt(0), 0x01000193) ^ (hash >>> 13);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  return (hash ^ (hash >>> 13)) >>> 0;
}
