/**
 * Times that the protocol keeps and nobody sets: deadlines, pauses before another try, periods. All are milliseconds.
 * They stand in one table since they make sense only beside each other: the relations are asserted below, those to the
 * settings too. A time that no other part depends on stays in its file.
 */
import { assert } from './assert.ts';
import { clientSettings, clusterSettings, nodeSettings } from './settings.ts';

export const times = {
  // ---- A shard in its gateway. Its pauses are looked at by the tick: none is exact to less than that.
  /** Period in which a shard looks at deadlines and pauses, and while nothing happens in any shard of its gateway. */
  shardTickMs: 50,
  restTickMs: 100,
  /** Pause of a taker that lost a race or could not read the coordinator. */
  claimRetryMs: 50,
  /** Pause of a taker before it seals again whom it has no answer of. */
  sealRetryMs: 250,
  /** Pause of an owner before it tries again to change its zone. */
  zoneChangeRetryMs: 50,
  /** Time without a write after which an owner leaves a zone that is nearly full. */
  zoneQuietMs: 200,
  /** Pause of a follower before it reads again what it missed. */
  healRetryMs: 200,
  /** Time for which a logger that refused or was slow gets no new zone; twice as long when it was full, ... */
  loggerAvoidedMs: 5_000,
  /** ... less when it was merely away, ... */
  lostLoggerAvoidedMs: 500,
  /** ... and four times as long each time that it fails again, up to this, ... */
  loggerAvoidedMsMax: 600_000,
  /** ... unless it did well for so long, or for as long as it was avoided. */
  loggerForgivenMs: 60_000,
  /** Time for which the coordinator is taken to answer after it did, and the pause before it is asked again. */
  coordinatorTrustedMs: 250,
  coordinatorAskAgainMs: 1_000,
  /** Time for which writers wait for it when their zone must be changed. */
  coordinatorPatienceMs: 2_000,
  /** Time for which an owner refuses puts when no logger has space. */
  diskFullRetryMs: 1_000,

  /** Pause between two looks for zones that lack copies, and before a copy is tried again that failed. */
  repairLookMs: 1_000,
  repairAgainMs: 10_000,
  /** Time for which a new owner leaves its copies unread before it begins to scrub; less where rounds are shorter. */
  scrubDelayMs: 60_000,

  /** Replicas that usually need long may owe an answer for so many times `loggerTimeoutMs`. */
  replicaPatienceFactor: 5,

  // ---- Ownership of shards (core/ownership).
  /** Period in which two gateways hear of each other: one of them asks, and is asked when it does not. */
  heartbeatEveryMs: 100,
  /** Wait of each next candidate for a shard, in which the one before it can be done. */
  takeOverStepMs: 100,
  /** Pause between two attempts of one candidate. */
  claimAgainMs: 250,
  /** Time in which a gateway that was started again can claim what it owned before. */
  gatewayReturnMs: 3_000,
  /** Time for which a gateway that this process has not met yet is taken for one that is starting. */
  gatewayUnmetMs: 3_000,
  /** Time for which an owner may be unable to commit, ... */
  ownerStuckMs: 2_000,
  /** ... and may take for a take-over, before others try. */
  ownerTakingMs: 10_000,
  /** Time for which a shard is left to who serves it before its home asks for it: no ping-pong after a restart. */
  homeAfterMs: 10_000,
  /** Time in which a gateway that is about to stop gets rid of its shards, and the pause between two looks. */
  leaveMs: 2_000,
  leaveLookMs: 10,
  /** Changes of owner that are younger make the next one wait where the owner's end is not proven. */
  ownersRememberedMs: 60_000,

  // ---- A gateway.
  /** Time for which a connection's reads wait for room without progress, and the pause between two looks for it. */
  readWaitMs: 10_000,
  readBudgetTickMs: 5,
  /** Bounds of the time after which another replica is asked for a record, too ... */
  hedgeMinMs: 20,
  hedgeMaxMs: 1_000,
  /** ... and the pause between two looks at the clock for it. */
  hedgeTickMs: 5,
  /** Period in which what happens to many reads is one line of the log. */
  readTroubleEveryMs: 60_000,
  /** Period in which an owner without writes tells the others how far its log is committed. */
  announceEveryMs: 1_000,
  /** Time that catch-up waits for more to send with it. */
  catchupDelayMs: 25,
  /** Time that a gateway holds a request whose shard has no owner in reach, and the pause between two looks for one. */
  requestHeldMs: 3_000,
  heldRetryMs: 10,
  /** Time after which a gateway loads the shards of others although its own are not served yet. */
  standbysWaitMs: 2_000,

  /** Time after which an owner of new shards tells loggers which zones of them have ended. */
  reconcileDelayMs: 500,

  // ---- Connections.
  /** Time for connecting and greeting between nodes, ... */
  connectTimeoutMs: 5_000,
  /** A logger that starts asks whether another process has its identity, and waits so long for the answer. */
  twinAnswerMs: 1_000,
  /** ... and of a client with a gateway, of which there may be another. */
  welcomeTimeoutMs: 2_500,
  /** Time for which a logger that answers nothing but pings is waited for: a disk may take long to sync. */
  loggerPatienceMs: 30_000,
  /** Pause before the first and before a late attempt to connect again. */
  reconnectMinMs: 20,
  reconnectMaxMs: 1_000,
  /** Time that a server waits for a whole message, or for 64 KiB more of one, or until output is taken. */
  idleFrameTimeoutMs: 30_000,
  /** Period in which refused connections are logged. */
  refusalLineMs: 60_000,
  /** A connection that is turned away is closed when its first request was answered, and after this in any case. */
  refusedCloseMs: 1_000,

  // ---- A client.
  /** Period in which a client looks at deadlines and pauses. */
  clientTickMs: 20,
  /** Pause before the first and before a late repetition of a request. */
  clientRetryMinMs: 10,
  clientRetryMaxMs: 500,
  /** Time after which a request is sent to its shard's new owner too, while the old one still works on it. */
  movedGraceMs: 60,
  /** Pause between two attempts to get a client id. */
  clientIdRetryMs: 100,
  /** Silence of a gateway that owes answers after which a client leaves it. */
  gatewayProgressMs: 4_000,
  /** ... unless it answers pings, for so long: it may wait for loggers, or for the coordinator. */
  gatewayPatienceMs: 30_000,
  /** Time that `close` waits for requests under way, and then for the gateways to close their side. */
  closeGraceMs: 5_000,
  closeChannelMs: 1_000,

  // ---- A command.
  /** Pause between two looks for copies that `verify --repair` waits for. */
  verifyLookMs: 250,

  // ---- A node as a process.
  /** Time for which reads are answered on a device that failed before the supervisor starts the logger again (S17). */
  failedServeMs: 5_000,
} as const;

const { shardTickMs, claimRetryMs, sealRetryMs, zoneChangeRetryMs, healRetryMs } = times;
const loggerTimeoutMs = clusterSettings.loggerTimeoutMs;
const requestTimeoutMs = nodeSettings['shard.requestTimeoutMs'].default;
const clientTimeoutMs = clientSettings.timeoutMs.default;

for (const pauseMs of [claimRetryMs, sealRetryMs, zoneChangeRetryMs, healRetryMs, loggerTimeoutMs.min])
  assert(shardTickMs <= pauseMs, 'the tick is not coarser than what it looks for');
assert(times.restTickMs < times.zoneQuietMs, 'a tick finds that nobody writes');
assert(
  shardTickMs < times.restTickMs && times.restTickMs <= times.heartbeatEveryMs,
  'heartbeats ride on the tick, also at rest',
);
assert(
  zoneChangeRetryMs < times.diskFullRetryMs && times.diskFullRetryMs < times.loggerAvoidedMs,
  'a change is tried often before puts are taken again, and puts before a full logger gets a zone again',
);
assert(
  times.lostLoggerAvoidedMs < times.loggerAvoidedMs && 2 * times.loggerAvoidedMs < times.loggerAvoidedMsMax,
  'the time for which a logger is avoided grows',
);
assert(shardTickMs < times.coordinatorTrustedMs, 'an answer of the coordinator is trusted until the next tick');
assert(
  sealRetryMs < nodeSettings['shard.coldSealWaitMs'].default,
  'a taker asks several times before it goes on without an answer',
);
assert(
  nodeSettings['shard.sealWaitMs'].default < loggerTimeoutMs.default,
  'a taker does not wait for late answers longer than for slow loggers',
);
assert(
  nodeSettings['shard.coldSealWaitMs'].default + loggerTimeoutMs.default < requestTimeoutMs,
  'requests that wait for a cold take-over, and for one slow logger, are answered',
);
assert(
  times.replicaPatienceFactor * loggerTimeoutMs.default < times.loggerPatienceMs,
  'a replica is left for its slowness before it is disconnected for it',
);
assert(
  times.scrubDelayMs < clusterSettings.scrubEveryMs.default,
  'an owner that was started again scrubs sooner than one that has just done it',
);
assert(times.catchupDelayMs < times.announceEveryMs, 'a write tells the others before the next announcement');
assert(times.heldRetryMs < times.requestHeldMs, 'a held request is tried often');
assert(times.requestHeldMs < times.gatewayProgressMs, 'a gateway that holds a request is not left for its silence');
assert(times.gatewayProgressMs < clientTimeoutMs, 'a request has time for a second gateway');
assert(times.gatewayProgressMs < times.idleFrameTimeoutMs, 'who waits for answers notices silence before who waits');
assert(clientTimeoutMs <= requestTimeoutMs, 'a client gives up a request before its shard does');
assert(times.reconnectMinMs < times.reconnectMaxMs, 'pauses between attempts to connect grow');
assert(times.reconnectMaxMs < times.welcomeTimeoutMs, 'an attempt to connect takes longer than the pause before it');
assert(times.welcomeTimeoutMs < times.connectTimeoutMs, 'a client leaves a dead gateway before another node does');
assert(times.welcomeTimeoutMs < clientTimeoutMs, 'a client tries several gateways in the time of a request');
assert(times.clientRetryMinMs < times.clientRetryMaxMs, 'pauses between repetitions grow');
assert(times.clientRetryMaxMs < clientTimeoutMs, 'a request is repeated often');
assert(times.clientTickMs < times.movedGraceMs, 'the tick is not coarser than what it looks for');
assert(times.closeChannelMs < times.closeGraceMs, 'closing channels is the short part of closing');
