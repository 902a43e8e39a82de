/** Commands and options as the whole command line has them: examples in the help, numbers with their bounds. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import { KvError } from '../base/errors.ts';
import { clientSettings, type IntegerSetting } from '../base/settings.ts';
import { formatBytes, parseBytes } from './table.ts';

export type Example = readonly [commandLine: string, what: string];

export function command(
  root: Command,
  usage: string,
  description: string,
  examples: readonly Example[],
  name: string,
): Command {
  const width = Math.max(...examples.map(([line]) => line.length));
  const lines = examples.map(([line, what]) => `  ${name} ${what === '' ? line : `${line.padEnd(width)}  ${what}`}`);
  return root
    .command(usage)
    .description(description)
    .addHelpText('after', `\nExamples:\n${lines.join('\n')}`);
}

export function withCluster(target: Command): Command {
  const { min, max, default: byDefault } = clientSettings.timeoutMs;
  return target
    .option('--config <file>', "the cluster's config file")
    .option('--endpoints <host:port,...>', 'client ports of gateways')
    .addOption(integerOption('--timeout <ms>', 'how long a request may take', min, max).default(byDefault))
    .option('--json', 'for scripts');
}

export function integerOption(flags: string, description: string, min: number, max: number): Option {
  return new Option(flags, description).argParser((text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    throw new InvalidArgumentError(`Allowed: an integer from ${min} to ${max}.`);
  });
}

/** An option for a setting, with its default in the description. Sizes may be written 64MiB. */
export function settingOption(flags: string, description: string, setting: IntegerSetting): Option {
  const isBytes = setting.unit === 'bytes';
  const fallback = isBytes ? shortBytes(setting.default) : setting.default;
  const text =
    description +
    (fallback === undefined ? '' : ` (default: ${fallback})`) +
    (setting.fixed === true ? '; fixed for ever' : '');
  return new Option(flags, text).argParser((given) => {
    const value = isBytes ? parseBytes(given) : /^\d+$/.test(given) ? Number(given) : undefined;
    if (value !== undefined && value >= setting.min && value <= setting.max) return value;
    const form = isBytes ? ', also as 64KiB, 16MiB, 2GiB' : '';
    throw new InvalidArgumentError(`Allowed: an integer from ${setting.min} to ${setting.max}${form}.`);
  });
}

/** 64MiB, as it may be given. */
function shortBytes(bytes: number | undefined): string | undefined {
  return bytes === undefined ? undefined : formatBytes(bytes).replace(/\.0(?= )| /g, '');
}

export function integerArgument(text: string, what: string, min: number, max: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw new KvError('bad-argument', `${what}: found '${text}'; allowed: an integer from ${min} to ${max}`);
}
