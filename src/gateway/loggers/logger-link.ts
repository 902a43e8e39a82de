/**
 * Both connections to one logger, under the UUID that it must have (S16): one to its write port, one to its read port.
 * It owns the links and the outbox. It does not own who the members are (logger-links.ts).
 */
import type { Epoch, ShardId, Uuid, ZoneId } from '../../base/ids.ts';
import type { Log } from '../../base/log.ts';
import { times } from '../../base/times.ts';
import type { LoggerAnswer, LoggerStatus, ReadAnswer, SealAnswer, ZoneStatus } from '../../codec/logger-protocol.ts';
import type { LoggerMember } from '../../coordinator/members.ts';
import type { Lost, Refused } from '../../core/shard/events.ts';
import type { Environment } from '../../env/environment.ts';
import type { RpcChannel } from '../../rpc/channel-types.ts';
import { KeepAlive } from '../../rpc/keep-alive.ts';
import { Link } from '../../rpc/link.ts';
import { LoggerClient } from '../../rpc/logger-client.ts';
import { clientOptions } from '../../rpc/options.ts';
import type { Dispatch, LoggerPort, ProbeAnswer } from './logger-port.ts';
import { lost } from './logger-port.ts';
import { Outbox } from './outbox.ts';

export interface LinkSettings {
  /** A logger that owes answers and says nothing for this long is disconnected. Milliseconds. */
  readonly progressTimeoutMs: number;
  /** Room on its device that a logger should have to be taken back, bytes. */
  readonly probeBytes: number;
}

export interface LoggerLinkParts extends LinkSettings {
  readonly world: Environment & { readonly log: Log };
  readonly dispatch: Dispatch;
  readonly onUp: (logger: Uuid, alignment: number) => void;
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
  #alignment = 1;
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
    this.#outbox = new Outbox(client, parts.dispatch);
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
        log('warn', 'logger connection lost', { logger: this.logger, port, reason });
        this.#changed();
      },
    });
  }

  /**
   * The connection counts only when the logger that is meant listens there (S16), and when it can still write (S17).
   */
  #greet(channel: RpcChannel, port: 'read' | 'write', done: (failure?: string) => void): void {
    const client = new LoggerClient(this.logger, { write: channel, read: channel });
    client.ping(port, (answer: LoggerAnswer<LoggerStatus>) => {
      if (answer.kind !== 'ok') return done(answer.message);
      if (answer.value.logger !== this.logger) return done(`another logger listens there: ${answer.value.logger}`);
      if (port === 'write' && answer.value.state === 'failed') return done('its device failed (S17)');
      this.#alignment = answer.value.alignment;
      done();
    });
  }

  #changed(): void {
    const isUp = !this.#closed && this.#write.channel !== undefined && this.#read.channel !== undefined;
    if (isUp === this.#isUp) return;
    this.#isUp = isUp;
    if (isUp) this.#parts.onUp(this.logger, this.#alignment);
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

  get alignment(): number {
    return this.#alignment;
  }

  append(shard: ShardId, zone: ZoneId, epoch: Epoch, offset: number, bytes: Uint8Array): void {
    this.#outbox.append(shard, zone, epoch, offset, bytes);
  }

  confirm(shard: ShardId, zone: ZoneId, epoch: Epoch, number: number): void {
    this.#outbox.confirm(shard, zone, epoch, number);
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

  seal(shard: ShardId, zone: ZoneId, epoch: Epoch, onAnswer: (answer: SealAnswer | Lost | Refused) => void): void {
    this.#outbox.client.seal(shard, zone, epoch, (answer) => {
      if (answer.kind === 'ok') onAnswer(answer.value);
      else onAnswer(answer.kind === 'refused' ? { kind: 'refused', code: answer.code } : lost);
    });
  }

  /** One probe answers all shards that ask while it is under way. */
  probe(onAnswer: (answer: ProbeAnswer) => void): void {
    this.#probing.push(onAnswer);
    if (this.#probing.length > 1) return;
    this.#outbox.client.probe(this.#parts.probeBytes, (answer) => {
      const result: ProbeAnswer =
        answer.kind === 'ok' ? answer : answer.kind === 'refused' ? { kind: 'refused', code: answer.code } : lost;
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
