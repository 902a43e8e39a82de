/**
 * Which cluster a command means: --config, --endpoints, $KV_FILELOG_ENDPOINTS, or what `up` started with its defaults.
 */
import * as path from 'node:path';
import { KvError } from '../base/errors.ts';
import type { Address } from '../env/network.ts';
import { parseConfig, type ClusterConfig } from './config.ts';
import type { CliIo } from './io.ts';
import { readText } from './text-files.ts';

export const defaultFolder = 'kv-filelog-data';
export const configName = 'cluster.json';
export const endpointsVariable = 'KV_FILELOG_ENDPOINTS';

export interface ClusterOptions {
  readonly config?: string | undefined;
  readonly endpoints?: string | undefined;
}

export interface FoundCluster {
  /** Client ports. */
  readonly endpoints: readonly Address[];
  /** Undefined when only endpoints are known. */
  readonly config: ClusterConfig | undefined;
}

/** @throws KvError `config-not-found`, `config-invalid`, `address-invalid` */
export async function findCluster(io: CliIo, options: ClusterOptions): Promise<FoundCluster> {
  if (options.config !== undefined && options.endpoints !== undefined)
    throw new KvError('bad-argument', '--config and --endpoints: allowed: one of them');
  if (options.config !== undefined) return fromConfig(await readConfig(io, options.config));
  const listed = options.endpoints ?? io.variables[endpointsVariable];
  if (listed !== undefined && listed !== '')
    return {
      endpoints: parseEndpoints(listed, options.endpoints === undefined ? `$${endpointsVariable}` : '--endpoints'),
      config: undefined,
    };
  const file = path.join(defaultFolder, configName);
  const text = await readText(io.environment.files, path.resolve(io.folder, file));
  if (text !== undefined) return fromConfig(parseConfig(text, path.resolve(io.folder, file)));
  throw new KvError(
    'config-not-found',
    `no cluster found: there is no ${file} in ${io.folder}; start one here with \`up\`, or say --config FILE, --endpoints HOST:PORT,... or $${endpointsVariable}`,
  );
}

/** @throws KvError `config-not-found`, `config-invalid` */
export async function readConfig(io: CliIo, file: string): Promise<ClusterConfig> {
  const full = path.resolve(io.folder, file);
  const text = await readText(io.environment.files, full);
  if (text === undefined) throw new KvError('config-not-found', `${file}: there is no such file`);
  return parseConfig(text, full);
}

function fromConfig(config: ClusterConfig): FoundCluster {
  return { endpoints: config.gateways.map((gateway) => gateway.clientAddress), config };
}

/** @throws KvError `address-invalid` */
export function parseEndpoints(text: string, where: string): readonly Address[] {
  const parts = text.split(',').map((part) => part.trim());
  for (const part of parts) {
    const port = Number(/^(?:\[[0-9a-fA-F:.]+\]|[^\s:,[\]]+):(\d{1,5})$/.exec(part)?.[1]);
    if (!(port >= 1 && port <= 65_535))
      throw new KvError(
        'address-invalid',
        `${where}: found '${part}'; allowed: HOST:PORT,HOST:PORT,... (client ports)`,
      );
  }
  return parts;
}
