/**
 * The server's door: every public name of `kv-filelog/server`, to embed nodes, or a whole cluster, in a process.
 *
 *   import { startCluster } from 'kv-filelog/server';
 *   import { connect } from 'kv-filelog';
 *   await using cluster = await startCluster({ gateways: 1, loggers: 1, folder: './data' });
 *   await using kv = await connect(cluster.endpoints);
 */
export { KvError } from '../base/errors.ts';
export type { ErrorCode, Outcome } from '../base/errors.ts';
export type { InstanceId, Millis, Uuid } from '../base/ids.ts';
export { silent } from '../base/log.ts';
export type { Log, LogLevel } from '../base/log.ts';
export type { GatewayStatus } from '../codec/node-status.ts';
export { joinCluster } from '../coordinator/cluster-record.ts';
export type { ClusterRecord, WantedCluster } from '../coordinator/cluster-record.ts';
export { CoordinatorError } from '../coordinator/coordinator.ts';
export type {
  Change,
  Compare,
  Coordinator,
  Entry,
  Revision,
  TransactionResult,
  Watch,
  Write,
} from '../coordinator/coordinator.ts';
export { MemoryCoordinator } from '../coordinator/memory/memory.ts';
export { openSqliteCoordinator } from '../coordinator/sqlite/sqlite.ts';
export type { SqliteCoordinatorOptions } from '../coordinator/sqlite/sqlite.ts';
export type { Clock, Timer } from '../env/clock.ts';
export type { Environment } from '../env/environment.ts';
export type { File, Files, FolderLock } from '../env/files.ts';
export type { Address, Connection, ConnectionHandler, Listener, Network } from '../env/network.ts';
export type { Random } from '../env/random.ts';
export { realEnvironment } from '../env/real/environment.ts';
export { startGateway } from '../gateway/gateway.ts';
export type { GatewayNode, GatewayOptions, GatewayWorld } from '../gateway/options.ts';
export { startLogger } from '../logger/logger.ts';
export type { LoggerDeviceOptions, LoggerNode, LoggerOptions, LoggerWorld } from '../logger/logger.ts';
export { startCluster } from './cluster.ts';
export type { Cluster, ClusterOptions } from './cluster.ts';
