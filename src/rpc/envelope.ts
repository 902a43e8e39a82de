/**
 * The forms of MessagePack-RPC messages, around what they carry:
 *
 *   request  [0, id:u32, method:str, params:array]     response  [1, id:u32, error, result]
 *   notice   [2, method:str, params:array]
 */
import { MessageFormatError, MessageReader } from '../codec/message-reader.ts';
import { idCount } from './waiting-answers.ts';

export const messageType = { request: 0, response: 1, notice: 2 } as const;

/** @throws MessageFormatError */
export function readId(message: MessageReader): number {
  const id = message.integer();
  if (id < 0 || id >= idCount) throw new MessageFormatError('a request id is a u32', message.offset);
  return id;
}

/** Leaves the reader before the params. @throws MessageFormatError when they are no array */
export function requireParams(message: MessageReader): void {
  const at = message.position;
  message.array();
  message.position = at;
}

/** Id of the request that `head`, the beginning of a message, belongs to; undefined: it is no request, or too short. */
export function requestIdOf(head: Buffer): number | undefined {
  try {
    const message = new MessageReader(head);
    message.array();
    return message.integer() === messageType.request ? readId(message) : undefined;
  } catch (error) {
    if (error instanceof MessageFormatError) return undefined;
    throw error;
  }
}
