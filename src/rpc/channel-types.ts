/**
 * MessagePack-RPC between two processes, both ways on one connection, without a promise per request. The specification
 * is https://github.com/msgpack-rpc/msgpack-rpc/blob/master/spec.md: request [0, id, method, params], response [1, id,
 * error, result], notification [2, method, params].
 */
import type { MessageReader } from '../codec/message-reader.ts';
import type { MessageWriter } from '../codec/message-writer.ts';
import type { NetworkErrorCode } from '../env/network.ts';

/** Beginning of the reason when what arrived is no MessagePack-RPC: something else listens there. */
export const malformedInput = 'malformed input';

/** An error the other side answered with, or the reason why there will be no answer. */
export type RpcFailure =
  /** The other side refused: `error` reads its error object, whatever its form. */
  | { readonly kind: 'error'; readonly error: MessageReader }
  /** No answer: closed, cut or past the deadline. `sent`: the request may have been carried out. */
  | { readonly kind: 'lost'; readonly sent: boolean; readonly message: string };

export interface RpcHandler {
  /**
   * A request arrived: answer it by exactly one `beginAnswer`/`endAnswer`, `answerError` or `answerErrorText`, now or
   * later. `params` is positioned before the params array. What it reads shares the connection's memory: copy what is
   * kept for long, and with `reusesInput` what is kept at all. Throwing a MessageFormatError answers "malformed"; any
   * other exception is a bug and ends the process.
   */
  onRequest(channel: RpcChannel, id: number, method: string, params: MessageReader): void;
  onNotice(channel: RpcChannel, method: string, params: MessageReader): void;
  onOpen(channel: RpcChannel): void;
  /**
   * Called once. Requests in flight have been told `lost` before. `code`: what the network said of it, when it was not
   * closed by this side.
   */
  onClose(channel: RpcChannel, reason: string, code: NetworkErrorCode | undefined): void;
  /** Output fell below the mark after it had passed it. */
  onDrain(channel: RpcChannel): void;
}

export interface RpcChannel {
  readonly remote: string;
  readonly isOpen: boolean;
  /** Requests of ours that wait for an answer. */
  readonly requestsInFlight: number;
  /** Answers to requests of ours that have come. */
  readonly answersReceived: number;
  /** Requests of the other side that we have not answered. */
  readonly answersOwed: number;
  /** Output not yet taken by the network. */
  readonly waitingBytes: number;
  /**
   * Sends a request. `write` must write exactly one array, the params. All that is written in one turn of the event
   * loop goes out as one write at its end. `onAnswer` is called exactly once, never before this returns: with a
   * failure, or with a reader at the result. Only if it throws a MessageFormatError (the result is malformed), the
   * channel closes and it is called again, with `lost`.
   */
  request(
    method: string,
    write: (out: MessageWriter) => void,
    onAnswer: (failure: RpcFailure | undefined, result: MessageReader | undefined) => void,
  ): void;
  notify(method: string, write: (out: MessageWriter) => void): void;
  /**
   * Begins the successful answer to request `id`: the caller writes exactly one object and calls `endAnswer`. Ignored
   * when closed.
   */
  beginAnswer(id: number): MessageWriter;
  endAnswer(): void;
  /** `write` writes exactly one object, the error. */
  answerError(id: number, write: (out: MessageWriter) => void): void;
  /** The error as a string, as rpclib's servers answer. */
  answerErrorText(id: number, message: string): void;
  /** Sends what was written now instead of at the end of the turn. */
  flush(): void;
  /** Sends what was written, then closes. Idempotent. */
  close(reason: string): void;
}

export interface RpcOptions {
  /**
   * The other side has requests to answer and sends nothing at all for this long: the channel is closed, requests are
   * `lost`.
   */
  readonly progressTimeoutMs: number;
  /**
   * Patience of a server: a connection that has sent no complete message this long after it opened, or whose unfinished
   * message grew by less than 64 KiB in this time, is closed, and so is one that takes nothing of what it is sent.
   * Infinity: none is closed for it.
   */
  readonly idleFrameTimeoutMs: number;
  readonly frameBytesMax: number;
  readonly frameItemsMax: number;
  readonly requestsInFlightMax: number;
  readonly outputBytesPause: number;
  readonly outputBytesMax: number;
  /**
   * Messages are read into the same memory again and again: what a reader gave out is gone when the handler returns.
   */
  readonly reusesInput: boolean;
}
