/**
 * The sequential model: one key as a register with a version. Calls carry what their callers were told; a step is
 * possible when the answer fits the state. Versions are part of the state: each write's is larger than all that were
 * seen before it. The version of a write nobody was told about is *unknown*: some number above the floor, fixed by the
 * first answer that names it.
 */
import { unreachable } from '../../src/base/assert.ts';

/** The value of a key that is not there. Others are 1, 2, ... */
export const absent = 0;
/** A version that the caller was not told. */
export const unknown = -1;

export type RegisterCall =
  | { readonly kind: 'read'; readonly value: number; readonly version: number }
  /** A read that was told the version alone (0: none). */
  | { readonly kind: 'seen'; readonly version: number }
  /** A cas that was refused because the version `found` (0: none) stood there. */
  | { readonly kind: 'refused'; readonly expected: number; readonly found: number }
  | { readonly kind: 'put'; readonly value: number; readonly version: number }
  | { readonly kind: 'delete'; readonly existed: 'yes' | 'no' | 'unknown' }
  /** Took effect: the version `expected` (0: none) stood there. */
  | { readonly kind: 'cas'; readonly expected: number; readonly value: number; readonly version: number };

export interface RegisterState {
  readonly value: number;
  /** 0 when absent. */
  readonly version: number;
  /** The highest version that is known to have been given. */
  readonly floor: number;
}

export const initialState: RegisterState = { value: absent, version: 0, floor: 0 };

/** The state after `call`; the same object when nothing changes; undefined when its answer doesn't fit. */
export function step(state: RegisterState, call: RegisterCall): RegisterState | undefined {
  switch (call.kind) {
    case 'read':
      if (state.value !== call.value) return undefined;
      if (call.version === unknown) return state;
      return call.value === absent ? onlyIf(call.version === 0, state) : observe(state, call.version);
    case 'seen':
      return observe(state, call.version);
    case 'refused':
      if (call.found === call.expected) return undefined;
      return observe(state, call.found);
    case 'put':
      return write(state, call.value, call.version);
    case 'delete':
      if (call.existed !== 'unknown' && (call.existed === 'yes') !== (state.value !== absent)) return undefined;
      return remove(state);
    case 'cas': {
      const observed = observe(state, call.expected);
      if (observed === undefined) return undefined;
      return call.value === absent ? remove(observed) : write(observed, call.value, call.version);
    }
    default:
      return unreachable(call);
  }
}

function onlyIf(condition: boolean, state: RegisterState): RegisterState | undefined {
  return condition ? state : undefined;
}

/** Somebody was told that `version` stands there (0: that nothing does). */
function observe(state: RegisterState, version: number): RegisterState | undefined {
  if (state.value === absent) return onlyIf(version === 0, state);
  if (state.version !== unknown) return onlyIf(version === state.version, state);
  return version > state.floor ? { value: state.value, version, floor: version } : undefined;
}

function write(state: RegisterState, value: number, version: number): RegisterState | undefined {
  if (version === unknown) return { value, version, floor: state.floor };
  return version > state.floor ? { value, version, floor: version } : undefined;
}

function remove(state: RegisterState): RegisterState {
  return state.value === absent ? state : { value: absent, version: 0, floor: state.floor };
}

/** True for a call that replaces what stands there without looking. */
export function isBlind(call: RegisterCall): boolean {
  return call.kind === 'put' || (call.kind === 'delete' && call.existed === 'unknown');
}

/** The call can only be placed while the floor is at most this. Infinity: whatever the floor. */
export function floorMax(call: RegisterCall): number {
  switch (call.kind) {
    case 'read':
      return call.value === absent || call.version === unknown ? Infinity : call.version;
    case 'seen':
      return call.version === 0 ? Infinity : call.version;
    case 'refused':
      return call.found === 0 ? Infinity : call.found;
    case 'put':
      return call.version === unknown ? Infinity : call.version - 1;
    case 'delete':
      return Infinity;
    case 'cas':
      if (call.expected !== 0) return call.expected;
      return call.version === unknown ? Infinity : call.version - 1;
    default:
      return unreachable(call);
  }
}
