/**
 * The command line: every command with its options, help and examples. What a command does stands in a file of its own.
 */
import { Command, CommanderError, type OptionValues } from 'commander';
import { KvError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { clientSettings, clusterSettings, upSettings, verifySettings } from '../base/settings.ts';
import {
  command,
  integerArgument,
  integerOption,
  settingOption,
  withCluster,
  type Example,
} from './command-options.ts';
import { errorText, operatingError } from './errors.ts';
import { exitCodeOf, exitCodes, type ExitCode } from './exit-codes.ts';
import { defaultFolder, endpointsVariable } from './find-cluster.ts';
import { OutputFailure, programName, type CliIo } from './io.ts';
import type { LoggerPlan } from './logger-plans.ts';
import type { Spawn } from './supervisor.ts';
import { notDecoded } from './text-files.ts';

export interface CliProgram {
  readonly io: CliIo;
  readonly version: string;
  /** For `up`. */
  readonly spawn: Spawn;
}

/** What commander's action gets of the options; each command says which. */
type Action<Options> = (options: Options, args: readonly string[]) => Promise<ExitCode>;

const exitCodeHelp = `
Exit codes: 0 done; 1 failed; 2 a mistake in the command line, the config or an argument; 3 no such key, or the condition of a write
does not hold; 4 damaged data, or something else was read than was written.`;

/**
 * Runs one command line (without the program's name). Never throws for an operating error: it is printed. What was
 * written to standard output has been taken when it returns, or the exit code and a line say that it was not.
 */
export async function runCli(program: CliProgram, argv: readonly string[]): Promise<ExitCode> {
  const { io } = program;
  const run = new Run(program);
  try {
    const code = await runCommand(run, argv);
    await io.out.flush();
    return code;
  } catch (error) {
    const isOutput = error instanceof OutputFailure;
    const known = isOutput ? outputError(error, run.outcome) : operatingError(error);
    if (known === undefined) throw error;
    if (!isOutput || !error.isReaderGone) io.err.write(errorText(known));
    return isOutput ? (run.outcome ?? exitCodes.failed) : exitCodeOf(known.code);
  }
}

async function runCommand(run: Run, argv: readonly string[]): Promise<ExitCode> {
  checkText(argv);
  try {
    await run.root().parseAsync([...argv], { from: 'user' });
    return run.exitCode;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  }
}

/** Node has decoded the arguments already: two keys that are no UTF-8 can't be told apart. @throws KvError */
function checkText(argv: readonly string[]): void {
  const place = argv.findIndex((argument) => argument.includes(notDecoded));
  if (place < 0) return;
  throw new KvError(
    'bad-argument',
    `argument ${place + 1}: found bytes that are no UTF-8, or U+FFFD, which stands for them; allowed: UTF-8. ` +
      'A key of any bytes goes by --hex, a value by standard input',
  );
}

/** `outcome`: exit code of what was done all the same, if anything was. */
function outputError(failure: OutputFailure, outcome: ExitCode | undefined): KvError {
  const done = outcome === exitCodes.ok ? '; the command itself was carried out' : '';
  return new KvError('output-failed', `${failure.message}${done}`, { cause: failure });
}

/** One run of the program. Large because the options of each command stand beside what it does with them. */
class Run {
  readonly #program: CliProgram;
  exitCode: ExitCode = exitCodes.ok;
  #hasEffect = false;

  constructor(program: CliProgram) {
    this.#program = program;
  }

  /**
   * Exit code of a command that stands whatever became of its output; undefined where the output is all there was to
   * do. A write that was applied is not undone by a full disk behind standard output.
   */
  get outcome(): ExitCode | undefined {
    return this.#hasEffect || this.exitCode !== exitCodes.ok ? this.exitCode : undefined;
  }

  root(): Command {
    const { io, version } = this.#program;
    const name = programName(io);
    const root = new Command('kv-filelog')
      .description('A replicated, durable key-value store whose append-only, zoned log is the database.')
      .version(version, '-V, --version', 'print the version')
      .helpOption('-h, --help', 'show help')
      .exitOverride()
      .configureOutput({
        writeOut: (text) => io.out.write(text),
        writeErr: (text) => io.err.write(text),
        getOutHelpWidth: () => io.out.columns,
        getErrHelpWidth: () => io.err.columns,
        outputError: (text, write) => write(text.replace(/^error: /, 'kv-filelog: ')),
      })
      .showSuggestionAfterError(true)
      .addHelpText(
        'after',
        `
Examples:
  ${name} up                          three gateways and three loggers on this machine, until Ctrl-C
  ${name} put greeting hello          store a value (in another terminal)
  ${name} get greeting                read it
  ${name} status                      who owns what

Commands find the cluster by --config FILE, --endpoints HOST:PORT,..., $${endpointsVariable}, or else
./kv-filelog-data/cluster.json, which \`up\` leaves in the folder it was started in.
${exitCodeHelp}`,
      );
    this.#addUp(root, name);
    this.#addNodes(root, name);
    this.#addRequests(root, name);
    this.#addClient(root, name);
    this.#addViews(root, name);
    this.#addVerify(root, name);
    this.#addInspect(root, name);
    this.#addBench(root, name);
    return root;
  }

  #addUp(root: Command, name: string): void {
    const { io, spawn } = this.#program;
    const up = command(
      root,
      'up',
      'start a whole cluster on this machine, each node as a process of its own, until Ctrl-C',
      [
        ['up', 'three gateways, three loggers, in ./kv-filelog-data'],
        ['up --gateways 1 --loggers 1 --dir /tmp/small', 'the smallest cluster'],
        ['up --value-cache 0', 'the same cluster again, with a setting that may change'],
      ],
      name,
    )
      .addOption(settingOption('--gateways <n>', 'number of gateways', upSettings.gateways))
      .addOption(settingOption('--loggers <n>', 'number of loggers', upSettings.loggers))
      .addOption(settingOption('--shards <n>', 'shards, one per gateway if not given', clusterSettings.shards))
      .option('--dir <dir>', `data, logs, cluster.json and processes.json (default: ./${defaultFolder})`)
      .addOption(
        settingOption(
          '--base-port <port>',
          'first of the ports: clients +0.., peers +100.., loggers +200.. and +300..',
          upSettings.basePort,
        ),
      )
      .addOption(settingOption('--zone-size <bytes>', 'bytes of a zone', clusterSettings.zoneSize))
      .addOption(
        settingOption('--capacity <bytes>', 'bytes that each logger may use', clusterSettings['device.capacityBytes']),
      )
      .addOption(
        settingOption('--replicas <n>', 'copies of everything, or all loggers if fewer', clusterSettings.replicas),
      )
      .addOption(
        settingOption('--min-replicas <n>', 'refuse writes that would have fewer copies', clusterSettings.minReplicas),
      )
      .addOption(
        settingOption(
          '--value-cache <bytes>',
          'values that each gateway keeps in memory',
          clusterSettings.valueCacheBytes,
        ),
      )
      .option('--no-restart', 'leave dead what dies')
      .option('--json', 'one JSON object a line');
    this.#effect<UpFlags>(up, async (flags) => {
      const { runUp } = await import('./up.ts');
      return await runUp(io, spawn, { ...flags, valueCacheBytes: flags.valueCache, capacityBytes: flags.capacity });
    });
  }

  #addNodes(root: Command, name: string): void {
    const { io } = this.#program;
    for (const kind of ['gateway', 'logger'] as const) {
      const description = kind === 'gateway' ? 'run one gateway of a config file' : 'run one logger of a config file';
      const node = command(
        root,
        `${kind} <id>`,
        description,
        [[`${kind} 0 --config cluster.json`, `the first ${kind} of the list`]],
        name,
      )
        .option('--config <file>', "the cluster's config file")
        .option('--insecure', 'listen at addresses that other machines can reach, without authentication')
        .option('--verbose', 'log more');
      // Not a mandatory option: commander would demand it of the commands below as well.
      this.#effect<{ config?: string; insecure?: boolean; verbose?: boolean }>(node, async (flags, [id]) => {
        const { config } = flags;
        if (config === undefined) return node.error("error: required option '--config <file>' not specified");
        const { runNode } = await import('./node-commands.ts');
        const number = integerArgument(id ?? '', 'id', 0, limits.gatewayCountMax - 1);
        return await runNode(io, kind, number, { ...flags, config });
      });
      if (kind === 'logger') this.#addPlans(node, `${name} logger`);
    }
  }

  /** What an operator plans with a logger. */
  #addPlans(logger: Command, name: string): void {
    const { io } = this.#program;
    const add = (plan: LoggerPlan, description: string, examples: readonly Example[]): Command => {
      const { min, max, default: byDefault } = clientSettings.timeoutMs;
      const target = command(logger, `${plan} <logger>`, description, examples, name)
        .option('--config <file>', "the cluster's config file")
        .addOption(integerOption('--timeout <ms>', 'how long a node may take to answer', min, max).default(byDefault))
        .option('--json', 'for scripts');
      this.#effect<{ config?: string; timeout: number; json?: boolean; force?: boolean }>(target, async (_, [which]) =>
        // --config belongs to the command above as well, which takes it wherever it stands.
        (await import('./logger-plans.ts')).planLogger(io, plan, which ?? '', target.optsWithGlobals()),
      );
      return target;
    };
    add('lost', 'declare that a logger will never return: nothing waits for it, others get what it held', [
      ['lost 2', 'by its number'],
      ['lost 3f9a01bc', 'by its UUID, as `status` shows it'],
    ]).option('--force', 'also when zones that only it holds are lost with it');
    add('drain', 'give a logger no new zone and others what it holds, so that it may be removed', [['drain 2', '']]);
    add('undrain', 'take `drain` back', [['undrain 2', '']]);
  }

  #addRequests(root: Command, name: string): void {
    const { io } = this.#program;
    const get = withCluster(
      command(
        root,
        'get <key>',
        'print the value of a key',
        [
          ['get greeting', ''],
          ['get photo --raw > photo.jpg', 'the exact bytes'],
        ],
        name,
      ),
    )
      .option(...hexOption)
      .option('--stale', 'answer from what the gateway asked knows, without confirmation')
      .option('--raw', 'the exact bytes, without a newline at the end');
    this.#action<RequestFlags & { hex?: boolean; stale?: boolean; raw?: boolean }>(get, async (flags, [key]) =>
      (await import('./kv-commands.ts')).get(io, key ?? '', flags),
    );

    const put = withCluster(
      command(
        root,
        'put <key> [value]',
        'store a value; without one, or with -, standard input',
        [
          ['put greeting hello', ''],
          ['put photo < photo.jpg', ''],
          ['put lock me --if-absent', 'only if there is no such key'],
        ],
        name,
      ),
    )
      .addOption(
        integerOption('--if-version <version>', 'only if the key has this version', 0, Number.MAX_SAFE_INTEGER),
      )
      .option('--if-absent', 'only if there is no such key')
      .option(...hexOption);
    this.#effect<RequestFlags & { hex?: boolean; ifVersion?: number; ifAbsent?: boolean }>(
      put,
      async (flags, [key, value]) => (await import('./kv-commands.ts')).put(io, key ?? '', value, flags),
    );

    const del = withCluster(command(root, 'del <key>', 'delete a key', [['del greeting', '']], name))
      .addOption(
        integerOption('--if-version <version>', 'only if the key has this version', 0, Number.MAX_SAFE_INTEGER),
      )
      .option(...hexOption);
    this.#effect<RequestFlags & { hex?: boolean; ifVersion?: number }>(del, async (flags, [key]) =>
      (await import('./kv-commands.ts')).del(io, key ?? '', flags),
    );
  }

  #addClient(root: Command, name: string): void {
    const { io } = this.#program;
    const client = withCluster(
      command(
        root,
        'client <n> [trace]',
        "the testbed's client: 0 takes PUT, GET and DEL from standard input, others replay a trace",
        [
          ['client 0', 'PUT key value, GET key, DEL key; one a line'],
          ['client 1 trace.txt', 'replay, check every GET, append to statistics-put.txt and statistics-get.txt'],
          ['client 1 trace.txt --in-flight 64 --verify', 'faster, and read every key back at the end'],
        ],
        name,
      ),
    )
      .addOption(integerOption('--in-flight <n>', 'requests under way at a time', 1, 16_384).default(1))
      .option('--verify', 'after the replay read back every key and compare')
      .option('--statistics <dir>', 'folder of the statistics files (default: the current one)');
    this.#effect<RequestFlags & { inFlight: number; verify?: boolean; statistics?: string }>(
      client,
      async (flags, [number, file]) => {
        const { client: run } = await import('./client-command.ts');
        return await run(io, integerArgument(number ?? '', 'n', 0, 1_000_000), file, flags);
      },
    );

    const trace = command(
      root,
      'trace',
      "print a trace of the testbed generator's kind",
      [
        ['trace > trace.txt', '100,000 requests'],
        ['trace --requests 1000 --seed 7', 'the same one each time'],
      ],
      name,
    )
      .addOption(integerOption('--requests <n>', 'lines', 1, 1_000_000_000).default(100_000))
      .addOption(integerOption('--keys-max <n>', 'keys are integers below it', 1, 2 ** 32).default(32_768))
      .addOption(
        integerOption('--value-max <n>', 'values have 1 to so many letters', 1, limits.valueBytesMax).default(4_095),
      )
      .addOption(
        integerOption(
          '--seed <n>',
          'the same seed makes the same trace (default: another one each time)',
          0,
          2 ** 32 - 1,
        ),
      );
    this.#action<{ requests: number; keysMax: number; valueMax: number; seed?: number }>(
      trace,
      async ({ valueMax, ...flags }) => {
        const { trace: run } = await import('./client-command.ts');
        return await run(io, { ...flags, valueLengthMax: valueMax });
      },
    );
  }

  #addViews(root: Command, name: string): void {
    const { io } = this.#program;
    const status = withCluster(
      command(
        root,
        'status',
        'who serves, who owns which shard, how full it is; exit code 1 when something is down',
        [
          ['status', ''],
          ['status --json', 'for scripts'],
        ],
        name,
      ),
    );
    this.#action<RequestFlags>(status, async (flags) => (await import('./status.ts')).status(io, flags));

    const zones = withCluster(
      command(
        root,
        'zones',
        'the zones of every logger (report zones)',
        [
          ['zones', ''],
          ['zones --digest', 'compare what the replicas hold; exit code 4 when it differs'],
        ],
        name,
      ),
    ).option('--digest', "a hash of each zone's committed bytes");
    this.#action<RequestFlags & { digest?: boolean }>(zones, async (flags) =>
      (await import('./zones.ts')).zones(io, flags),
    );
  }

  #addVerify(root: Command, name: string): void {
    const { io } = this.#program;
    const { rate, wait } = verifySettings;
    const target = withCluster(
      command(
        root,
        'verify',
        'read every copy of every zone, check it and compare the replicas; exit code 4 when one is damaged',
        [
          ['verify', ''],
          ['verify --repair', 'have damaged copies made anew from the others'],
          ['verify --rate 8MiB', 'gently'],
        ],
        name,
      ),
    )
      .option('--repair', 'tell the owners of damaged copies, and wait until they are made anew')
      .addOption(settingOption('--rate <bytes>', rate.meaning, rate))
      .addOption(settingOption('--wait <ms>', wait.meaning, wait));
    this.#action<RequestFlags & { repair?: boolean; rate?: number; wait?: number }>(target, async (flags) => {
      const { verify } = await import('./verify.ts');
      return await verify(io, { ...flags, rate: flags.rate ?? rate.default, wait: flags.wait ?? wait.default });
    });
  }

  #addInspect(root: Command, name: string): void {
    const { io } = this.#program;
    const examples: readonly Example[] = [
      ['inspect kv-filelog-data', 'every logger of a stopped cluster; exit code 4 when something is damaged'],
      ['inspect kv-filelog-data/logger-0 --records', 'every record of one logger'],
    ];
    const inspect = command(
      root,
      'inspect <path>',
      'read the device of a logger that does not run, and check every zone; changes nothing',
      examples,
      name,
    )
      .option('--records', 'one line for each record')
      .option('--json', 'one JSON object a line');
    this.#action<{ records?: boolean; json?: boolean }>(inspect, async (flags, [target]) =>
      (await import('./inspect.ts')).inspect(io, target ?? '', flags),
    );
  }

  #addBench(root: Command, name: string): void {
    const { io } = this.#program;
    const bench = withCluster(
      command(
        root,
        'bench',
        'measure puts and gets of a running cluster; writes keys that begin with bench:',
        [
          ['bench', ''],
          ['bench --in-flight 256 --value-bytes 4096', ''],
        ],
        name,
      ),
    )
      .addOption(integerOption('--requests <n>', 'puts, and as many gets', 1, 1_000_000_000).default(20_000))
      .addOption(integerOption('--in-flight <n>', 'requests under way at a time', 1, 16_384).default(64))
      .addOption(integerOption('--value-bytes <n>', 'size of the values', 0, limits.valueBytesMax).default(1_024))
      .addOption(integerOption('--keys <n>', 'different keys', 1, 1_000_000_000).default(10_000));
    this.#action<RequestFlags & { requests: number; inFlight: number; valueBytes: number; keys: number }>(
      bench,
      async (flags) => (await import('./bench-command.ts')).bench(io, flags),
    );
  }

  #action<Options extends OptionValues>(target: Command, action: Action<Options>): void {
    target.action(async () => {
      this.exitCode = await action(target.opts(), target.args);
    });
  }

  /** The same for a command that changes something: its exit code says what became of that. */
  #effect<Options extends OptionValues>(target: Command, action: Action<Options>): void {
    this.#action<Options>(target, async (options, args) => {
      const code = await action(options, args);
      this.#hasEffect = true;
      return code;
    });
  }
}

interface UpFlags {
  readonly gateways?: number;
  readonly loggers?: number;
  readonly shards?: number;
  readonly dir?: string;
  readonly basePort?: number;
  readonly zoneSize?: number;
  readonly capacity?: number;
  readonly replicas?: number;
  readonly minReplicas?: number;
  readonly valueCache?: number;
  readonly restart: boolean;
  readonly json?: boolean;
}

export interface RequestFlags {
  readonly config?: string;
  readonly endpoints?: string;
  readonly timeout: number;
  readonly json?: boolean;
}

const hexOption = ['--hex', 'the key is given in hexadecimal: for keys that are no text'] as const;
