/**
 * This gateway's connections to the loggers that the coordinator lists: one to each write port, one to each read port.
 */
import type { Epoch, ShardId, Uuid, ZoneId } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import type { LoggerStatus, ReadAnswer, SealAnswer, ZoneStatus, LoggerAnswer } from '../codec/logger-protocol.ts';
import type { LoggerMember } from '../coordinator/members.ts';
import type { Lost, Refused } from '../core/shard/events.ts';
import type { Environment } from '../env/environment.ts';
import type { RpcChannel } from '../rpc/channel-types.ts';
import { Link } from '../rpc/link.ts';
import { LoggerClient } from '../rpc/logger-client.ts';
import { clientOptions } from '../rpc/options.ts';
import type { Dispatch } from './outbox.ts';
import { Outbox } from './outbox.ts';

export interface LoggerLinksOptions {
  readonly world: Environment;
  readonly log: Log;
  /** A logger that owes answers and says nothing for this long is disconnected. */
  readonly progressTimeoutMs: number;
  readonly dispatch: Dispatch;
  readonly onUp: (logger: Uuid, alignment: number) => void;
  readonly onDown: (logger: Uuid) => void;
}

const lost: Lost = { kind: 'lost' };

/** Both connections to one logger, under the UUID it must have (S16). */
class LoggerLink {
  readonly logger: Uuid;
  readonly outbox: Outbox;
  readonly #options: LoggerLinksOptions;
  readonly #write: Link;
  readonly #read: Link;
  #alignment = 1;
  #isUp = false;
  #closed = false;

  constructor(member: LoggerMember, options: LoggerLinksOptions) {
    this.logger = member.uuid;
    this.#options = options;
    this.#write = this.#link(member.writeAddress, 'write');
    this.#read = this.#link(member.readAddress, 'read');
    const channels = { write: this.#write, read: this.#read };
    this.outbox = new Outbox(
      new LoggerClient(member.uuid, {
        get write(): RpcChannel | undefined {
          return channels.write.channel;
        },
        get read(): RpcChannel | undefined {
          return channels.read.channel;
        },
      }),
      options.dispatch,
    );
  }

  #link(address: string, port: 'read' | 'write'): Link {
    const { network, clock, random } = this.#options.world;
    return new Link({
      network,
      clock,
      random,
      address,
      rpc: clientOptions({ progressTimeoutMs: this.#options.progressTimeoutMs }),
      handshake: (channel, done) => this.#greet(channel, port, done),
      onUp: () => this.#changed(),
      onDown: (reason) => {
        this.#options.log('warn', 'logger connection lost', { logger: this.logger, port, reason });
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
    if (isUp) this.#options.onUp(this.logger, this.#alignment);
    else this.#options.onDown(this.logger);
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

  /** Sends what has gathered in this turn, now. */
  send(): void {
    this.outbox.send();
    this.#write.channel?.flush();
    this.#read.channel?.flush();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#write.close();
    this.#read.close();
    this.#changed();
  }
}

export class LoggerLinks {
  readonly #options: LoggerLinksOptions;
  /** By number of the configuration. */
  readonly #byNumber = new Map<number, LoggerLink>();
  readonly #byName = new Map<Uuid, LoggerLink>();
  #sendScheduled = false;

  constructor(options: LoggerLinksOptions) {
    this.#options = options;
  }

  /** Connects to new members, leaves those whose place was taken. */
  update(members: ReadonlyMap<number, LoggerMember>): void {
    for (const [number, link] of [...this.#byNumber]) {
      if (members.get(number)?.uuid === link.logger) continue;
      this.#byNumber.delete(number);
      this.#byName.delete(link.logger);
      link.close();
    }
    for (const [number, member] of members) {
      const known = this.#byNumber.get(number);
      if (known !== undefined) {
        known.retarget(member);
        continue;
      }
      const link = new LoggerLink(member, this.#options);
      this.#byNumber.set(number, link);
      this.#byName.set(member.uuid, link);
    }
  }

  isUp(logger: Uuid): boolean {
    return this.#byName.get(logger)?.isUp === true;
  }

  forEachUp(visit: (logger: Uuid, alignment: number) => void): void {
    for (const { isUp, logger, alignment } of this.#byNumber.values()) if (isUp) visit(logger, alignment);
  }

  append(logger: Uuid, shard: ShardId, zone: ZoneId, epoch: Epoch, offset: number, bytes: Uint8Array): void {
    const link = this.#byName.get(logger);
    if (link === undefined) this.#options.dispatch(shard, { event: 'append-failed', logger, zone, reason: lost });
    else link.outbox.append(shard, zone, epoch, offset, bytes);
  }

  confirm(logger: Uuid, shard: ShardId, zone: ZoneId, epoch: Epoch, number: number): void {
    const link = this.#byName.get(logger);
    if (link === undefined) this.#options.dispatch(shard, { event: 'confirm-failed', logger, zone, reason: lost });
    else link.outbox.confirm(shard, zone, epoch, number);
  }

  read(
    logger: Uuid,
    shard: ShardId,
    zone: ZoneId,
    offset: number,
    length: number,
    onRead: (answer: ReadAnswer | Lost) => void,
  ): void {
    const link = this.#byName.get(logger);
    if (link === undefined) return onRead(lost);
    link.outbox.read(shard, zone, offset, length, onRead);
    // A read that is tried again on another replica comes between turns of the shards.
    if (this.#sendScheduled) return;
    this.#sendScheduled = true;
    this.#options.world.clock.endOfTurn(() => this.send());
  }

  seal(
    logger: Uuid,
    shard: ShardId,
    zone: ZoneId,
    epoch: Epoch,
    onAnswer: (answer: SealAnswer | Lost | Refused) => void,
  ): void {
    const link = this.#byName.get(logger);
    if (link === undefined) return onAnswer(lost);
    link.outbox.client.seal(shard, zone, epoch, (answer) =>
      onAnswer(
        answer.kind === 'ok' ? answer.value : answer.kind === 'refused' ? { kind: 'refused', code: answer.code } : lost,
      ),
    );
  }

  /** Best effort: what is not told now is told when the logger connects again (gateway.ts reconciles). */
  finish(logger: Uuid, shard: ShardId, zone: ZoneId, length: number): void {
    this.#byName.get(logger)?.outbox.client.finish(shard, zone, length, (answer) => {
      if (answer.kind === 'refused' && answer.code !== 'unknown-zone')
        this.#options.log('warn', 'zone not finished', { logger, shard, zone, code: answer.code });
    });
  }

  reportZones(logger: Uuid, onAnswer: (zones: readonly ZoneStatus[]) => void): void {
    this.#byName.get(logger)?.outbox.client.reportZones(undefined, [], (answer) => {
      if (answer.kind === 'ok') onAnswer(answer.value);
    });
  }

  /** Everything that has gathered goes out now. */
  send(): void {
    this.#sendScheduled = false;
    for (const link of this.#byNumber.values()) link.send();
  }

  close(): void {
    for (const link of this.#byNumber.values()) link.close();
  }
}
