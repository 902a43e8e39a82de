/**
 * Both connections to one logger, under the UUID that it must have (S16): one to its write port, one to its read port.
 * It owns the links and the outbox. It does not own who the members are (logger-links.ts).
 */
import { present } from '../../base/assert.ts';
import type { InstanceId, ShardId, Uuid, ZoneId } from '../../base/ids.ts';
import type { Log } from '../../base/log.ts';
import { times } from '../../base/times.ts';
import type {
  CopyItem,
  FillItem,
  LoggerAnswer,
  LoggerStatus,
  ReadAnswer,
  ShardKnowledge,
  ZoneRef,
  ZoneStatus,
} from '../../codec/logger-protocol.ts';
import type { SealResult } from '../../codec/logger-seals.ts';
import type { GatewayIdentity } from '../../codec/member-hello.ts';
import type { LoggerMember } from '../../coordinator/members.ts';
import type { Copied, Filled, Lost, Refused } from '../../core/shard/events.ts';
import type { Environment } from '../../env/environment.ts';
import type { RpcChannel } from '../../rpc/channel-types.ts';
import { KeepAlive } from '../../rpc/keep-alive.ts';
import { Link } from '../../rpc/link.ts';
import { LoggerClient } from '../../rpc/logger-client.ts';
import { clientOptions } from '../../rpc/options.ts';
import type { Dispatch, LoggerPort, ProbeAnswer } from './logger-port.ts';
import { lost, reasonOf } from './logger-port.ts';
import type { OutboxLimits } from './outbox.ts';
import type { LoggerPulse } from './silence.ts';
import { Outbox } from './outbox.ts';

/** A logger that both connections are up to. */
export interface ConnectedLogger {
  readonly logger: Uuid;
  readonly process: InstanceId;
  readonly alignment: number;
}

export interface LinkSettings {
  /** A logger that owes answers and says nothing for this long is disconnected. Milliseconds. */
  readonly progressTimeoutMs: number;
  /** Room on its device that a logger should have to be taken back, bytes. */
  readonly probeBytes: number;
  /** Gateway whose links these are, as it names itself. */
  readonly self: GatewayIdentity;
  /** Absent: the defaults. */
  readonly outbox?: OutboxLimits;
}

export interface LoggerLinkParts extends LinkSettings {
  readonly world: Environment & { readonly log: Log };
  readonly dispatch: Dispatch;
  readonly onUp: (logger: ConnectedLogger) => void;
  readonly onDown: (logger: Uuid) => void;
  /** Something waits to be sent although no shard's turn ends. */
  readonly onWaiting: () => void;
}

export class LoggerLink implements LoggerPort {
  readonly logger: Uuid;
  readonly #parts: LoggerLinkParts;
  readonly #write: Link;
  readonly #read: Link;
  readonly #outbox: Outbox;
  readonly #keepAlive: readonly KeepAlive[];
  #connected: ConnectedLogger | undefined;
  #probing: ((answer: ProbeAnswer) => void)[] = [];
  #isUp = false;
  #closed = false;

  constructor(member: LoggerMember, parts: LoggerLinkParts) {
    this.logger = member.uuid;
    this.#parts = parts;
    this.#write = this.#link(member.writeAddress, 'write');
    this.#read = this.#link(member.readAddress, 'read');
    const links = { write: this.#write, read: this.#read };
    const channels = {
      get write(): RpcChannel | undefined {
        return links.write.channel;
      },
      get read(): RpcChannel | undefined {
        return links.read.channel;
      },
    };
    const client = new LoggerClient(member.uuid, channels);
    this.#outbox = new Outbox(client, parts.dispatch, parts.outbox);
    this.#keepAlive = [this.#pings('write', links.write, client), this.#pings('read', links.read, client)];
  }

  /** A logger whose disk takes long to sync answers them, one that hangs does not. */
  #pings(port: 'read' | 'write', link: Link, client: LoggerClient): KeepAlive {
    const { world, progressTimeoutMs } = this.#parts;
    return new KeepAlive({
      clock: world.clock,
      periodMs: progressTimeoutMs / 4,
      patienceMs: times.loggerPatienceMs,
      channel: () => link.channel,
      ping: (done) => client.ping(port, done),
    });
  }

  #link(address: string, port: 'read' | 'write'): Link {
    const { network, clock, random, log } = this.#parts.world;
    return new Link({
      network,
      clock,
      random,
      address,
      rpc: clientOptions({ progressTimeoutMs: this.#parts.progressTimeoutMs }),
      handshake: (channel, done) => this.#greet(channel, port, done),
      onUp: () => this.#changed(),
      onDown: (reason) => {
        // Who closes it has not lost it: an orderly stop warns of nothing.
        log(this.#closed ? 'debug' : 'warn', 'logger connection lost', { logger: this.logger, port, reason });
        this.#changed();
      },
    });
  }

  /**
   * The connection counts only when the logger that is meant listens there (S16), and when it can still write (S17).
   */
  #greet(channel: RpcChannel, port: 'read' | 'write', done: (failure?: string) => void): void {
    const { self } = this.#parts;
    const client = new LoggerClient(this.logger, { write: channel, read: channel });
    client.hello(port, self, (welcome) => {
      if (welcome.kind !== 'ok') done(welcome.message);
      else if (welcome.value.cluster !== self.cluster)
        done(`a logger of cluster ${welcome.value.cluster} listens there`);
      else this.#ask(client, port, done);
    });
  }

  #ask(client: LoggerClient, port: 'read' | 'write', done: (failure?: string) => void): void {
    client.ping(port, (answer: LoggerAnswer<LoggerStatus>) => {
      if (answer.kind !== 'ok') return done(answer.message);
      if (answer.value.logger !== this.logger) return done(`another logger listens there: ${answer.value.logger}`);
      if (port === 'write' && answer.value.state === 'failed') return done('its device failed (S17)');
      const { instance: process, alignment } = answer.value;
      this.#connected = { logger: this.logger, process, alignment };
      done();
    });
  }

  #changed(): void {
    const isUp = !this.#closed && this.#write.channel !== undefined && this.#read.channel !== undefined;
    if (isUp === this.#isUp) return;
    this.#isUp = isUp;
    if (isUp) this.#parts.onUp(present(this.#connected, 'what a logger says when it is greeted'));
    else this.#parts.onDown(this.logger);
  }

  /** It listens elsewhere now: a logger that was started again on other ports. */
  retarget(member: LoggerMember): void {
    this.#write.retarget(member.writeAddress);
    this.#read.retarget(member.readAddress);
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  get pulse(): LoggerPulse {
    const channels = [this.#write.channel, this.#read.channel].filter((channel) => channel !== undefined);
    return {
      isUp: this.#isUp,
      owes: channels.some(({ requestsInFlight }) => requestsInFlight > 0),
      answers: channels.reduce((sum, { answersReceived }) => sum + answersReceived, 0),
    };
  }

  /** While it is up. */
  get connected(): ConnectedLogger | undefined {
    return this.#isUp ? this.#connected : undefined;
  }

  append(at: ZoneRef, offset: number, bytes: Uint8Array): void {
    this.#outbox.append(at, offset, bytes);
  }

  confirm(at: ZoneRef, number: number): void {
    this.#outbox.confirm(at, number);
  }

  read(
    shard: ShardId,
    zone: ZoneId,
    offset: number,
    length: number,
    onRead: (answer: ReadAnswer | Lost) => void,
  ): void {
    this.#outbox.read(shard, zone, offset, length, onRead);
    // A read that is tried again on another replica comes between turns of the shards.
    this.#parts.onWaiting();
  }

  testify(shard: ShardId, onAnswer: (answer: ShardKnowledge | Lost) => void): void {
    this.#outbox.client.testify(shard, (answer) => onAnswer(answer.kind === 'ok' ? answer.value : lost));
  }

  seal(at: ZoneRef, onAnswer: (answer: SealResult | Lost) => void): void {
    this.#outbox.client.seal(at, (answer) => onAnswer(answer.kind === 'ok' ? answer.value : lost));
  }

  fill(item: FillItem, onAnswer: (answer: Filled | Lost | Refused) => void): void {
    this.#outbox.client.fill(item, (answer) => {
      onAnswer(answer.kind === 'ok' ? { kind: 'filled', length: answer.value } : reasonOf(answer));
    });
  }

  copy(item: CopyItem, onAnswer: (answer: Copied | Lost | Refused) => void): void {
    this.#outbox.client.copy(item, (answer) => {
      onAnswer(answer.kind === 'ok' ? { kind: 'filled', ...answer.value } : reasonOf(answer));
    });
  }

  ping(onAnswer: (isThere: boolean) => void): void {
    this.#outbox.client.ping('write', (answer) => onAnswer(answer.kind === 'ok'));
    this.#write.channel?.flush();
  }

  /** One probe answers all shards that ask while it is under way. */
  probe(onAnswer: (answer: ProbeAnswer) => void): void {
    this.#probing.push(onAnswer);
    if (this.#probing.length > 1) return;
    this.#outbox.client.probe(this.#parts.probeBytes, (answer) => {
      const result = answer.kind === 'ok' ? answer : reasonOf(answer);
      for (const waiting of this.#probing.splice(0)) waiting(result);
    });
  }

  finish(shard: ShardId, zone: ZoneId, length: number): void {
    const { logger } = this;
    this.#outbox.client.finish(shard, zone, length, (answer) => {
      if (answer.kind === 'refused' && answer.code !== 'unknown-zone')
        this.#parts.world.log('warn', 'zone not finished', { logger, shard, zone, code: answer.code });
    });
  }

  reportZones(onAnswer: (zones: readonly ZoneStatus[]) => void): void {
    this.#outbox.client.reportZones(undefined, [], (answer) => {
      if (answer.kind === 'ok') onAnswer(answer.value);
    });
  }

  /** Sends what has gathered in this turn, now. */
  send(): void {
    this.#outbox.send();
    this.#write.channel?.flush();
    this.#read.channel?.flush();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const one of this.#keepAlive) one.close();
    this.#write.close();
    this.#read.close();
    this.#changed();
  }
}
