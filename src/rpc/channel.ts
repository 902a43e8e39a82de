/**
 * MessagePack-RPC over one connection (see channel-types.ts for the contract).
 *
 *   connection -> scanner (where does the message end?) -> reader -> handler or waiting callback
 *   request, answer -> writer -> one connection.write at the end of the turn
 *
 * What bounds it: the scanner's limits (input), `requestsInFlightMax` (both directions), `outputBytesPause` (reading
 * stops until the other side has taken its answers) and `outputBytesMax` (closed), and one timer (channel-watch.ts)
 * that closes a connection which makes no progress. Nothing that the other side sends may throw out of here; what a
 * handler throws, but MessageFormatError, is a bug and does.
 *
 * It owns one connection and its two directions. It does not own where a message ends (message-scanner.ts), the forms
 * of messages (envelope.ts) and of what they carry (codec), which callback waits for which id (waiting-answers.ts),
 * when the other side is too slow (channel-watch.ts), nor reconnecting (link.ts). Large because the two directions
 * can't be told apart: answers owed and output that waits pause the input, malformed input is answered, an answer that
 * is too long becomes another one, and closing ends both and tells everyone once.
 */
import { assert } from '../base/assert.ts';
import { asBuffer } from '../base/bytes.ts';
import { MessageFormatError, MessageReader } from '../codec/message-reader.ts';
import { MessageScanner } from '../codec/message-scanner.ts';
import { MessageWriter } from '../codec/message-writer.ts';
import type { Clock } from '../env/clock.ts';
import type { Connection, NetworkError, NetworkErrorCode } from '../env/network.ts';
import { malformedInput, type RpcChannel, type RpcFailure, type RpcHandler, type RpcOptions } from './channel-types.ts';
import { ChannelWatch } from './channel-watch.ts';
import { messageType, readId, requestIdOf, requireParams } from './envelope.ts';
import { MethodNames } from './method-names.ts';
import { WaitingAnswers } from './waiting-answers.ts';

type OnAnswer = (failure: RpcFailure | undefined, result: MessageReader | undefined) => void;

/** Output is handed to the connection before the end of the turn when this much has been written. */
const flushBytes = 1024 * 1024;
/** Stands for no request. */
const noId = -1;

/** Takes over `connection` (REQUIRES: in the turn it was handed out) and begins to talk. */
export function openChannel(
  connection: Connection,
  clock: Clock,
  options: RpcOptions,
  handler: RpcHandler,
): RpcChannel {
  return new ConnectionChannel(connection, clock, options, handler);
}

class ConnectionChannel implements RpcChannel {
  readonly #connection: Connection;
  readonly #clock: Clock;
  readonly #options: RpcOptions;
  readonly #handler: RpcHandler;
  readonly #scanner: MessageScanner;
  /** Input that the scanner has not seen: more than one piece only while reading pauses, what was read ahead. */
  readonly #pieces: Buffer[] = [];
  readonly #writer = new MessageWriter();
  readonly #names = new MethodNames();
  readonly #watch: ChannelWatch;

  #isOpen = true;
  #connected = false;
  /** Reason of the closing, once it began. */
  #closeReason: string | undefined;
  #closeCode: NetworkErrorCode | undefined;
  /** `onClose` of the handler was called. */
  #closeTold = false;

  /** Our requests, oldest first. */
  readonly #waiting = new WaitingAnswers<OnAnswer>();
  /** Number of our newest requests that are not handed to the connection yet. */
  #unsent = 0;
  #answersReceived = 0;
  /** Requests of the other side that are not answered. */
  #answersOwed = 0;
  /** Bytes handed to the connection so far. */
  #bytesWritten = 0;

  #flushAsked = false;
  #pumpAsked = false;
  #pumping = false;
  /** Too much output waits: a reason to pause. */
  #outputFull = false;
  /** Reading is paused, since too much output waits or too many answers are owed. */
  #paused = false;
  /** A message is half written. */
  #composing = false;
  /** Id of the answer between `beginAnswer` and `endAnswer`. */
  #answering = noId;
  /** Id of the request that the handler is being called with, until it is answered. */
  #handling = noId;

  constructor(connection: Connection, clock: Clock, options: RpcOptions, handler: RpcHandler) {
    this.#connection = connection;
    this.#clock = clock;
    this.#options = options;
    this.#handler = handler;
    this.#scanner = new MessageScanner(options);
    this.#watch = new ChannelWatch(clock, options, {
      requestsWaiting: () => this.#waiting.count > 0,
      inputPaused: () => this.#paused,
      unfinishedBytes: () => this.#scanner.unfinishedBytes,
      outputWaiting: () => connection.waitingBytes > 0,
      outputTaken: () => this.#bytesWritten - connection.waitingBytes,
      onStalled: (reason) => this.#abort(reason),
    });
    connection.handle({
      onOpen: () => this.#onOpen(),
      onData: (bytes) => this.#onData(bytes),
      onDrain: () => this.#onDrain(),
      onClose: (error) => this.#onClose(error),
    });
  }

  get remote(): string {
    return this.#connection.remote;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  get requestsInFlight(): number {
    return this.#waiting.count;
  }

  get answersReceived(): number {
    return this.#answersReceived;
  }

  get answersOwed(): number {
    return this.#answersOwed;
  }

  get waitingBytes(): number {
    return this.#writer.length + this.#connection.waitingBytes;
  }

  request(method: string, write: (out: MessageWriter) => void, onAnswer: OnAnswer): void {
    if (!this.#isOpen) return this.#refuse(onAnswer, this.#closeReason ?? 'the connection is closed');
    if (this.#waiting.count >= this.#options.requestsInFlightMax)
      return this.#refuse(onAnswer, 'too many requests in flight');
    const id = this.#waiting.takeId();
    const out = this.#beginMessage();
    out.array(4);
    out.integer(messageType.request);
    out.integer(id);
    out.text(method);
    this.#write(write);
    if (!this.#endMessage())
      return this.#refuse(
        onAnswer,
        `the request is longer than a message may be (${this.#options.frameBytesMax} bytes)`,
      );
    this.#waiting.add(id, onAnswer);
    this.#unsent++;
    if (this.#waiting.count === 1) this.#watch.requestsBegan();
    this.#flushSoon();
  }

  notify(method: string, write: (out: MessageWriter) => void): void {
    if (!this.#isOpen) return;
    const out = this.#beginMessage();
    out.array(3);
    out.integer(messageType.notice);
    out.text(method);
    this.#write(write);
    if (this.#endMessage()) this.#flushSoon();
  }

  beginAnswer(id: number): MessageWriter {
    const out = this.#beginMessage();
    this.#answering = id;
    out.array(4);
    out.integer(messageType.response);
    out.integer(id);
    out.nil();
    return out;
  }

  endAnswer(): void {
    assert(this.#answering !== noId, 'an answer was begun');
    const id = this.#answering;
    this.#answering = noId;
    if (!this.#isOpen) return this.#dropMessage();
    if (this.#endMessage()) return this.#answered(id);
    this.answerErrorText(id, `the answer is longer than a message may be (${this.#options.frameBytesMax} bytes)`);
  }

  answerError(id: number, write: (out: MessageWriter) => void): void {
    if (!this.#isOpen) return;
    const out = this.#beginMessage();
    out.array(4);
    out.integer(messageType.response);
    out.integer(id);
    this.#write(write);
    out.nil();
    if (this.#endMessage()) return this.#answered(id);
    this.answerErrorText(id, 'the error is longer than a message may be');
  }

  answerErrorText(id: number, message: string): void {
    this.answerError(id, (out) => out.text(message));
  }

  flush(): void {
    assert(!this.#composing, 'no message is half written');
    if (!this.#isOpen || this.#writer.length === 0) return;
    this.#unsent = 0;
    this.#bytesWritten += this.#writer.length;
    const room = this.#connection.write(this.#writer.take());
    if (this.#connection.hasCopied) this.#writer.reuse();
    if (room) return;
    const waiting = this.#connection.waitingBytes;
    this.#watch.outputBlocked();
    if (waiting > this.#options.outputBytesMax) {
      this.#abort(`the other side does not take what it is sent: ${waiting} bytes wait`);
    } else if (waiting > this.#options.outputBytesPause) {
      this.#outputFull = true;
      this.#pause();
    }
  }

  close(reason: string): void {
    if (!this.#isOpen) return;
    this.flush();
    if (!this.#isOpen) return;
    this.#connection.end();
    // A peer that takes nothing, or never closes its side, must not keep the connection for ever.
    this.#watch.closing(() => this.#connection.destroy());
    this.#shut(reason);
  }

  // --- output --------------------------------------------------------------------------------------------------------

  #beginMessage(): MessageWriter {
    assert(!this.#composing, 'messages are written one after another');
    this.#composing = true;
    this.#writer.mark(1);
    return this.#writer;
  }

  /** False, and nothing written, when the message is longer than allowed. */
  #endMessage(): boolean {
    assert(this.#writer.objectsOwed === 0, 'exactly one object was written');
    this.#composing = false;
    if (this.#writer.lengthSinceMark <= this.#options.frameBytesMax) return true;
    this.#writer.rewind();
    return false;
  }

  #dropMessage(): void {
    this.#composing = false;
    this.#writer.rewind();
  }

  /**
   * The caller's part of a message. What was written of it is dropped if it throws: the caller may have been reading a
   * malformed one.
   */
  #write(write: (out: MessageWriter) => void): void {
    try {
      write(this.#writer);
    } catch (error) {
      this.#dropMessage();
      throw error;
    }
  }

  #flushSoon(): void {
    if (this.#writer.length >= flushBytes) return this.flush();
    if (this.#flushAsked) return;
    this.#flushAsked = true;
    this.#clock.endOfTurn(() => {
      this.#flushAsked = false;
      this.flush();
    });
  }

  #answered(id: number): void {
    assert(this.#answersOwed > 0, 'a request is answered once');
    this.#answersOwed--;
    if (id === this.#handling) this.#handling = noId;
    this.#flushSoon();
    if (this.#paused) this.#resume();
  }

  /** Tells `onAnswer` in a later turn that its request was not sent. */
  #refuse(onAnswer: OnAnswer, message: string): void {
    this.#clock.endOfTurn(() => onAnswer({ kind: 'lost', sent: false, message }, undefined));
  }

  // --- input ---------------------------------------------------------------------------------------------------------

  #onOpen(): void {
    this.#connected = true;
    if (this.#isOpen) this.#handler.onOpen(this);
  }

  #onData(bytes: Uint8Array): void {
    if (!this.#isOpen) return;
    this.#watch.received();
    this.#pieces.push(asBuffer(bytes));
    this.#pump();
  }

  /** Handles the messages that are there, until there is no whole one or reading pauses. */
  #pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    try {
      while (this.#isOpen && !this.#paused && this.#nextMessage()) {
        const { bytes, start, end } = this.#scanner;
        this.#watch.messageReceived();
        this.#dispatch(new MessageReader(bytes, start, end));
      }
      if (!this.#paused) this.#inputHandled();
    } catch (error) {
      if (!(error instanceof MessageFormatError)) throw error;
      this.#refuseStream(`${malformedInput}: ${error.message}`);
    } finally {
      this.#pumping = false;
    }
  }

  #inputHandled(): void {
    const unfinished = this.#scanner.unfinishedBytes;
    this.#watch.unfinished(unfinished);
    if (unfinished === 0 && this.#options.reusesInput) this.#connection.releaseInput();
  }

  /**
   * Closes, since nobody knows where the next message would begin. If a request was arriving, it is answered before.
   */
  #refuseStream(reason: string): void {
    const id = requestIdOf(this.#scanner.head());
    if (id === undefined || !this.#isOpen) return this.#abort(reason);
    this.#answersOwed++;
    this.answerErrorText(id, reason);
    this.close(reason);
  }

  #nextMessage(): boolean {
    while (!this.#scanner.next()) {
      const piece = this.#pieces.shift();
      if (piece === undefined) return false;
      this.#scanner.push(piece);
    }
    return true;
  }

  #dispatch(message: MessageReader): void {
    const count = message.array();
    const type = message.integer();
    if (type === messageType.request && count === 4) return this.#dispatchRequest(message);
    if (type === messageType.response && count === 4) return this.#dispatchResponse(message);
    if (type === messageType.notice && count === 3) return this.#dispatchNotice(message);
    // A request with a wrong number of members has an id all the same: whoever sent it waits for an answer.
    if (type === messageType.request && count > 1) {
      const id = readId(message);
      this.#answersOwed++;
      return this.answerErrorText(id, `malformed request: ${count} members instead of 4`);
    }
    throw new MessageFormatError(`a message of type ${type} with ${count} members`, message.offset);
  }

  #dispatchRequest(message: MessageReader): void {
    const id = readId(message);
    this.#answersOwed++;
    if (this.#answersOwed >= this.#options.requestsInFlightMax) this.#pause();
    this.#handling = id;
    try {
      message.range();
      const method = this.#names.textOf(message.bytes, message.rangeStart, message.rangeLength);
      requireParams(message);
      this.#handler.onRequest(this, id, method, message);
    } catch (error) {
      if (!(error instanceof MessageFormatError)) throw error;
      this.#refuseMalformed(id, error);
    }
    this.#handling = noId;
  }

  #refuseMalformed(id: number, error: MessageFormatError): void {
    if (this.#answering === id) {
      this.#answering = noId;
      this.#dropMessage();
    }
    // One that was answered before the handler found the rest malformed must not be answered again.
    if (this.#handling === id) this.answerErrorText(id, `malformed request: ${error.message}`);
  }

  #dispatchResponse(message: MessageReader): void {
    const id = readId(message);
    const onAnswer = this.#waiting.remove(id);
    this.#answersReceived++;
    if (onAnswer === undefined) return this.#abort(`an answer to request ${id}, which was not asked`);
    try {
      if (message.tryNil()) onAnswer(undefined, message);
      else onAnswer({ kind: 'error', error: message }, undefined);
    } catch (error) {
      if (!(error instanceof MessageFormatError)) throw error;
      const reason = `malformed answer: ${error.message}`;
      this.#abort(reason);
      onAnswer({ kind: 'lost', sent: true, message: reason }, undefined);
    }
  }

  #dispatchNotice(message: MessageReader): void {
    message.range();
    const method = this.#names.textOf(message.bytes, message.rangeStart, message.rangeLength);
    requireParams(message);
    this.#handler.onNotice(this, method, message);
  }

  #pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#connection.pause();
  }

  /** Reads on if no reason to pause is left. */
  #resume(): void {
    if (this.#outputFull || this.#answersOwed >= this.#options.requestsInFlightMax || this.#pumpAsked || !this.#isOpen)
      return;
    this.#pumpAsked = true;
    // In a turn of its own: handlers answer from within their own work and must not be called from there.
    this.#clock.endOfTurn(() => {
      this.#pumpAsked = false;
      if (!this.#isOpen || !this.#paused || this.#outputFull || this.#answersOwed >= this.#options.requestsInFlightMax)
        return;
      this.#paused = false;
      this.#watch.received();
      this.#pump();
      if (this.#isOpen && !this.#paused) this.#connection.resume();
    });
  }

  #onDrain(): void {
    this.#watch.outputDrained();
    if (!this.#outputFull || !this.#isOpen) return;
    this.#outputFull = false;
    this.#resume();
    this.#handler.onDrain(this);
  }

  // --- closing -------------------------------------------------------------------------------------------------------

  /** Closes at once; what waits to be sent is lost. */
  #abort(reason: string): void {
    this.#connection.destroy();
    this.#shut(reason);
  }

  /** No more input or output. Those who wait are told in a turn of their own. */
  #shut(reason: string): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#closeReason = reason;
    this.#watch.stop();
    if (this.#paused) this.#connection.resume();
    this.#clock.endOfTurn(() => this.#tellClosed());
  }

  #onClose(error: NetworkError | undefined): void {
    this.#watch.closed();
    if (this.#isOpen) {
      this.#isOpen = false;
      this.#closeReason = error?.message ?? 'the other side closed the connection';
      this.#closeCode = error?.code;
      this.#watch.stop();
    }
    this.#tellClosed();
  }

  #tellClosed(): void {
    if (this.#closeTold) return;
    this.#closeTold = true;
    const reason = this.#closeReason ?? 'closed';
    let sentCount = this.#connected ? this.#waiting.count - this.#unsent : 0;
    for (const onAnswer of this.#waiting.removeAll())
      onAnswer({ kind: 'lost', sent: sentCount-- > 0, message: reason }, undefined);
    this.#handler.onClose(this, reason, this.#closeCode);
  }
}
