/**
 * The gateway's UUID, in its folder. What a gateway holds can be rebuilt from the logs, so a lost folder is only a new
 * name.
 */
import { z } from 'zod';
import { KvError } from '../base/errors.ts';
import type { Uuid } from '../base/ids.ts';
import { uuid } from '../base/ids.ts';
import type { Files } from '../env/files.ts';
import { FilesError } from '../env/files.ts';
import type { Random } from '../env/random.ts';
import { randomHex } from '../env/random.ts';

const format = 1;
const bytesMax = 4096;

/** Reads the identity in `folder`, or makes one. @throws KvError `wrong-cluster`, `newer-format`, `data-damaged` */
export async function gatewayIdentity(files: Files, folder: string, cluster: Uuid, random: Random): Promise<Uuid> {
  const path = `${folder}/identity.json`;
  const text = await readText(files, path);
  if (text !== undefined) return parse(text, path, cluster);
  const node = uuid(randomHex(random, 16));
  const file = await files.open(`${path}.new`, { create: true });
  file.truncate(0);
  file.write(0, Buffer.from(`${JSON.stringify({ format, cluster, uuid: node })}\n`));
  await file.sync();
  await file.close();
  await files.rename(`${path}.new`, path);
  return node;
}

async function readText(files: Files, path: string): Promise<string | undefined> {
  try {
    const file = await files.open(path, { readOnly: true });
    const bytes = await file.read(0, bytesMax);
    await file.close();
    return Buffer.from(bytes).toString('utf8');
  } catch (error) {
    if (error instanceof FilesError && error.code === 'not-found') return undefined;
    throw error;
  }
}

const shape = z.object({ format: z.int().min(1), cluster: z.string(), uuid: z.string().regex(/^[0-9a-f]{32}$/) });

function parse(text: string, path: string, cluster: Uuid): Uuid {
  const way = "remove the gateway's folder to begin with a new identity";
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new KvError('data-damaged', `${path} is not JSON; ${way}`, { cause: error });
  }
  const parsed = shape.safeParse(json);
  if (!parsed.success)
    throw new KvError(
      'data-damaged',
      `${path} is malformed at ${parsed.error.issues[0]?.path.join('.') ?? ''}; ${way}`,
    );
  if (parsed.data.format > format) {
    throw new KvError(
      'newer-format',
      `${path} has format ${parsed.data.format}; this version knows formats up to ${format}`,
    );
  }
  if (parsed.data.cluster !== cluster)
    throw new KvError('wrong-cluster', `${path} belongs to cluster ${parsed.data.cluster}, not ${cluster}`);
  return uuid(parsed.data.uuid);
}
