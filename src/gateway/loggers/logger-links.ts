/**
 * This gateway's connections to the loggers that the coordinator lists. It owns which loggers there are; what goes to
 * one stands in logger-link.ts.
 */
import { present } from '../../base/assert.ts';
import type { Uuid } from '../../base/ids.ts';
import type { Log } from '../../base/log.ts';
import type { LoggerMember } from '../../coordinator/members.ts';
import type { Environment } from '../../env/environment.ts';
import type { LinkSettings } from './logger-link.ts';
import { LoggerLink } from './logger-link.ts';
import type { Dispatch, LoggerPort } from './logger-port.ts';
import { AbsentLogger } from './logger-port.ts';

/** Whoever hears of connections and answers of loggers. */
export interface LoggerListener {
  readonly dispatch: Dispatch;
  loggerUp(logger: Uuid, alignment: number): void;
  loggerDown(logger: Uuid): void;
}

export class LoggerLinks {
  readonly #world: Environment & { readonly log: Log };
  readonly #settings: LinkSettings;
  /** By number of the member. */
  readonly #byNumber = new Map<number, LoggerLink>();
  readonly #byName = new Map<Uuid, LoggerLink>();
  #listener: LoggerListener | undefined;
  #sendScheduled = false;

  constructor(world: Environment & { readonly log: Log }, settings: LinkSettings) {
    this.#world = world;
    this.#settings = settings;
  }

  /** REQUIRES: called once, before any other method. */
  start(listener: LoggerListener): void {
    this.#listener = listener;
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
      const link = this.#link(member);
      this.#byNumber.set(number, link);
      this.#byName.set(member.uuid, link);
    }
  }

  #link(member: LoggerMember): LoggerLink {
    const listener = this.#told;
    return new LoggerLink(member, {
      world: this.#world,
      ...this.#settings,
      dispatch: listener.dispatch,
      onUp: (logger, alignment) => listener.loggerUp(logger, alignment),
      onDown: (logger) => listener.loggerDown(logger),
      onWaiting: () => this.#sendSoon(),
    });
  }

  get #told(): LoggerListener {
    return present(this.#listener, 'a listener, set by start');
  }

  isUp(logger: Uuid): boolean {
    return this.#byName.get(logger)?.isUp === true;
  }

  forEachUp(visit: (logger: Uuid, alignment: number) => void): void {
    for (const { isUp, logger, alignment } of this.#byNumber.values()) if (isUp) visit(logger, alignment);
  }

  /** The logger of this name; one that answers `lost` when no member has it. */
  of(logger: Uuid): LoggerPort {
    return this.#byName.get(logger) ?? new AbsentLogger(logger, this.#told.dispatch);
  }

  #sendSoon(): void {
    if (this.#sendScheduled) return;
    this.#sendScheduled = true;
    this.#world.clock.endOfTurn(() => this.send());
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
