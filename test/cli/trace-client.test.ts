import { strict as assert } from 'node:assert';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TextSink } from '../../src/cli/testbed-client.ts';
import { linesOf, requestsOf, runBatch, runInteractive, statisticsFiles } from '../../src/cli/testbed-client.ts';
import type { TraceLine } from '../../src/cli/trace.ts';
import { realFiles } from '../../src/env/real/files.ts';
import { World } from '../client/world.ts';

class Sink implements TextSink {
  text = '';
  write(chunk: string | Uint8Array): void {
    this.text += typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString();
  }
}

async function* chunks(...parts: readonly (string | Uint8Array)[]): AsyncGenerator<Uint8Array, void, undefined> {
  for (const part of parts) {
    await Promise.resolve();
    yield typeof part === 'string' ? Buffer.from(part) : part;
  }
}

async function collect(lines: AsyncIterable<TraceLine>): Promise<TraceLine[]> {
  const result: TraceLine[] = [];
  for await (const line of lines) result.push(line);
  return result;
}

test('lines are put together from pieces cut anywhere, the last one without its end too', async () => {
  const text = 'one\n\nzwei ä€\r\nlast';
  const bytes = Buffer.from(text);
  for (let cut = 0; cut <= bytes.length; cut++) {
    async function* pieces(): AsyncGenerator<Uint8Array, void, undefined> {
      await Promise.resolve();
      yield bytes.subarray(0, cut);
      yield bytes.subarray(cut);
    }
    assert.deepEqual(await collect(linesOf(pieces())), ['one', '', 'zwei ä€\r', 'last']);
  }
});

test('a line longer than any request is refused, not gathered for ever', async () => {
  async function* endless(): AsyncGenerator<Uint8Array, void, undefined> {
    for (;;) {
      await Promise.resolve();
      yield Buffer.alloc(1024 * 1024, 'x');
    }
  }
  await assert.rejects(collect(linesOf(endless())), { code: 'bad-argument' });
});

test('client 0: commands in any case, GET prints the value alone, what goes wrong is on the error stream, the rest goes on', async () => {
  const world = await World.started();
  const client = await world.client();
  const [out, errors] = [new Sink(), new Sink()];
  const input = linesOf(chunks('put 5 hello world\nGET 5\nget 6\nnonsense\nDEL 5\ndel 5\n', 'Put 7 x\ngEt 7'));
  const failures = await world.run(runInteractive(client, input, out, errors));
  assert.equal(out.text, 'hello world\nx\n');
  assert.deepEqual(errors.text.trimEnd().split('\n'), [
    "there is no key '6'",
    "trace-invalid: line 4: expected 'PUT key value', 'GET key' or 'DEL key', found 'nonsense'",
    "there is no key '5'",
  ]);
  assert.equal(failures, 3);
});

test('lines that are no UTF-8 are refused one by one: as text, two keys would become one', async () => {
  const world = await World.started();
  const client = await world.client();
  const [out, errors] = [new Sink(), new Sink()];
  const bytes = Buffer.from(
    'PUT c\xff first\nGET c\xfe\nPUT d \xc3\nPUT \xef\xbf\xbd real\nGET \xef\xbf\xbd\n',
    'latin1',
  );
  assert.equal(await world.run(runInteractive(client, linesOf(chunks(bytes)), out, errors)), 3);
  assert.equal(out.text, 'real\n', 'a U+FFFD that was sent as such is a key like others');
  assert.match(errors.text, /^(trace-invalid: line [123]: found bytes that are no UTF-8\n){3}$/);
  assert.equal(world.cluster.store.size, 1);
  await assert.rejects(collectRequests(linesOf(chunks(bytes.subarray(0, 9)))), { code: 'trace-invalid' });
});

async function collectRequests(lines: AsyncIterable<TraceLine>): Promise<unknown[]> {
  const result: unknown[] = [];
  for await (const request of requestsOf(lines)) result.push(request);
  return result;
}

test('client 0 says when a write may have been applied', async () => {
  const world = await World.started();
  const client = await world.client({ timeoutMs: 200 });
  world.cluster.script = () => ({ kind: 'hang' });
  const [out, errors] = [new Sink(), new Sink()];
  assert.equal(await world.run(runInteractive(client, linesOf(chunks('PUT 1 a\n')), out, errors)), 1);
  assert.match(errors.text, /^timeout: .*\(it may have been applied\)\n$/);
});

test('client <n> <trace>: prints a summary and appends a line to each statistics file, below one header', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'kv-filelog-statistics-'));
  try {
    const world = await World.started();
    const client = await world.client();
    const environment = { clock: world.clock, files: realFiles() };
    for (const number of [1, 2]) {
      const out = new Sink();
      const requests = requestsOf(linesOf(chunks('PUT 1 a\nPUT 2 b\nGET 1\n', 'GET 2\nGET 9\nDEL 1\n')));
      // Files are real and time is not: the replay runs in the simulated world, the files are written when it is over.
      const batch = runBatch(client, requests, out, environment, { number, trace: 't.txt', folder, inFlight: 1 });
      await world.clock.runUntil(() => out.text !== '');
      await batch;
      assert.match(
        out.text,
        /^put: 2 requests, average latency 2\.000 ms, throughput 500\.0 requests\/s, P99 2\.000 ms\nget: 3 .*\ndel: 1 .*\n6 requests in 0\.01 s; 2 gets verified\n$/,
      );
    }
    for (const [name, count] of [
      [statisticsFiles.put, 2],
      [statisticsFiles.get, 3],
    ] as const) {
      const [header, ...lines] = (await readFile(join(folder, name), 'utf8')).trimEnd().split('\n');
      assert.equal(header, 'time\tclient\ttrace\trequests\taverage-ms\tper-second\tp99-ms');
      assert.deepEqual(
        lines.map((line) => line.split('\t').slice(1)),
        [1, 2].map((number) => [String(number), 't.txt', String(count), '2.000', '500.0', '2.000']),
      );
    }
  } finally {
    await rm(folder, { recursive: true });
  }
});
