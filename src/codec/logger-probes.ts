/**
 * The request `Probe` (codec/logger-protocol.ts has its form): whether a logger can take a new zone now. It is answered
 * behind a write and a sync of the device, so that one whose disk hangs or has failed does not pass for fit. Readers
 * throw MessageFormatError, and nothing else.
 */
import type { Uuid } from '../base/ids.ts';
import { readBytesCount } from './logger-protocol.ts';
import { arrayOf, skipRest } from './message-parts.ts';
import type { MessageReader } from './message-reader.ts';
import type { MessageWriter } from './message-writer.ts';

/** `bytes`: room that a zone should find. */
export function writeProbe(out: MessageWriter, logger: Uuid, bytes: number): void {
  out.array(2);
  out.text(logger);
  out.integer(bytes);
}

export interface ProbeRequest {
  readonly logger: string;
  readonly bytes: number;
}

export function readProbe(params: MessageReader): ProbeRequest {
  const rest = arrayOf(params, 2, 'Probe');
  const request = { logger: params.text(), bytes: readBytesCount(params, 'bytes') };
  skipRest(params, rest);
  return request;
}
