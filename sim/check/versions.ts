/**
 * What versions must do beside linearizability, on whole histories in linear time: one version is one value, one value
 * has one version (a repeated write took effect once), and what was known before a call began is not newer than what
 * the call gives.
 */
import type { HistoryEvent } from '../history.ts';
import { Violation } from './violation.ts';

interface KeyState {
  /** Highest version that a call which has ended was told. */
  known: number;
  readonly names: Map<number, string>;
  readonly versions: Map<string, number>;
  /** Knowledge when they began, of calls that are open. */
  readonly floors: Map<number, number>;
}

/** @throws Violation */
export function checkVersions(events: readonly HistoryEvent[]): void {
  const keys = new Map<string, KeyState>();
  for (const event of events) {
    let state = keys.get(event.key);
    if (state === undefined)
      keys.set(event.key, (state = { known: 0, names: new Map(), versions: new Map(), floors: new Map() }));
    if (event.type === 'invoke') state.floors.set(event.process, state.known);
    else ended(state, event);
  }
}

function ended(state: KeyState, event: HistoryEvent): void {
  const floor = state.floors.get(event.process) ?? 0;
  state.floors.delete(event.process);
  const version = toldVersion(event);
  if (version === undefined) return;
  if (event.value !== null && event.currentVersion === undefined) same(state, event, version, event.value);
  // A deleted key has version 0 however new its deletion is.
  if (version === 0) return;
  const isWrite = event.f === 'put' || event.newVersion !== undefined;
  // What its gateway happened to know: others may know more, and nobody less from now on.
  if (event.f !== 'stale' && (version < floor || (isWrite && version === floor))) {
    throw new Violation(`${describe(event)}: version ${version}, though ${floor} was known before it began`);
  }
  state.known = Math.max(state.known, version);
}

function toldVersion(event: HistoryEvent): number | undefined {
  if (event.type === 'fail') return event.currentVersion;
  if (event.type !== 'ok' || event.f === 'del') return undefined; // A deletion's version says whether there was one.
  return event.f === 'cas' ? event.newVersion : event.version;
}

function same(state: KeyState, event: HistoryEvent, version: number, name: string): void {
  const otherName = state.names.get(version) ?? name;
  if (otherName !== name) throw new Violation(`${describe(event)}: version ${version} is ${otherName} and ${name}`);
  const otherVersion = state.versions.get(name) ?? version;
  if (otherVersion !== version)
    throw new Violation(`S15 ${describe(event)}: ${name} was applied twice, as version ${otherVersion} and ${version}`);
  state.names.set(version, name);
  state.versions.set(name, version);
}

function describe(event: HistoryEvent): string {
  return `${event.f} ${event.key} of process ${event.process} at ${event.time.toFixed(3)}`;
}
