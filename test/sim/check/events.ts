/** Short notation for histories of one key: every call gives its events; `history` puts them in order and in time. */
import type { HistoryCall, HistoryEvent, HistoryType } from '../../../sim/history.ts';

export type Draft = Omit<HistoryEvent, 'time'>;

export interface Drafts {
  readonly invoke: Draft;
  readonly end: Draft;
}

export const key = 'k';

function call(process: number, f: HistoryCall, asked: Partial<Draft>, type: HistoryType, told: Partial<Draft>): Drafts {
  const invoke: Draft = { process, type: 'invoke', f, key, value: null, ...asked };
  return { invoke, end: { ...invoke, type, ...told } };
}

/** An unknown version is left out of the event. */
const versionIs = (version: number | undefined): Partial<Draft> => (version === undefined ? {} : { version });

export const get = (process: number, value: string | null, version?: number): Drafts =>
  call(process, 'get', {}, 'ok', { value, ...versionIs(version) });
export const put = (process: number, value: string, version?: number): Drafts =>
  call(process, 'put', { value }, 'ok', versionIs(version));
export const del = (process: number, existed?: boolean): Drafts =>
  call(process, 'del', {}, 'ok', existed === undefined ? {} : { version: existed ? 1 : 0 });
/** A write if the version is `expected` (0: none); value null deletes. */
export const cas = (process: number, expected: number, value: string | null, newVersion?: number): Drafts =>
  call(process, 'cas', { value, version: expected }, 'ok', newVersion === undefined ? {} : { newVersion });
export const refused = (process: number, expected: number, value: string | null, currentVersion: number): Drafts =>
  call(process, 'cas', { value, version: expected }, 'fail', { currentVersion });
/** The same call, whose outcome nobody knows, or that was certainly not applied. */
export const unknownOf = ({ invoke }: Drafts): Drafts => ({ invoke, end: { ...invoke, type: 'info' } });
export const failed = ({ invoke }: Drafts): Drafts => ({ invoke, end: { ...invoke, type: 'fail' } });

/** Parts in order; a whole call stands for its two events. One event is a millisecond. */
export function history(...parts: readonly (Drafts | Draft)[]): readonly HistoryEvent[] {
  return parts
    .flatMap((part) => ('invoke' in part ? [part.invoke, part.end] : [part]))
    .map((event, time) => ({ ...event, time }));
}

/** All are invoked, then all end, in their order. */
export function together(...calls: readonly Drafts[]): readonly Draft[] {
  return [...calls.map(({ invoke }) => invoke), ...calls.map(({ end }) => end)];
}
