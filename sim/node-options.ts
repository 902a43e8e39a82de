/** Settings that a life's plan gives to its nodes. */
import type { ClusterRecord } from '../src/coordinator/cluster-record.ts';
import type { GatewayLimits } from '../src/gateway/limits.ts';
import type { GatewayOptions } from '../src/gateway/options.ts';
import type { LoggerOptions } from '../src/logger/logger.ts';
import { gatewayLimitsOf, loggerLimitsOf } from './knobs.ts';
import type { SimulatedNode } from './node.ts';
import type { ClusterPlan } from './plan.ts';

export const ports = { client: 7_001, peer: 7_002, read: 7_003, write: 7_004 } as const;

/** Number and host of a node. */
type Place = Pick<SimulatedNode, 'id' | 'host'>;

/**
 * Size of a disk: more than lives write (10.5 MiB at most in 200 of them); a larger one has more zones and a larger
 * map, which every start reads.
 */
const deviceBytes = 48 * 1024 * 1024;
/** Factor by which a small one has grown when all is healed: the operator has given the loggers more space. */
const growth = 4;

export function gatewayOptions(plan: ClusterPlan, cluster: ClusterRecord, { id, host }: Place): GatewayOptions {
  return {
    id,
    gatewayCount: plan.gateways,
    folder: '/data',
    cluster,
    clientAddress: `${host}:${ports.client}`,
    peerAddress: `${host}:${ports.peer}`,
    replicas: plan.replicas,
    minReplicas: plan.minReplicas,
    valueCacheBytes: plan.valueCacheBytes,
    snapshotEveryBytes: plan.snapshotEveryBytes,
    loggerTimeoutMs: plan.loggerTimeoutMs,
    loggerSlowMs: plan.loggerSlowMs,
    firstHandWaitMs: plan.firstHandWaitMs,
    repairDelayMs: plan.repairDelayMs,
    repairBytesPerSecond: plan.repairBytesPerSecond,
    scrubBytesPerSecond: plan.scrubBytesPerSecond,
    scrubEveryMs: plan.scrubEveryMs,
    suspicionLeastMs: plan.suspicionLeastMs,
    suspicionMostMs: plan.suspicionMostMs,
    shardSettings: {
      sealWaitMs: plan.sealWaitMs,
      coldSealWaitMs: plan.coldSealWaitMs,
      regrowDelayMs: plan.regrowDelayMs,
      batchesInFlightMax: plan.batchesInFlightMax,
      batchBytesTarget: plan.batchBytesTarget,
    },
    limits: withPieces(gatewayLimitsOf(plan.knobs ?? {}), plan.appendPieceBytes),
  };
}

export function loggerOptions(
  plan: ClusterPlan,
  { cluster, zoneSize }: ClusterRecord,
  { id, host }: Place,
  hasGrown = false,
): LoggerOptions {
  const small = plan.knobs?.deviceBytes;
  return {
    id,
    folder: '/data',
    cluster,
    zoneSize,
    readAddress: `${host}:${ports.read}`,
    writeAddress: `${host}:${ports.write}`,
    ...(plan.knobs?.cacheBytes === undefined ? {} : { cacheBytes: plan.knobs.cacheBytes }),
    limits: loggerLimitsOf(plan.knobs ?? {}),
    device: {
      capacityBytes: small === undefined ? deviceBytes : hasGrown ? growth * small : small,
      alignment: plan.alignment,
      extentBytes: plan.extentBytes,
      prefillBytes: plan.prefillBytes,
    },
  };
}

function withPieces(limits: GatewayLimits, bytes: number): GatewayLimits {
  return { ...limits, outbox: { ...limits.outbox, appendWholeBytesMax: bytes, appendPieceBytes: bytes } };
}
