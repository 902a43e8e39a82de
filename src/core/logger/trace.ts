/**
 * A view of loggers at work: what each machine is told, and what it wants done. The shell offers it
 * (logger/log-store.ts), for checkers and counters; the machine knows nothing of it.
 */
import type { LoggerMachine } from './logger-machine.ts';
import type { MachineEffect, MachineEvent } from './machine-events.ts';

/** The machine as a trace sees it. Tickets are the shell's: a trace can tell them apart, no more. */
export type TracedMachine = Pick<LoggerMachine<unknown>, 'failed' | 'report' | 'snapshot'>;

export interface LoggerTrace {
  /** The machine gets the event next: it is as it was. */
  before(machine: TracedMachine, event: MachineEvent<unknown>): void;
  /** The machine has decided; none of the effects has been carried out. REQUIRES: they are not changed. */
  after(machine: TracedMachine, event: MachineEvent<unknown>, effects: readonly MachineEffect<unknown>[]): void;
}

/** One step, seen. */
export function tracedStep<Ticket>(
  trace: LoggerTrace,
  machine: LoggerMachine<Ticket>,
  event: MachineEvent<Ticket>,
): readonly MachineEffect<Ticket>[] {
  trace.before(machine, event);
  const effects = machine.step(event);
  trace.after(machine, event, effects);
  return effects;
}
