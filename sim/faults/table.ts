/**
 * Table of all faults: a new one costs a file and a row here (and leaves `notYetSurvivable` of budget.ts). The order is
 * part of what a seed means: weights are drawn in it, and healing goes in it.
 */
import type { FaultPlan, FaultRow } from './actor.ts';
import { clockJump } from './clock-jump.ts';
import { coordinator, coordinatorCut, coordinatorLate } from './coordinator.ts';
import { drain } from './drain.ts';
import { fullDisk, scarceSpace } from './full-disk.ts';
import { failingDisk } from './failing-disk.ts';
import { foreign } from './foreign.ts';
import { gray } from './gray.ts';
import { gone } from './gone.ts';
import { isolate, refuse } from './isolate.ts';
import { killAt } from './kill-at.ts';
import { blackout, kill } from './kill.ts';
import { lateAppends } from './late-appends.ts';
import { metadataBack } from './metadata-back.ts';
import { leave } from './leave.ts';
import { block, cut, partition, slow } from './paths.ts';
import { neverReturns } from './never-returns.ts';
import { pause } from './pause.ts';
import { putBack } from './put-back.ts';
import { replace } from './replace.ts';
import { rotMetadata } from './rot-metadata.ts';
import { rotZones } from './rot-zones.ts';
import { strayRequests } from './stray-requests.ts';
import { swap } from './swap.ts';
import { wiped } from './wiped.ts';
import { failSync, hangSyncs, slowSyncs } from './syncs.ts';

export const faultTable = {
  kill,
  blackout,
  'kill-at': killAt,
  pause,
  cut,
  block,
  partition,
  isolate,
  refuse,
  'slow-syncs': slowSyncs,
  'hang-syncs': hangSyncs,
  'fail-sync': failSync,
  'full-disk': fullDisk,
  'scarce-space': scarceSpace,
  'late-appends': lateAppends,
  coordinator,
  'coordinator-cut': coordinatorCut,
  'coordinator-late': coordinatorLate,
  replace,
  'clock-jump': clockJump,
  'put-back': putBack,
  'metadata-back': metadataBack,
  'rot-metadata': rotMetadata,
  gone,
  swap,
  'stray-requests': strayRequests,
  foreign,
  'failing-disk': failingDisk,
  gray,
  leave,
  slow,
  'rot-zones': rotZones,
  wiped,
  'never-returns': neverReturns,
  drain,
} as const satisfies Readonly<Record<string, FaultRow<FaultPlan>>>;

export type FaultKind = keyof typeof faultTable;
