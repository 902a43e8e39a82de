/** Values in the coordinator are JSON texts, so that an operator can read them. */
import { KvError } from '../base/errors.ts';
import type { z } from 'zod';
import type { Entry } from './coordinator.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true });

export function encodeJson(value: unknown): Uint8Array {
  return encoder.encode(JSON.stringify(value));
}

/** @throws KvError `data-damaged` naming the key and what is wrong with its value. */
export function decodeJson<T>(entry: Entry, schema: z.ZodType<T>): T {
  let json: unknown;
  try {
    json = JSON.parse(decoder.decode(entry.value));
  } catch (error) {
    throw new KvError('data-damaged', `the coordinator's '${entry.key}' is no JSON text`, { cause: error });
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const place = issue === undefined || issue.path.length === 0 ? '' : ` at ${issue.path.join('.')}`;
  throw new KvError(
    'data-damaged',
    `the coordinator's '${entry.key}' is malformed${place}: ${issue?.message ?? 'unknown reason'}`,
  );
}
