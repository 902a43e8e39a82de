/**
 * Reader of untyped data: what came as a map of a message or as JSON, and must be checked member by member.
 *
 *   const welcome = fieldOf(value, 'welcome', (message) => new KvError('protocol-error', message));
 *   const owners = welcome.at('map').at('owners').list(limits.shardCountMax).map((owner) => owner.integer(-1, 127));
 *
 * A complaint says where, what was expected and what was found: `welcome.map.owners[3]: expected an integer from -1 to
 * 127, found 'x'`. The caller says once, at the root, which error that is. Members that nobody asks for are ignored.
 */

/** Makes the error of a complaint. */
export type Complain = (message: string) => Error;

const shownMax = 40;

/** `what` names the data in complaints, which are TypeErrors unless `complain` makes something else of them. */
export function fieldOf(
  value: unknown,
  what: string,
  complain: Complain = (message): Error => new TypeError(message),
): Field {
  return new Field(value, what, complain);
}

/** One piece of untyped data and its place. Every method throws what `complain` makes when something else is there. */
export class Field {
  readonly #value: unknown;
  readonly #place: string;
  readonly #complain: Complain;

  constructor(value: unknown, place: string, complain: Complain) {
    this.#value = value;
    this.#place = place;
    this.#complain = complain;
  }

  /** Member of an object. */
  at(name: string): Field {
    return this.#inner(this.#member(name), `.${name}`);
  }

  /** The same, undefined when it is missing or nil. */
  optional(name: string): Field | undefined {
    const value = this.#member(name);
    return value === undefined || value === null ? undefined : this.#inner(value, `.${name}`);
  }

  /** Members of a list of at most `countMax`. */
  list(countMax: number): Field[] {
    const value: unknown = this.#value;
    if (!Array.isArray(value)) return this.wrong('a list');
    if (value.length > countMax) return this.wrong(`a list of at most ${countMax}`);
    return value.map((member: unknown, index) => this.#inner(member, `[${index}]`));
  }

  text(): string {
    return typeof this.#value === 'string' ? this.#value : this.wrong('a text');
  }

  boolean(): boolean {
    return typeof this.#value === 'boolean' ? this.#value : this.wrong('true or false');
  }

  /** A safe integer from `least` to `most`. */
  integer(least = 0, most = Number.MAX_SAFE_INTEGER): number {
    const value = this.#value;
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= least && value <= most) return value;
    return this.wrong(
      `an integer ${most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`}`,
    );
  }

  /** One of the texts of `choices`. */
  oneOf<const Choice extends string>(choices: readonly Choice[]): Choice {
    const value = this.#value;
    return (
      choices.find((choice) => choice === value) ?? this.wrong(choices.map((choice) => `'${choice}'`).join(' or '))
    );
  }

  /** What `mint` makes of the text; its RangeError says what is wrong with that. */
  minted<T>(mint: (text: string) => T): T {
    const text = this.text();
    try {
      return mint(text);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw this.#complain(`${this.#place}: ${error.message}`);
    }
  }

  /** Complains that something else is here than `expected`. */
  wrong(expected: string): never {
    throw this.#complain(`${this.#place}: expected ${expected}, found ${shown(this.#value)}`);
  }

  #member(name: string): unknown {
    const value = this.#value;
    if (!isObject(value)) return this.wrong('an object');
    return Object.hasOwn(value, name) ? value[name] : undefined;
  }

  #inner(value: unknown, step: string): Field {
    return new Field(value, this.#place + step, this.#complain);
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
}

function shown(value: unknown): string {
  if (value === undefined || value === null) return 'nothing';
  if (typeof value === 'string') return `'${value.slice(0, shownMax)}'`;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}
