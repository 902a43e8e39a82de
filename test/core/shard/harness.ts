/**
 * Shards of several gateways against loggers and a coordinator in memory, without time or network: effects wait in one
 * queue and the test says when, and whether, they happen. What the loggers do here is what docs/design.md asks of real
 * ones (S3, S4, S11), synced at once.
 */
import assert from 'node:assert/strict';
import type { Uuid } from '../../../src/base/ids.ts';
import { clientId, instanceId, millis, requestNumber, shardId, uuid } from '../../../src/base/ids.ts';
import { condition } from '../../../src/codec/client-requests.ts';
import { KeyIndex } from '../../../src/core/index/key-index.ts';
import { OnceTable } from '../../../src/core/once/once-table.ts';
import type { ShardState } from '../../../src/core/shard/following/apply.ts';
import type { LoggerRefusalCode } from '../../../src/codec/logger-protocol.ts';
import type {
  Committed,
  Filled,
  Lost,
  Refused,
  ShardEffect,
  ShardEvent,
  ShardSettings,
} from '../../../src/core/shard/events.ts';
import { shardDefaults } from '../../../src/core/shard/events.ts';
import type { Head, SealedZone, ShardMetadata } from '../../../src/core/shard/head/metadata.ts';
import { decodeHead, decodeSealedZone, headKey } from '../../../src/core/shard/head/metadata.ts';
import type { Failure, ReadReply, WriteReply, WriteResult } from '../../../src/core/shard/requests.ts';
import { ShardRead, ShardWrite } from '../../../src/core/shard/requests.ts';
import { Shard } from '../../../src/core/shard/shard.ts';
import { catchUpOf } from '../../../src/gateway/peers/catch-up.ts';
import { FakeLogger } from './fake-logger.ts';

export const cluster = uuid('c'.repeat(32));
export const shard = shardId(0);
export const zoneSize = 64 * 1024;
export const loggerName = (number: number): Uuid => uuid(String(number).padStart(32, '0'));

export interface Pending {
  readonly gateway: number;
  readonly effect: ShardEffect;
}

export type Hold = (pending: Pending) => boolean;

/** A write's or read's result, once it is there. */
export interface Outcome {
  result: WriteResult | undefined;
}

/** Reads the result anew: the compiler does not know that `run` changes it. */
export const resultOf = (outcome: Outcome): WriteResult | undefined => outcome.result;

export class Cluster {
  readonly loggers: FakeLogger[];
  readonly gateways: Shard[] = [];
  readonly store = new Map<string, { value: Uint8Array; revision: number }>();
  readonly notes: string[] = [];
  readonly committed: Committed[] = [];
  readonly settings: ShardSettings;
  /** Effects for which this is true stay in `held` until the test lets them go. */
  hold: Hold = () => false;
  held: Pending[] = [];
  /** Told what gateways are told, and of each effect when it happens or is held: for transcripts. */
  onEvent: (gateway: number, event: ShardEvent) => void = () => undefined;
  onEffect: (pending: Pending, isHeld: boolean) => void = () => undefined;
  /** The next transaction is applied, but its answer is lost. */
  loseAnswer = false;
  /** The next transaction is told lost and is applied when the test says so. */
  delayTransaction = false;
  /** Transactions fail, certainly not applied. */
  coordinatorIsFull = false;
  delayed: (() => void)[] = [];
  nowMs = 1_000;
  #queue: Pending[] = [];
  #revision = 0;
  #number = 0;
  #starts = 0;

  constructor(gatewayCount: number, loggerCount: number, settings: Partial<ShardSettings> = {}) {
    this.loggers = Array.from({ length: loggerCount }, (_, number) => new FakeLogger(loggerName(number)));
    this.settings = { ...shardDefaults, zoneSize, replicas: loggerCount, coldSealWaitMs: 0, ...settings };
    for (let gateway = 0; gateway < gatewayCount; gateway++) this.startGateway(gateway);
  }

  emptyState(): ShardState {
    return {
      cluster,
      shard,
      zoneSize,
      index: new KeyIndex({ low: 1, high: 2 }),
      once: new OnceTable(),
      position: { zone: 0, offset: 0 },
      shardTimeMs: millis(0),
      appliedBytes: 0,
    };
  }

  /** A new process of the gateway: with what a snapshot kept, or empty. */
  startGateway(gateway: number, state = this.emptyState()): Shard {
    const owner = {
      gateway,
      node: uuid(String(gateway).padStart(32, 'a')),
      instance: instanceId(String(++this.#starts).padStart(16, '0')),
    };
    const machine = new Shard(state, owner, this.settings, millis(this.nowMs));
    this.gateways[gateway] = machine;
    this.#queue = this.#queue.filter((pending) => pending.gateway !== gateway);
    this.held = this.held.filter((pending) => pending.gateway !== gateway);
    for (const logger of this.loggers) if (logger.isUp) this.event(gateway, this.loggerIsUp(logger));
    return machine;
  }

  gateway(number: number): Shard {
    const machine = this.gateways[number];
    assert.ok(machine);
    return machine;
  }

  /** Keys in the gateway's index, sorted. */
  keys(gateway: number): string[] {
    const { index } = this.gateway(gateway).state;
    return index
      .entries(0, 10_000)
      .map((id) => Buffer.from(index.keyOf(id)).toString())
      .sort();
  }

  /** Those of them that are lost, sorted. */
  lostKeys(gateway: number): string[] {
    const { index } = this.gateway(gateway).state;
    return this.keys(gateway).filter((key) => index.isLost(index.find(Buffer.from(key), 0, Buffer.byteLength(key))));
  }

  logger(number: number): FakeLogger {
    const logger = this.loggers[number];
    assert.ok(logger);
    return logger;
  }

  get head(): Head {
    const { head } = this.metadata();
    assert.ok(head);
    return head;
  }

  get zones(): readonly SealedZone[] {
    return this.metadata().zones;
  }

  metadata(): ShardMetadata {
    const head = this.store.get(headKey(shard));
    const zones = [...this.store]
      .filter(([key]) => key.includes('/zone/'))
      .map(([, entry]) => decodeSealedZone(entry.value));
    return {
      head: head === undefined ? undefined : decodeHead(head.value),
      headRevision: head?.revision ?? 0,
      zones: zones.sort((a, b) => a.zone - b.zone),
    };
  }

  // --- events --------------------------------------------------------------------------------------------------------

  event(gateway: number, event: ShardEvent): void {
    this.onEvent(gateway, event);
    for (const effect of this.gateway(gateway).step(event)) this.#queue.push({ gateway, effect });
  }

  claim(gateway: number): void {
    this.claims(gateway);
    this.run();
  }

  /** It claims the shard from whoever owns it, or from the owner of epoch `over`. */
  claims(gateway: number, over = Number.MAX_SAFE_INTEGER): void {
    this.event(gateway, { event: 'claim', nowMs: millis(this.nowMs), over });
  }

  /** Ends the turn of every gateway and lets everything happen until nothing is left to do. */
  run(): void {
    for (let round = 0; round < 1_000; round++) {
      while (this.#queue.length > 0) this.#next();
      for (const gateway of this.gateways.keys())
        this.event(gateway, { event: 'turn-ended', nowMs: millis(this.nowMs), wallMs: millis(this.nowMs) });
      if (this.#queue.length === 0) return;
    }
    assert.fail('the cluster does not come to rest');
  }

  /** Time passes in steps of a tick. */
  pass(durationMs: number): void {
    const end = this.nowMs + durationMs;
    while (this.nowMs < end) {
      this.nowMs += 50;
      for (const gateway of this.gateways.keys()) this.event(gateway, { event: 'tick', nowMs: millis(this.nowMs) });
      this.run();
    }
  }

  release(): void {
    const held = this.held;
    this.held = [];
    this.hold = () => false;
    this.#queue.push(...held);
    this.run();
  }

  loggerDown(number: number): void {
    this.logger(number).isUp = false;
    for (const gateway of this.gateways.keys())
      this.event(gateway, { event: 'logger-down', logger: loggerName(number) });
    this.run();
  }

  loggerUp(number: number): void {
    this.logger(number).isUp = true;
    for (const gateway of this.gateways.keys()) this.event(gateway, this.loggerIsUp(this.logger(number)));
    this.run();
  }

  loggerIsUp({ name: logger, process }: FakeLogger, alignment = 1): ShardEvent {
    return { event: 'logger-up', logger, process, alignment };
  }

  // --- requests ------------------------------------------------------------------------------------------------------

  write(
    gateway: number,
    operation: 'put' | 'delete',
    key: string,
    value = '',
    options: { condition?: number; client?: number; number?: number; first?: number } = {},
  ): Outcome {
    const outcome: Outcome = { result: undefined };
    const replyTo: WriteReply = {
      written: (_, result) => {
        assert.equal(outcome.result, undefined, 'a write is answered once');
        outcome.result = result;
      },
    };
    const number = options.number ?? ++this.#number;
    const write = new ShardWrite(replyTo, number, operation);
    write.source = Buffer.from(key + value);
    write.keyLength = Buffer.byteLength(key);
    write.valueStart = write.keyLength;
    write.wantedLength = write.source.length - write.keyLength;
    write.condition = options.condition ?? condition.none;
    write.client = clientId(options.client ?? 7);
    write.number = requestNumber(number);
    write.firstIncomplete = requestNumber(options.first ?? Math.max(1, number - 100));
    this.event(gateway, write);
    return outcome;
  }

  put(gateway: number, key: string, value: string): WriteResult | undefined {
    const outcome = this.write(gateway, 'put', key, value);
    this.run();
    return outcome.result;
  }

  /** The version found (0: none) or the failure, once it is there. */
  read(gateway: number, key: string): { found: number | undefined; failure: Failure | undefined } {
    const outcome: { found: number | undefined; failure: Failure | undefined } = {
      found: undefined,
      failure: undefined,
    };
    const replyTo: ReadReply = {
      found: (read) => {
        outcome.found = read.version;
      },
      failed: (_, failure) => {
        outcome.failure = failure;
      },
    };
    const read = new ShardRead(replyTo, 1, false);
    read.source = Buffer.from(key);
    read.keyLength = read.source.length;
    this.event(gateway, read);
    return outcome;
  }

  // --- effects -------------------------------------------------------------------------------------------------------

  #next(): void {
    const pending = this.#queue.shift();
    if (pending === undefined) return;
    const isHeld = this.hold(pending);
    this.onEffect(pending, isHeld);
    if (isHeld) this.held.push(pending);
    else this.#perform(pending);
  }

  #perform({ gateway, effect }: Pending): void {
    switch (effect.effect) {
      case 'append':
        for (const name of effect.loggers) this.#append(gateway, name, effect);
        return;
      case 'confirm':
        for (const name of effect.loggers) this.#confirm(gateway, name, effect);
        return;
      case 'testify':
        for (const logger of effect.loggers)
          this.event(gateway, { event: 'testified', logger, answer: this.#up(logger)?.known ?? { kind: 'lost' } });
        return;
      case 'seal':
        for (const name of effect.loggers) this.#seal(gateway, name, effect);
        return;
      case 'fill':
        return this.#fill(gateway, effect);
      case 'copy':
        return this.#copy(gateway, effect);
      case 'probe':
        return this.#probe(gateway, effect.logger);
      case 'finish':
        for (const name of effect.loggers) {
          const held = this.#up(name)?.zones.get(effect.zone);
          if (held === undefined) continue;
          held.bytes = held.bytes.subarray(0, effect.length);
          held.finished = true;
        }
        return;
      case 'committed':
        return this.#committed(gateway, effect);
      case 'answer-write':
        return effect.write.answer(effect.result);
      case 'fail-read':
        return effect.read.fail(effect.failure);
      case 'release':
        return effect.read.confirm();
      case 'announce':
        return;
      case 'load':
        return this.event(gateway, { event: 'metadata', metadata: this.metadata(), loaded: true });
      case 'transact':
        return this.#transact(gateway, effect);
      case 'read-log': {
        const { request } = effect;
        const bytes = this.#up(request.logger)
          ?.zones.get(request.zone)
          ?.bytes.subarray(request.offset, request.offset + request.length);
        return this.event(gateway, {
          event: 'log-read',
          request,
          bytes: bytes === undefined ? undefined : Buffer.from(bytes),
        });
      }
      case 'note':
        this.notes.push(`${effect.text} ${JSON.stringify(effect.fields)}`);
        return;
      case 'fetch':
      case 'role':
        return;
    }
  }

  #up(name: Uuid): FakeLogger | undefined {
    return this.loggers.find((logger) => logger.name === name && logger.isUp);
  }

  #append(gateway: number, name: Uuid, effect: Extract<ShardEffect, { effect: 'append' }>): void {
    const { zone } = effect;
    const answer = this.#up(name)?.append(zone, effect.epoch, effect.offset, effect.bytes, effect.instance);
    if (typeof answer === 'number') this.event(gateway, { event: 'appended', logger: name, zone, end: answer });
    else
      this.event(gateway, {
        event: 'append-failed',
        logger: name,
        zone,
        reason: answer === undefined ? { kind: 'lost' } : { kind: 'refused', code: answer },
      });
  }

  #probe(gateway: number, name: Uuid): void {
    const logger = this.#up(name);
    const answer =
      logger === undefined
        ? ({ kind: 'lost' } as const)
        : logger.isFull
          ? ({ kind: 'refused', code: 'device-full' } as const)
          : ({ kind: 'ok' } as const);
    this.event(gateway, { event: 'probed', logger: name, answer });
  }

  #confirm(gateway: number, name: Uuid, effect: Extract<ShardEffect, { effect: 'confirm' }>): void {
    const { zone, number } = effect;
    const logger = this.#up(name);
    if (logger === undefined)
      this.event(gateway, { event: 'confirm-failed', logger: name, zone, reason: { kind: 'lost' } });
    else if (logger.isFenced(effect))
      this.event(gateway, { event: 'confirm-failed', logger: name, zone, reason: { kind: 'refused', code: 'fenced' } });
    else this.event(gateway, { event: 'confirmed', logger: name, zone, number });
  }

  #seal(gateway: number, name: Uuid, { zone, epoch, instance }: Extract<ShardEffect, { effect: 'seal' }>): void {
    const answer = this.#up(name)?.seal(zone, { epoch, instance }) ?? ({ kind: 'lost' } as const);
    this.event(gateway, { event: 'sealed', logger: name, zone, epoch, answer });
  }

  #fill(gateway: number, effect: Extract<ShardEffect, { effect: 'fill' }>): void {
    const { zone, epoch, logger, offset, bytes } = effect;
    const answer = this.#up(logger)?.fill(zone, effect, offset, bytes);
    this.event(gateway, { event: 'filled', logger, zone, epoch, answer: told(answer) });
  }

  #copy(gateway: number, effect: Extract<ShardEffect, { effect: 'copy' }>): void {
    const { zone, logger } = effect;
    const to = this.#up(logger);
    const answer = { ...told(to?.copy(zone, effect)), copyId: to?.copyIdOf(zone) ?? '' };
    this.event(gateway, { event: 'copied', logger, zone, answer });
  }

  #committed(gateway: number, effect: Committed): void {
    this.committed.push(effect);
    for (const [at, write] of effect.writes.entries()) {
      const result = effect.results[at];
      assert.ok(result);
      write.answer(result);
      for (const repetition of write.repetitions ?? []) repetition.answer(result);
    }
    for (const other of this.gateways.keys()) {
      if (other !== gateway && !this.catchUpLost) this.event(other, catchUpOf(effect));
    }
  }

  /** Standbys hear nothing: what they need they read from the log. */
  catchUpLost = false;

  #transact(gateway: number, { purpose, compares, writes }: Extract<ShardEffect, { effect: 'transact' }>): void {
    const apply = (): boolean => {
      if (!compares.every(({ key, revision }) => (this.store.get(key)?.revision ?? 0) === revision)) return false;
      this.#revision += 1;
      for (const { key, value } of writes)
        if (value !== undefined) this.store.set(key, { value, revision: this.#revision });
      return true;
    };
    if (this.delayTransaction) {
      this.delayTransaction = false;
      this.delayed.push(() => {
        apply();
        this.news();
      });
      this.event(gateway, { event: 'transacted', purpose, result: { kind: 'unknown' } });
      return;
    }
    if (this.coordinatorIsFull)
      return this.event(gateway, { event: 'transacted', purpose, result: { kind: 'not-applied' } });
    const applied = apply();
    const lost = this.loseAnswer;
    this.loseAnswer = false;
    this.event(gateway, {
      event: 'transacted',
      purpose,
      result: lost
        ? { kind: 'unknown' }
        : applied
          ? { kind: 'applied', revision: this.#revision }
          : { kind: 'refused' },
    });
    if (applied) this.news();
  }

  /** What the watch tells everybody. */
  news(): void {
    for (const gateway of this.gateways.keys())
      this.event(gateway, { event: 'metadata', metadata: this.metadata(), loaded: false });
  }
}

/** What a gateway is told of a Fill or a Copy; undefined: nobody was there. */
function told(answer: number | LoggerRefusalCode | undefined): Filled | Lost | Refused {
  if (answer === undefined) return { kind: 'lost' };
  return typeof answer === 'number' ? { kind: 'filled', length: answer } : { kind: 'refused', code: answer };
}
