/**
 * Numbered writes of a client without the SDK that it may send again although they ended: it says late, or never, which
 * numbers are complete. So a shard must remember more results than those of writes that hang, and a repetition may come
 * long after the first answer, through restarts and take-overs: it is answered in the same way, or not at all (S15).
 */
import type { WriteTerms } from '../src/codec/client-requests.ts';
import type { SimulatedRandom } from '../src/env/simulated/random.ts';
import { pick } from './pick.ts';
import type { Done } from './recorder.ts';
import { WrongAnswer } from './recorder.ts';

/** A put as it was sent. */
interface Put {
  readonly key: string;
  readonly value: Uint8Array;
  readonly terms: WriteTerms;
}

type Answer = { readonly kind: 'put'; readonly version: number } | { readonly kind: 'refused' };

/** Write that ended, with what is known of it. */
class EndedWrite implements Put {
  readonly key: string;
  readonly value: Uint8Array;
  readonly terms: WriteTerms;
  #answer: Answer | undefined;

  constructor({ key, value, terms }: Put, answer: Answer | undefined) {
    this.key = key;
    this.value = value;
    this.terms = terms;
    this.#answer = answer;
  }

  /** Every answer is the first one. @throws WrongAnswer */
  answered(answer: Answer): void {
    const first = (this.#answer ??= answer);
    if (textOf(first) === textOf(answer)) return;
    const { client, number } = this.terms;
    const told = `${textOf(first)}, and then ${textOf(answer)}`;
    throw new WrongAnswer(`S15 request ${number} of client ${client} for ${this.key} was told ${told}`);
  }
}

function textOf(answer: Answer): string {
  return answer.kind === 'put' ? `version ${answer.version}` : 'that its condition does not hold';
}

/** Numbers of one client. */
export class OpenWrites {
  readonly #countMax: number;
  #number = 0;
  #writes: EndedWrite[] = [];

  /** `countMax`: numbers, the last ones, that stay incomplete; 1: none but that of the call under way. */
  constructor(countMax: number) {
    this.#countMax = countMax;
  }

  /** Identity of the next write. */
  next(): Pick<WriteTerms, 'number' | 'firstIncomplete'> {
    this.#number += 1;
    this.#writes = this.#writes.filter(({ terms }) => terms.number >= this.#first);
    return { number: this.#number, firstIncomplete: this.#first };
  }

  get #first(): number {
    return Math.max(1, this.#number - this.#countMax + 1);
  }

  /** What was not applied is over: nobody may send it again, since its caller was told so. */
  ended(put: Put, { version, error }: Done): void {
    if (put.terms.client === 0 || this.#countMax === 1) return;
    if (error === undefined && version !== undefined) this.#keep(put, { kind: 'put', version });
    else if (error?.code === 'condition-failed') this.#keep(put, { kind: 'refused' });
    else if (error?.outcome === 'unknown') this.#keep(put, undefined);
  }

  #keep(put: Put, answer: Answer | undefined): void {
    this.#writes.push(new EndedWrite(put, answer));
  }

  /** Any write that can be sent again; undefined: there is none. */
  draw(random: SimulatedRandom): EndedWrite | undefined {
    return this.#writes.length === 0 ? undefined : pick(random, this.#writes);
  }

  /** Terms of a write that is sent again. */
  again(terms: WriteTerms): WriteTerms {
    return { ...terms, firstIncomplete: this.#first };
  }
}
