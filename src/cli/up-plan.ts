/**
 * What `up` is to start: the stored config of a folder that has one, or a new one from the command line. Ports of a new
 * cluster: client ports of gateways base + id, their peer ports base + 100 + id, read ports of loggers base + 200 + id,
 * write ports base + 300 + id.
 */
import { KvError } from '../base/errors.ts';
import { upSettings } from '../base/settings.ts';
import type { ClusterConfig, ConfigFile } from './config.ts';

/** What the command line said; undefined: nothing. */
export interface UpSettings {
  readonly gateways?: number | undefined;
  readonly loggers?: number | undefined;
  readonly shards?: number | undefined;
  readonly basePort?: number | undefined;
  readonly zoneSize?: number | undefined;
  readonly replicas?: number | undefined;
  readonly minReplicas?: number | undefined;
  readonly valueCacheBytes?: number | undefined;
  readonly capacityBytes?: number | undefined;
}

export function newConfig(settings: UpSettings): ConfigFile {
  const base = settings.basePort ?? upSettings.basePort.default;
  const gateways = settings.gateways ?? upSettings.gateways.default;
  return {
    gateways: Array.from({ length: gateways }, (_, id) => `127.0.0.1:${base + 100 + id}, ${base + id}`),
    loggers: Array.from(
      { length: settings.loggers ?? upSettings.loggers.default },
      (_, id) => `127.0.0.1:${base + 200 + id}, ${base + 300 + id}`,
    ),
    coordinator: { kind: 'sqlite', file: 'coordinator.sqlite' },
    dir: '.',
    shards: settings.shards ?? gateways,
    ...(settings.zoneSize === undefined ? {} : { zoneSize: settings.zoneSize }),
    ...changeable(settings),
    ...(settings.capacityBytes === undefined ? {} : { device: { capacityBytes: settings.capacityBytes } }),
  };
}

/** Settings of a running cluster that may change from one start to the next. */
function changeable(settings: UpSettings): Partial<ConfigFile> {
  const { replicas, minReplicas, valueCacheBytes } = settings;
  return {
    ...(replicas === undefined ? {} : { replicas }),
    ...(minReplicas === undefined ? {} : { minReplicas }),
    ...(valueCacheBytes === undefined ? {} : { valueCacheBytes }),
  };
}

/**
 * The stored config with what the command line changes of it; undefined when it changes nothing.
 * @throws KvError `settings-differ` naming what was given and what is stored
 */
export function changedConfig(
  settings: UpSettings,
  stored: ClusterConfig,
  content: ConfigFile,
): ConfigFile | undefined {
  const differences = fixedSettings(settings, stored).filter(({ given, has }) => given !== undefined && given !== has);
  if (differences.length > 0) {
    const list = differences
      .map(({ option, given, has }) => `${option} ${given} was given, ${has} is stored`)
      .join('; ');
    throw new KvError(
      'settings-differ',
      `${stored.file}: ${list}. Leave it out to start the cluster as it is, or use another --dir for a new one`,
    );
  }
  const changes = { ...changeable(settings), ...grown(settings, stored, content) };
  const isChange = Object.entries(changes).some(([name, value]) => Reflect.get(stored, name) !== value);
  return isChange ? { ...content, ...changes } : undefined;
}

/** More loggers, at the ports that follow those of the first one. */
function grown({ loggers }: UpSettings, stored: ClusterConfig, content: ConfigFile): Partial<ConfigFile> {
  const [first] = stored.loggers;
  if (loggers === undefined || loggers <= stored.loggers.length || first === undefined) return {};
  const added = Array.from({ length: loggers - stored.loggers.length }, (_, index) => stored.loggers.length + index);
  const addressOf = (id: number): string =>
    `${following(first.readAddress, id)}, ${following(first.writeAddress, id).split(':').at(-1) ?? ''}`;
  return { loggers: [...content.loggers, ...added.map(addressOf)] };
}

function following(address: string, by: number): string {
  const colon = address.lastIndexOf(':');
  return `${address.slice(0, colon)}:${Number(address.slice(colon + 1)) + by}`;
}

function fixedSettings(
  settings: UpSettings,
  stored: ClusterConfig,
): readonly { option: string; given: number | undefined; has: number }[] {
  const firstPort = Number(stored.gateways[0]?.clientAddress.split(':').at(-1));
  return [
    { option: '--gateways', given: settings.gateways, has: stored.gateways.length },
    { option: '--loggers', given: fewer(settings.loggers, stored.loggers.length), has: stored.loggers.length },
    { option: '--shards', given: settings.shards, has: stored.shards },
    { option: '--zone-size', given: settings.zoneSize, has: stored.zoneSize },
    { option: '--base-port', given: settings.basePort, has: firstPort },
    { option: '--capacity', given: settings.capacityBytes, has: stored.device.capacityBytes },
  ];
}

/** A cluster may grow by loggers; how it gets fewer docs/operating.md says. */
function fewer(loggers: number | undefined, stored: number): number | undefined {
  return loggers !== undefined && loggers > stored ? undefined : loggers;
}
