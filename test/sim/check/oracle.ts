/**
 * The plainest judge there is, for small histories of one key: tries every order of the calls, with every choice of
 * which unknown ones took effect, and every version that somebody named for a write nobody was told about. It shares no
 * code with the checker.
 */
import type { HistoryEvent } from '../../../sim/history.ts';

interface Span {
  readonly invoke: HistoryEvent;
  readonly end: HistoryEvent | undefined;
  readonly from: number;
  /** Infinity: it may take effect at any later moment. */
  readonly to: number;
  readonly mayBeLeftOut: boolean;
}

interface Register {
  readonly value: string | null;
  /** `untold`: nobody is ever told. */
  readonly version: number | 'untold';
  readonly highest: number;
}

export function isLinearizable(events: readonly HistoryEvent[]): boolean {
  const spans = spansOf(events);
  const named = [...new Set(events.flatMap((event) => [event.version, event.newVersion, event.currentVersion]))].filter(
    (version): version is number => version !== undefined && version > 0,
  );
  return canFinish(spans, { value: null, version: 0, highest: 0 }, named);
}

function spansOf(events: readonly HistoryEvent[]): readonly Span[] {
  return events.flatMap((invoke, from): Span[] => {
    if (invoke.type !== 'invoke') return [];
    const to = events.findIndex(
      (event, index) => index > from && event.process === invoke.process && event.type !== 'invoke',
    );
    const end = events[to];
    const isOpen = end === undefined || end.type === 'info';
    if (isOpen && invoke.f === 'get') return [];
    if (end?.type === 'fail' && end.currentVersion === undefined) return [];
    return [{ invoke, end: isOpen ? undefined : end, from, to: isOpen ? Infinity : to, mayBeLeftOut: isOpen }];
  });
}

function canFinish(left: readonly Span[], state: Register, named: readonly number[]): boolean {
  if (left.every((span) => span.mayBeLeftOut)) return true;
  return left.some((span) => {
    if (left.some((other) => other !== span && other.to < span.from)) return false;
    const rest = left.filter((other) => other !== span);
    return outcomes(state, span, named).some((after) => canFinish(rest, after, named));
  });
}

/** Every state that the call can lead to with the answer that its caller was given. */
function outcomes(state: Register, { invoke, end }: Span, named: readonly number[]): readonly Register[] {
  const standing = state.value === null ? 0 : state.version;
  const gone: Register = { value: null, version: 0, highest: state.highest };
  if (invoke.f === 'get') {
    const isTold = end?.version === undefined || end.version === standing;
    return end !== undefined && end.value === state.value && isTold ? [state] : [];
  }
  if (invoke.f === 'del') {
    const isTold = end?.version === undefined || (end.version !== 0) === (state.value !== null);
    return isTold ? [gone] : [];
  }
  if (invoke.f === 'put') return written(state, invoke.value, end?.version, named);
  if (end?.type === 'fail') return standing === end.currentVersion && standing !== invoke.version ? [state] : [];
  if (standing !== invoke.version) return [];
  return invoke.value === null ? [gone] : written(state, invoke.value, end?.newVersion, named);
}

function written(
  state: Register,
  value: string | null,
  told: number | undefined,
  named: readonly number[],
): readonly Register[] {
  const choices = told === undefined ? named : [told];
  const states: Register[] = choices
    .filter((version) => version > state.highest)
    .map((version) => ({ value, version, highest: version }));
  if (told === undefined) states.push({ value, version: 'untold', highest: state.highest });
  return states;
}
