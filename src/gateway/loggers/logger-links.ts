/**
 * This gateway's connections to the loggers that the coordinator lists. It owns which loggers there are; what goes to
 * one stands in logger-link.ts.
 */
import { present } from '../../base/assert.ts';
import type { Uuid } from '../../base/ids.ts';
import type { Log } from '../../base/log.ts';
import type { LoggerMember, Numbered } from '../../coordinator/members.ts';
import type { Environment } from '../../env/environment.ts';
import type { ConnectedLogger, LinkSettings } from './logger-link.ts';
import { LoggerLink } from './logger-link.ts';
import type { Dispatch, LoggerPort } from './logger-port.ts';
import { AbsentLogger } from './logger-port.ts';
import type { LoggerPulse } from './silence.ts';

/** Whoever hears of connections and answers of loggers. */
export interface LoggerListener {
  readonly dispatch: Dispatch;
  loggerUp(logger: ConnectedLogger): void;
  loggerDown(logger: Uuid): void;
}

export class LoggerLinks {
  readonly #world: Environment & { readonly log: Log };
  readonly #settings: LinkSettings;
  /** A logger is its UUID, not its number (S16): two that swap numbers keep their links. */
  readonly #links = new Map<Uuid, LoggerLink>();
  #listener: LoggerListener | undefined;
  #lost: ReadonlySet<Uuid> = new Set();
  #sendScheduled = false;

  constructor(world: Environment & { readonly log: Log }, settings: LinkSettings) {
    this.#world = world;
    this.#settings = settings;
  }

  /** REQUIRES: called once, before any other method. */
  start(listener: LoggerListener): void {
    this.#listener = listener;
  }

  /**
   * Connects to new members, leaves those that no number names any more. While a logger changes its number, two may
   * name it: the entry that was registered last says where it listens. Nothing is asked of one that is `lost`.
   */
  update(members: ReadonlyMap<number, Numbered<LoggerMember>>, lost: ReadonlySet<Uuid> = new Set()): void {
    this.#lost = lost;
    const wanted = new Map<Uuid, Numbered<LoggerMember>>();
    for (const member of members.values())
      if (!lost.has(member.uuid) && member.revision >= (wanted.get(member.uuid)?.revision ?? 0))
        wanted.set(member.uuid, member);
    for (const [logger, link] of [...this.#links]) {
      if (wanted.has(logger)) continue;
      this.#links.delete(logger);
      link.close();
    }
    for (const [logger, member] of wanted) {
      const known = this.#links.get(logger);
      if (known === undefined) this.#links.set(logger, this.#link(member));
      else known.retarget(member);
    }
  }

  #link(member: LoggerMember): LoggerLink {
    const listener = this.#told;
    return new LoggerLink(member, {
      world: this.#world,
      ...this.#settings,
      dispatch: listener.dispatch,
      onUp: (logger) => listener.loggerUp(logger),
      onDown: (logger) => listener.loggerDown(logger),
      onWaiting: () => this.#sendSoon(),
    });
  }

  get #told(): LoggerListener {
    return present(this.#listener, 'a listener, set by start');
  }

  /** The operator has said that it will never return. */
  isLost(logger: Uuid): boolean {
    return this.#lost.has(logger);
  }

  isUp(logger: Uuid): boolean {
    return this.#links.get(logger)?.isUp === true;
  }

  /** How many are connected. */
  get upCount(): number {
    return [...this.#links.values()].filter(({ isUp }) => isUp).length;
  }

  get pulses(): readonly LoggerPulse[] {
    return [...this.#links.values()].map(({ pulse }) => pulse);
  }

  forEachUp(visit: (logger: ConnectedLogger) => void): void {
    for (const { connected } of this.#links.values()) if (connected !== undefined) visit(connected);
  }

  /** The logger of this name; one that answers `lost` when no member has it. */
  of(logger: Uuid): LoggerPort {
    return this.#links.get(logger) ?? new AbsentLogger(logger, this.#told.dispatch);
  }

  #sendSoon(): void {
    if (this.#sendScheduled) return;
    this.#sendScheduled = true;
    this.#world.clock.endOfTurn(() => this.send());
  }

  /** Everything that has gathered goes out now. */
  send(): void {
    this.#sendScheduled = false;
    for (const link of this.#links.values()) link.send();
  }

  close(): void {
    for (const link of this.#links.values()) link.close();
  }
}
