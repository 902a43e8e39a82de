/**
 * Heartbeats to the other gateways, each on a connection of its own, so that they never wait behind data. Question and
 * answer both say what the sender owns and whether it can commit there, so that of two gateways only one need ask: who
 * has just heard from the other does not. What silence, loss and refusal mean is decided by the detectors
 * (core/members/detector.ts), one for each process.
 *
 * It owns these connections and the last report of each gateway. It does not own the members' list (metadata-store.ts),
 * the tick (shard-runner.ts), nor what follows from a verdict (claims.ts).
 */
import type { InstanceId, Millis, ShardId } from '../../base/ids.ts';
import { millis } from '../../base/ids.ts';
import type { Log } from '../../base/log.ts';
import { times } from '../../base/times.ts';
import type { ShardCondition, ShardReport } from '../../codec/heartbeat.ts';
import { heartbeatMethod, readReports, writeHeartbeat } from '../../codec/heartbeat.ts';
import type { GatewayIdentity } from '../../codec/member-hello.ts';
import type { GatewayMember } from '../../coordinator/members.ts';
import type { DetectorEvent, Verdict } from '../../core/members/detector.ts';
import { Detector } from '../../core/members/detector.ts';
import type { PeerView } from '../../core/ownership/ownership.ts';
import type { Environment } from '../../env/environment.ts';
import type { RpcChannel } from '../../rpc/channel-types.ts';
import { Link } from '../../rpc/link.ts';
import { clientOptions } from '../../rpc/options.ts';
import { greetPeer } from './greet-peer.ts';

export interface SuspicionCounts {
  readonly suspicions: number;
  /** Those after which the same process was heard again. */
  readonly falseSuspicions: number;
}

export interface HeartbeatParts {
  readonly world: Pick<Environment, 'network' | 'clock' | 'random'>;
  readonly log: Log;
  readonly self: GatewayIdentity;
  /** Milliseconds. */
  readonly suspicion: { readonly leastMs: number; readonly mostMs: number };
  /** What the others are told of this gateway's shards. */
  readonly reports: () => readonly ShardReport[];
  /** A verdict or a report changed, or time has passed. */
  readonly onNews: () => void;
}

/** A gateway that was heard within this share of a period is not asked in it. */
const freshShare = 0.75;

export class Heartbeats {
  readonly #parts: HeartbeatParts;
  readonly #pulses = new Map<number, Pulse>();
  /** Counts of processes that are gone, by the numbers of their gateways. */
  readonly #past = new Map<number, SuspicionCounts>();
  #beatMs = Number.NEGATIVE_INFINITY;

  constructor(parts: HeartbeatParts) {
    this.#parts = parts;
  }

  /** The other members as they are seen from here, by number. */
  get peers(): ReadonlyMap<number, Pulse> {
    return this.#pulses;
  }

  /** How often processes of a gateway were suspected, and how often wrongly. */
  countsOf(number: number): SuspicionCounts {
    const past = this.#past.get(number) ?? { suspicions: 0, falseSuspicions: 0 };
    const now = this.#pulses.get(number)?.detector ?? { suspicions: 0, falseSuspicions: 0 };
    return {
      suspicions: past.suspicions + now.suspicions,
      falseSuspicions: past.falseSuspicions + now.falseSuspicions,
    };
  }

  /** Tells all of them now, without waiting for the next period. */
  tell(): void {
    for (const pulse of this.#pulses.values()) pulse.ask();
  }

  /** A heartbeat of process `instance` came in. */
  heard(instance: InstanceId, reports: readonly ShardReport[]): void {
    for (const pulse of this.#pulses.values()) if (pulse.instance === instance) pulse.heard(reports);
  }

  update(members: ReadonlyMap<number, GatewayMember>): void {
    for (const [number, member] of members) {
      if (number === this.#parts.self.gateway) continue;
      const pulse = this.#pulses.get(number);
      if (pulse?.instance === member.instance) continue;
      this.#end(number, pulse);
      this.#pulses.set(number, new Pulse(number, member, this.#parts));
    }
    for (const [number, pulse] of this.#pulses) {
      if (members.has(number)) continue;
      this.#end(number, pulse);
    }
  }

  #end(number: number, pulse: Pulse | undefined): void {
    this.#past.set(number, this.countsOf(number));
    this.#pulses.delete(number);
    pulse?.close();
  }

  /**
   * Time has passed: a heartbeat may be due, or be late when it waits for the next tick, in `nextMs`. It rides on the
   * shards' tick, so that a process is woken once for both.
   */
  tick(nextMs: number): void {
    const nowMs = this.#parts.world.clock.now();
    if (nowMs + nextMs - this.#beatMs < times.heartbeatEveryMs + times.shardTickMs / 2) return;
    this.#beatMs = nowMs;
    for (const pulse of this.#pulses.values()) pulse.tick();
    this.#parts.onNews();
  }

  close(): void {
    for (const pulse of this.#pulses.values()) pulse.close();
  }
}

/** One process of another gateway. */
export class Pulse implements PeerView {
  readonly instance: GatewayMember['instance'];
  readonly #number: number;
  readonly #parts: HeartbeatParts;
  readonly #detector: Detector;
  readonly #link: Link;
  /** Channel on which an answer is awaited, and since when. */
  #asked: { readonly channel: RpcChannel; readonly atMs: number } | undefined;
  #report = new Map<ShardId, ShardReport>();
  #heardMs = Number.NEGATIVE_INFINITY;

  constructor(number: number, { instance, peerAddress }: GatewayMember, parts: HeartbeatParts) {
    const { network, clock, random } = parts.world;
    this.instance = instance;
    this.#number = number;
    this.#parts = parts;
    this.#detector = new Detector({ ...parts.suspicion, everyMs: times.heartbeatEveryMs }, clock.now());
    this.#link = new Link({
      network,
      clock,
      random,
      address: peerAddress,
      // A process that hangs is found by its silence; a connection that hangs, once another may do better.
      rpc: clientOptions({ progressTimeoutMs: 2 * parts.suspicion.mostMs }),
      // The first attempt after a loss tells a dead process from a lost connection: at once.
      reconnectMinMs: 1,
      reconnectMaxMs: parts.suspicion.mostMs,
      connectTimeoutMs: 2 * parts.suspicion.mostMs,
      handshake: (channel, done) => greetPeer(channel, parts.self, { number, instance }, done),
      onUp: (channel) => this.#ask(channel),
      onDown: () => this.#step({ event: 'lost' }),
      onFailure: (_reason, code) => {
        if (code === 'refused') this.#step({ event: 'refused' });
      },
    });
  }

  get verdict(): Verdict {
    return this.#detector.verdict;
  }

  /** Its counts and patience, for people. */
  get detector(): SuspicionCounts & Pick<Detector, 'patienceMs'> {
    return this.#detector;
  }

  condition(shard: ShardId, epoch: number): ShardCondition | undefined {
    const report = this.#report.get(shard);
    return report?.epoch === epoch ? report.condition : undefined;
  }

  tick(): void {
    if (this.#now - this.#heardMs >= freshShare * times.heartbeatEveryMs) this.ask();
    this.#step({ event: 'tick', nowMs: this.#now });
  }

  /** Asks it now, unless an answer is awaited. */
  ask(): void {
    const { channel } = this.#link;
    if (channel !== undefined && this.#asked?.channel !== channel) this.#ask(channel);
  }

  get #now(): Millis {
    return millis(this.#parts.world.clock.now());
  }

  #ask(channel: RpcChannel): void {
    const atMs = this.#now;
    this.#asked = { channel, atMs };
    channel.request(
      heartbeatMethod,
      (out) => writeHeartbeat(out, this.#parts.reports()),
      (failure, result) => {
        if (this.#asked?.channel === channel) this.#asked = undefined;
        if (failure !== undefined || result === undefined) return;
        this.heard(readReports(result), this.#now - atMs);
      },
    );
    channel.flush();
  }

  /** `roundTripMs` is absent when it spoke unasked. */
  heard(reports: readonly ShardReport[], roundTripMs?: number): void {
    this.#heardMs = this.#now;
    this.#report = new Map(reports.map((report) => [report.shard, report]));
    const took = roundTripMs === undefined ? {} : { roundTripMs };
    this.#step({ event: 'heard', nowMs: this.#now, ...took });
  }

  #step(event: DetectorEvent): void {
    const before = this.#detector.verdict;
    if (!this.#detector.step(event)) return;
    const { verdict, patienceMs } = this.#detector;
    const level = verdict === 'alive' ? 'info' : 'warn';
    this.#parts.log(level, `gateway ${verdict}`, { gateway: this.#number, before, patienceMs });
    this.#parts.onNews();
  }

  close(): void {
    this.#link.close();
  }
}
