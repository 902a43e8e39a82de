/**
 * Runs scenarios: text files of commands, each with what followed beneath it.
 *
 *   # what this is about
 *   cluster gateways=1 loggers=3 [setting=number ...]     first; settings are ShardSettings
 *   ----
 *
 *   put g0 key value          several commands may share one result
 *   ----
 *   g0 append ...             what gateways want done, when it happens; `(held)`: it waits for `release`
 *   l1: ...                   answers, but those that say no more than "done"
 *   put key: ...              what the client is told
 *
 * Commands:
 *   claim g0 ...              these gateways take the shard over, all at once
 *   start g0                  another process of the gateway, which knows nothing
 *   put|delete|read g0 key [value] [condition=] [client=] [number=]
 *                             value: as it is, or BYTES*x; condition: a version as zone:offset, or 0
 *   down|up|restart|full l0   the logger; `restart`: it holds what it held and takes no more appends in open zones
 *   hold KIND ...             effects of these kinds happen only at `release`; `drop`: never
 *   reach l0 ...              the first held append reaches these loggers, whose answers are lost; then it is dropped
 *   lose-answer               the next transaction is applied, its answer lost
 *   delay-transaction         the outcome of the next one is unknown; it arrives at `arrive`
 *   deafen                    the coordinator's news reach nobody any more
 *   pass MS                   time
 *   show                      the metadata and the roles
 */
import assert from 'node:assert/strict';
import { Cluster, resultOf, zoneSize } from './harness.ts';
import { effectIn, eventIn, headIn, resultIn, sealedIn, versionIn } from './transcript.ts';

/** The scenario with results as they are now. @throws Error for what is no scenario, with the line. */
export function runScenario(text: string): string {
  const scenario = new Scenario();
  const blocks = text.trimEnd().split(/\n{2,}/);
  return `${blocks.map((block) => runBlock(scenario, block)).join('\n\n')}\n`;
}

function runBlock(scenario: Scenario, block: string): string {
  const lines = block.split('\n');
  const at = lines.indexOf('----');
  const said = at === -1 ? lines : lines.slice(0, at);
  const commands = said.filter((line) => !line.startsWith('#'));
  if (commands.length === 0) return block;
  for (const command of commands) scenario.run(command);
  return [...said, '----', ...scenario.takeLines()].join('\n');
}

/** What a client asked for and has not been told of yet. */
interface Call {
  readonly name: string;
  answer(): string | undefined;
}

class Scenario {
  #cluster: Cluster | undefined;
  #lines: string[] = [];
  #calls: Call[] = [];

  get #running(): Cluster {
    assert.ok(this.#cluster, 'a scenario begins with its cluster');
    return this.#cluster;
  }

  takeLines(): readonly string[] {
    for (const call of this.#calls) {
      const answer = call.answer();
      if (answer !== undefined) this.#lines.push(`${call.name}: ${answer}`);
    }
    this.#calls = this.#calls.filter((call) => call.answer() === undefined);
    return this.#lines.splice(0);
  }

  run(line: string): void {
    const [verb = '', ...words] = line.split(' ');
    try {
      this.#run(verb, words);
    } catch (error) {
      throw new Error(`'${line}': ${error instanceof Error ? error.message : String(error)}`, { cause: error });
    }
  }

  #run(verb: string, words: readonly string[]): void {
    switch (verb) {
      case 'cluster':
        return this.#start(numbersIn(words));
      case 'put':
      case 'delete':
        return this.#write(verb, words);
      case 'read':
        return this.#read(words);
      case 'claim':
      case 'start':
        return this.#gateways(verb, words);
      case 'down':
      case 'up':
      case 'restart':
      case 'full':
        for (const word of words) this.#logger(verb, numberIn('l', word));
        return;
      case 'hold':
      case 'release':
      case 'drop':
      case 'reach':
        return this.#hold(verb, words);
      case 'lose-answer':
        this.#running.loseAnswer = true;
        return;
      case 'delay-transaction':
        this.#running.delayTransaction = true;
        return;
      case 'arrive':
        for (const arrive of this.#running.delayed.splice(0)) arrive();
        return this.#running.run();
      case 'deafen':
        this.#running.news = () => undefined;
        return;
      case 'pass':
        return this.#running.pass(Number(words[0]));
      case 'show':
        return this.#show();
      default:
        throw new Error('no such command');
    }
  }

  #start({ gateways = 1, loggers = 1, ...settings }: Readonly<Record<string, number>>): void {
    this.#cluster = new Cluster(gateways, loggers, settings);
    this.#cluster.onEvent = (gateway, event) => {
      const text = eventIn(event);
      if (text !== undefined) this.#lines.push(gateways > 1 ? `  ${text} (to g${gateway})` : `  ${text}`);
    };
    this.#cluster.onEffect = ({ gateway, effect }, isHeld) => {
      const text = effectIn(effect);
      if (text !== undefined) this.#lines.push(`g${gateway} ${text}${isHeld ? ' (held)' : ''}`);
    };
  }

  #gateways(verb: 'claim' | 'start', words: readonly string[]): void {
    const cluster = this.#running;
    for (const word of words) {
      const gateway = numberIn('g', word);
      if (verb === 'start') cluster.startGateway(gateway);
      else cluster.claims(gateway);
    }
    cluster.run();
  }

  #write(operation: 'put' | 'delete', [to = '', key = '', ...rest]: readonly string[]): void {
    const value = rest.find((word) => !word.includes('=')) ?? '';
    const options = numbersIn(rest.filter((word) => word.includes('=')));
    const outcome = this.#running.write(numberIn('g', to), operation, key, valueIn(value), options);
    this.#call(`${operation} ${key}`, () => {
      const result = resultOf(outcome);
      return result === undefined ? undefined : resultIn(result);
    });
  }

  #read([from = '', key = '']: readonly string[]): void {
    const outcome = this.#running.read(numberIn('g', from), key);
    this.#call(`read ${key}`, () => {
      if (outcome.failure !== undefined) return resultIn(outcome.failure);
      return outcome.found === undefined ? undefined : `version ${versionIn(outcome.found)}`;
    });
  }

  #call(name: string, answer: () => string | undefined): void {
    this.#calls.push({ name, answer });
    this.#running.run();
  }

  #logger(verb: 'down' | 'up' | 'restart' | 'full', number: number): void {
    const cluster = this.#running;
    if (verb === 'down') cluster.loggerDown(number);
    else if (verb === 'up') cluster.loggerUp(number);
    else if (verb === 'restart') cluster.logger(number).restart();
    else cluster.logger(number).isFull = true;
  }

  #hold(verb: 'hold' | 'release' | 'drop' | 'reach', words: readonly string[]): void {
    const cluster = this.#running;
    if (verb === 'hold') {
      cluster.hold = ({ effect }) => words.includes(effect.effect);
    } else if (verb === 'release') {
      cluster.release();
    } else {
      const [first] = cluster.held;
      if (verb === 'reach') {
        assert.ok(first?.effect.effect === 'append', 'an append is held');
        const { zone, epoch, offset, bytes } = first.effect;
        for (const word of words) cluster.logger(numberIn('l', word)).append(zone, epoch, offset, bytes);
      }
      cluster.held = verb === 'drop' ? [] : cluster.held.slice(1);
      cluster.hold = () => false;
    }
  }

  #show(): void {
    const { head, zones } = this.#running.metadata();
    if (head !== undefined) this.#lines.push(headIn(head));
    for (const zone of zones) this.#lines.push(sealedIn(zone));
    for (const [number, gateway] of this.#running.gateways.entries()) {
      const { role, keys } = gateway.status;
      this.#lines.push(`g${number} is ${role} with ${keys} keys`);
    }
  }
}

function numberIn(prefix: string, word: string): number {
  assert.match(word, new RegExp(`^${prefix}\\d+$`));
  return Number(word.slice(prefix.length));
}

/** `name=1 other=2:3`; two numbers are zone and offset of a version. */
function numbersIn(words: readonly string[]): Readonly<Record<string, number>> {
  const pairs = words.map((word) => {
    const [name = '', text = ''] = word.split('=');
    const [first = '', second] = text.split(':');
    const number = second === undefined ? Number(first) : Number(first) * zoneSize + Number(second);
    assert.ok(Number.isSafeInteger(number), `${word} has a whole number`);
    return [name, number] as const;
  });
  return Object.fromEntries(pairs);
}

/** `BYTES*x`: so many. */
function valueIn(word: string): string {
  const [, count, letter = ''] = /^(\d+)\*(\w)$/.exec(word) ?? [];
  return count === undefined ? word : letter.repeat(Number(count));
}
