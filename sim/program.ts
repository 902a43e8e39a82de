/** Arguments, seeds one after another or in two processes, and what people are told. */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { drawPlan } from './draw-plan.ts';
import { EvidenceError, evidencePath, originOf, writeEvidence } from './evidence.ts';
import type { LifeResult, Verdict } from './life.ts';
import { runLife } from './life.ts';
import type { Plan } from './plan.ts';
import { describeReduction, shrink } from './shrink.ts';
import type { Shrunk } from './shrink.ts';
import { changedFiles, headCommit } from './source.ts';
import { Summary } from './summary.ts';
import type { SeedResult } from './summary.ts';

export interface ProgramIo {
  out(text: string): void;
  error(text: string): void;
}

export const exitCodes = { ok: 0, use: 2, crash: 3, stuck: 4, wrong: 5, unjudged: 6 } as const;

const usage = `usage: npm run sim -- --seed N | --plan FILE [--trace] [--history FILE] [--save FILE] [--shrink]
       npm run sim -- --seeds COUNT [--from N] [--jobs N] [--keep-going] [--evidence NAME]`;

interface Arguments {
  readonly seed: number | undefined;
  readonly seeds: number;
  readonly from: number;
  readonly jobs: number;
  readonly trace: boolean;
  readonly shrink: boolean;
  readonly keepGoing: boolean;
  readonly history: string | undefined;
  /** A plan that was saved, instead of one drawn from a seed. */
  readonly plan: string | undefined;
  /** File that the plan goes to, the shrunk one if it was. */
  readonly save: string | undefined;
  /** Name of the evidence that the summary goes to. */
  readonly evidence: string | undefined;
}

function parse(args: readonly string[]): Arguments | undefined {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        seed: { type: 'string' },
        seeds: { type: 'string' },
        from: { type: 'string' },
        jobs: { type: 'string' },
        history: { type: 'string' },
        plan: { type: 'string' },
        save: { type: 'string' },
        evidence: { type: 'string' },
        trace: { type: 'boolean', default: false },
        shrink: { type: 'boolean', default: false },
        'keep-going': { type: 'boolean', default: false },
      },
    });
    const natural = (text: string | undefined, fallback: number): number => {
      const value = text === undefined ? fallback : Number(text);
      if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`'${text}' is not a natural number`);
      return value;
    };
    if ([values.seed, values.seeds, values.plan].filter((value) => value !== undefined).length !== 1) return undefined;
    if (values.evidence !== undefined && values.seeds === undefined) return undefined;
    return {
      seed: values.seed === undefined ? undefined : natural(values.seed, 0),
      seeds: natural(values.seeds, 1),
      from: natural(values.from, 1),
      jobs: Math.max(1, natural(values.jobs, 1)),
      trace: values.trace,
      shrink: values.shrink,
      keepGoing: values['keep-going'],
      history: values.history,
      plan: values.plan,
      save: values.save,
      evidence: values.evidence,
    };
  } catch {
    return undefined;
  }
}

export async function runProgram(args: readonly string[], io: ProgramIo): Promise<number> {
  const parsed = parse(args);
  if (parsed === undefined) {
    io.error(usage);
    return exitCodes.use;
  }
  if (parsed.plan !== undefined) return runOne(JSON.parse(readFileSync(parsed.plan, 'utf8')) as Plan, parsed, io);
  if (parsed.seed !== undefined) return runOne(drawPlan(parsed.seed), parsed, io);
  const run = parsed.jobs > 1 ? runInProcesses : runSeeds;
  if (parsed.evidence === undefined) return (await run(parsed, io)).exitCode;
  return runForEvidence(parsed.evidence, args, io, () => run(parsed, io));
}

/** Many lives: their summary, and the exit code. */
interface Run {
  readonly summary: string;
  readonly exitCode: number;
}

async function runForEvidence(
  name: string,
  args: readonly string[],
  io: ProgramIo,
  run: () => Promise<Run>,
): Promise<number> {
  try {
    const file = evidencePath(name, 'txt');
    const origin = originOf('sim', args);
    const { summary, exitCode } = await run();
    writeEvidence(file, origin, summary);
    return exitCode;
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error;
    io.error(error.message);
    return exitCodes.use;
  }
}

async function runOne(plan: Plan, args: Arguments, io: ProgramIo): Promise<number> {
  if (args.trace) io.out(describePlan(plan));
  const result = await runLife(plan, args.trace ? (line) => io.out(line) : undefined);
  if (args.history !== undefined) writeFileSync(args.history, result.history);
  const { verdict, hash, events, turns, simulatedMs } = result;
  let saved = plan;
  if (verdict.kind === 'ok') {
    io.out(
      `seed ${plan.seed}: ok, hash ${hash}, ${events} events, ${turns} turns, ${(simulatedMs / 1000).toFixed(1)} simulated s`,
    );
  } else {
    io.error(describeFailure(result, args.plan === undefined ? undefined : `--plan ${args.plan}`));
    if (args.shrink) {
      const shrunk = await shrink(plan, result, { run: runLife, say: (text) => io.error(text) });
      io.error(describeShrunk(plan, shrunk));
      saved = shrunk.plan;
    }
  }
  if (args.save !== undefined) writeFileSync(args.save, `${JSON.stringify(saved, undefined, 2)}\n`);
  return exitCodes[verdict.kind];
}

async function runSeeds(args: Arguments, io: ProgramIo): Promise<Run> {
  const summary = new Summary(args.from, args.seeds);
  for (let seed = args.from; seed < args.from + args.seeds; seed += 1) {
    const result = await runLife(drawPlan(seed));
    summary.add(seedResult(result));
    process.send?.(seedResult(result));
    if (result.verdict.kind === 'ok') continue;
    io.error(describeFailure(result));
    if (result.verdict.kind !== 'unjudged' && !args.keepGoing) break;
  }
  if (process.send === undefined) io.out(summary.text());
  return { summary: summary.text(), exitCode: worst(summary.verdicts) };
}

/** Blocks of seeds in processes of their own, which report each life; one that dies of something else is a crash. */
async function runInProcesses(args: Arguments, io: ProgramIo): Promise<Run> {
  const summary = new Summary(args.from, args.seeds);
  const share = Math.ceil(args.seeds / args.jobs);
  const codes = await Promise.all(
    Array.from({ length: args.jobs }, (_, job) => {
      const from = args.from + job * share;
      const count = Math.max(0, Math.min(share, args.from + args.seeds - from));
      if (count === 0) return Promise.resolve<number>(exitCodes.ok);
      const child = fork(
        fileURLToPath(new URL(import.meta.url.endsWith('.ts') ? './main.ts' : './main.js', import.meta.url)),
        ['--seeds', String(count), '--from', String(from), ...(args.keepGoing ? ['--keep-going'] : [])],
      );
      child.on('message', (message) => summary.add(message as SeedResult));
      return ended(child);
    }),
  );
  const text = summary.text();
  io.out(text);
  const isKnown = codes.every((code) => code === 0 || Object.values<number>(exitCodes).includes(code));
  return { summary: text, exitCode: isKnown ? worst(summary.verdicts) : exitCodes.crash };
}

function ended(child: ChildProcess): Promise<number> {
  return new Promise((resolve) => child.on('exit', (code) => resolve(code ?? 1)));
}

function seedResult({ seed, verdict, hash, events, turns, simulatedMs, coverage, faults }: LifeResult): SeedResult {
  return {
    seed,
    kind: verdict.kind,
    reason: verdict.kind === 'ok' ? '' : verdict.reason,
    hash,
    events,
    turns,
    simulatedMs,
    coverage,
    faults,
  };
}

function worst(kinds: readonly Verdict['kind'][]): number {
  for (const kind of ['wrong', 'crash', 'stuck', 'unjudged'] as const) if (kinds.includes(kind)) return exitCodes[kind];
  return exitCodes.ok;
}

/** `again`: the arguments that run it once more. */
export function describeFailure(result: LifeResult, again = `--seed ${result.seed}`): string {
  const { verdict, seed, last, hash } = result;
  if (verdict.kind === 'ok') return '';
  return [
    `seed ${seed}: ${verdict.kind.toUpperCase()}: ${verdict.reason}`,
    ...(verdict.stack === undefined ? [] : [verdict.stack]),
    'the last events:',
    ...last.slice(-30).map((line) => `  ${line}`),
    `at commit ${commit()}, hash ${hash}; again: npm run sim -- ${again} --trace`,
  ].join('\n');
}

function describePlan(plan: Plan): string {
  return [
    `seed ${plan.seed}: ${plan.theme}`,
    `cluster  ${JSON.stringify(plan.cluster)}`,
    `world    ${JSON.stringify(plan.world)}`,
    `workload ${JSON.stringify(plan.workload)}`,
    ...plan.faults.map((fault) => `fault    ${JSON.stringify(fault)}`),
  ].join('\n');
}

function describeShrunk(before: Plan, { plan, result, lives }: Shrunk): string {
  return [
    `shrunk in ${lives} lives (--save FILE keeps the plan, --plan FILE runs it):`,
    describeReduction(before, plan),
    describePlan(plan),
    describeFailure(result, '--plan FILE'),
  ].join('\n');
}

/** A seed is evidence only at its commit. */
function commit(): string {
  const isChanged = (changedFiles('src', 'sim') ?? []).length > 0;
  return isChanged ? `${headCommit()} with changes` : headCommit();
}
