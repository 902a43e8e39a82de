/**
 * PUT 4/5, next: core/shard/serving/owner.ts. The loggers' side of the protocol (codec/logger-protocol.ts): reads
 * requests, checks whom they are meant for and their limits, has core/logger/logger-machine.ts decide, and writes the
 * answers.
 *
 * It owns the form of requests and answers, and whom they are for (S16). It does not own what is refused behind that
 * (the machine's), nor connections (rpc/listen.ts).
 * Walk: GET 4/5.
 */
import { unreachable } from '../base/assert.ts';
import type { InstanceId, Uuid } from '../base/ids.ts';
import { isAddressable, lba } from '../base/ids.ts';
import { limits } from '../base/limits.ts';
import type { AppendAnswer, AppendItem, LoggerRefusal, LoggerStatus, ZonePosition } from '../codec/logger-protocol.ts';
import {
  readAppend,
  readAppendPiece,
  readConfirm,
  writeAppendAnswer,
  writeConfirmAnswer,
} from '../codec/logger-appends.ts';
import {
  loggerMethods,
  loggerProtocolVersion,
  loggerRefusals,
  refusal,
  writeRefusal,
} from '../codec/logger-protocol.ts';
import {
  readCopy,
  readFill,
  readFinish,
  readReset,
  readSeal,
  readTestify,
  writeCopyState,
  writeSealResult,
  writeTestimony,
} from '../codec/logger-seals.ts';
import { readProbe } from '../codec/logger-probes.ts';
import { readRead, writeReadAnswer } from '../codec/logger-reads.ts';
import { readReport, writeReportAnswer, writeStatus, writeWelcome } from '../codec/logger-reports.ts';
import { readMemberHello, strangeness } from '../codec/member-hello.ts';
import { arrayOf } from '../codec/message-parts.ts';
import type { MessageReader } from '../codec/message-reader.ts';
import type { MachineAnswer } from '../core/logger/machine-events.ts';
import type { RpcChannel } from '../rpc/channel-types.ts';
import type { RpcGuests } from '../rpc/listen.ts';
import type { LogStore, OnMachineAnswer } from './log-store.ts';
import type { ZoneReader } from './zone-reader.ts';

export interface RequestParts {
  readonly cluster: Uuid;
  readonly logger: Uuid;
  readonly instance: InstanceId;
  /** Bytes; the cluster's. */
  readonly zoneSize: number;
  readonly store: LogStore;
  readonly reader: ZoneReader;
  readonly status: () => LoggerStatus;
}

type Port = 'read' | 'write';
const reportDigestsMax = 1_024;

/** Requests that arrive at one of the two ports. `channels`: all that are open, of both, which are limited together. */
export class PortRequests implements RpcGuests {
  readonly #port: Port;
  readonly #requests: Requests;
  readonly #channels: Set<RpcChannel>;

  constructor(port: Port, parts: RequestParts, channels: Set<RpcChannel>) {
    this.#port = port;
    this.#requests = new Requests(parts);
    this.#channels = channels;
  }

  get connections(): number {
    return this.#channels.size;
  }

  admit(channel: RpcChannel): void {
    this.#channels.add(channel);
  }

  onRequest(channel: RpcChannel, id: number, method: string, params: MessageReader): void {
    if (!this.#requests.handle(this.#port, channel, id, method, params))
      channel.answerErrorText(id, `unknown method '${method}' on the ${this.#port} port of a logger`);
  }

  onNotice(): void {
    // Loggers are asked, not told.
  }

  onOpen(): void {
    // Counted by `admit`.
  }

  onClose(channel: RpcChannel): void {
    this.#channels.delete(channel);
  }

  onDrain(): void {
    // The channel stops reading by itself while its output waits.
  }
}

class Requests {
  readonly #parts: RequestParts;

  constructor(parts: RequestParts) {
    this.#parts = parts;
  }

  /** False when there is no such method on the port. */
  handle(port: Port, channel: RpcChannel, id: number, method: string, params: MessageReader): boolean {
    if (method === loggerMethods.ping) this.#ping(channel, id);
    else if (method === loggerMethods.hello) this.#hello(channel, id, params);
    else return port === 'write' ? this.#write(channel, id, method, params) : this.#read(channel, id, method, params);
    return true;
  }

  #write(channel: RpcChannel, id: number, method: string, params: MessageReader): boolean {
    switch (method) {
      case loggerMethods.append:
        this.#append(channel, id, params);
        return true;
      case loggerMethods.appendPiece:
        this.#appendPiece(channel, id, params);
        return true;
      case loggerMethods.confirm:
        this.#confirm(channel, id, params);
        return true;
      case loggerMethods.testify:
        this.#testify(channel, id, params);
        return true;
      case loggerMethods.seal:
        this.#seal(channel, id, params);
        return true;
      case loggerMethods.fill:
        this.#fill(channel, id, params);
        return true;
      case loggerMethods.copy:
        this.#copy(channel, id, params);
        return true;
      case loggerMethods.finish:
        this.#finish(channel, id, params);
        return true;
      case loggerMethods.reset:
        this.#reset(channel, id, params);
        return true;
      case loggerMethods.probe:
        this.#probe(channel, id, params);
        return true;
      default:
        return false;
    }
  }

  #read(channel: RpcChannel, id: number, method: string, params: MessageReader): boolean {
    if (method === loggerMethods.read) this.#readRanges(channel, id, params);
    else if (method === loggerMethods.reportZones) this.#report(channel, id, params);
    else return false;
    return true;
  }

  #append(channel: RpcChannel, id: number, params: MessageReader): void {
    const { logger, items } = readAppend(params);
    if (!this.#accepts(channel, id, logger, items.length, limits.appendItemsMax)) return;
    const answers: AppendAnswer[] = [];
    let left = items.length;
    const send = (): void => {
      writeAppendAnswer(channel.beginAnswer(id), answers);
      channel.endAnswer();
    };
    if (left === 0) return send();
    for (const [index, item] of items.entries()) {
      const ticket: OnMachineAnswer = (answer) => {
        answers[index] = appendAnswer(answer);
        left -= 1;
        if (left === 0) send();
      };
      this.#appendItem(item, ticket);
    }
  }

  #appendPiece(channel: RpcChannel, id: number, params: MessageReader): void {
    const { logger, item } = readAppendPiece(params);
    if (this.#accepts(channel, id, logger)) this.#appendItem(item, answerTo(channel, id));
  }

  #appendItem(item: AppendItem, ticket: OnMachineAnswer): void {
    if (isAddressable(item.zone, this.#parts.zoneSize)) this.#parts.store.request({ kind: 'append', ticket, item });
    else ticket(refusal('malformed', `zone ${item.zone} has no addresses`));
  }

  #confirm(channel: RpcChannel, id: number, params: MessageReader): void {
    const { logger, number, items } = readConfirm(params);
    if (!this.#accepts(channel, id, logger, items.length, limits.confirmItemsMax)) return;
    const refusals = items.map((item) => this.#parts.store.confirm(item));
    writeConfirmAnswer(channel.beginAnswer(id), { number, refusals });
    channel.endAnswer();
  }

  #testify(channel: RpcChannel, id: number, params: MessageReader): void {
    const { logger, shard } = readTestify(params);
    if (!this.#accepts(channel, id, logger)) return;
    writeTestimony(channel.beginAnswer(id), this.#parts.store.knowledgeOf(shard));
    channel.endAnswer();
  }

  #seal(channel: RpcChannel, id: number, params: MessageReader): void {
    const { logger, ...at } = readSeal(params);
    if (this.#accepts(channel, id, logger))
      this.#parts.store.request({ kind: 'seal', ticket: answerTo(channel, id), at });
  }

  #fill(channel: RpcChannel, id: number, params: MessageReader): void {
    const { logger, item } = readFill(params);
    if (this.#accepts(channel, id, logger))
      this.#parts.store.request({ kind: 'fill', ticket: answerTo(channel, id), item });
  }

  #copy(channel: RpcChannel, id: number, params: MessageReader): void {
    const { logger, item } = readCopy(params);
    if (!this.#accepts(channel, id, logger)) return;
    if (isAddressable(item.zone, this.#parts.zoneSize))
      this.#parts.store.request({ kind: 'copy', ticket: answerTo(channel, id), item });
    else refuse(channel, id, refusal('malformed', `zone ${item.zone} has no addresses`));
  }

  #finish(channel: RpcChannel, id: number, params: MessageReader): void {
    const { logger, shard, zone, length } = readFinish(params);
    if (this.#accepts(channel, id, logger))
      this.#parts.store.request({ kind: 'finish', ticket: answerTo(channel, id), shard, zone, length });
  }

  #reset(channel: RpcChannel, id: number, params: MessageReader): void {
    const { logger, shard, zone, copyId } = readReset(params);
    if (this.#accepts(channel, id, logger))
      this.#parts.store.request({ kind: 'reset', ticket: answerTo(channel, id), shard, zone, copyId });
  }

  #probe(channel: RpcChannel, id: number, params: MessageReader): void {
    const { logger, bytes } = readProbe(params);
    if (this.#accepts(channel, id, logger)) this.#parts.store.probe(bytes, answerTo(channel, id));
  }

  #readRanges(channel: RpcChannel, id: number, params: MessageReader): void {
    const { logger, items } = readRead(params);
    if (!this.#accepts(channel, id, logger, items.length, limits.readItemsMax)) return;
    let bytes = 0;
    for (const item of items) bytes += item.length;
    if (bytes > limits.readBytesMax)
      return refuse(
        channel,
        id,
        refusal('too-large', `a read of ${bytes} bytes; at most ${limits.readBytesMax}`, limits.readBytesMax),
      );
    this.#parts.reader.read(items, (answers) => {
      writeReadAnswer(channel.beginAnswer(id), answers);
      channel.endAnswer();
    });
  }

  #report(channel: RpcChannel, id: number, params: MessageReader): void {
    const { logger, shard, digests, after } = readReport(params);
    if (!this.#accepts(channel, id, logger, digests.length, reportDigestsMax)) return;
    const page = this.#parts.store
      .report(shard)
      .filter((zone) => after === undefined || isBehind(zone, after))
      .slice(0, limits.reportZonesMax);
    const names = new Set(page.map(nameOf));
    const wanted = digests.filter((item) => names.has(nameOf(item)));
    this.#parts.reader.digest(wanted, (results) => {
      const byZone = new Map(wanted.map((item, index) => [nameOf(item), results[index]]));
      const zones = page.map((zone) => ({ ...zone, digest: byZone.get(nameOf(zone)) }));
      writeReportAnswer(channel.beginAnswer(id), zones);
      channel.endAnswer();
    });
  }

  #ping(channel: RpcChannel, id: number): void {
    writeStatus(channel.beginAnswer(id), this.#parts.status());
    channel.endAnswer();
  }

  #hello(channel: RpcChannel, id: number, params: MessageReader): void {
    const { cluster, logger, instance } = this.#parts;
    arrayOf(params, 1, 'hello');
    const gateway = readMemberHello(params);
    const wrong = gateway === undefined ? undefined : strangeness(gateway, cluster);
    if (wrong !== undefined) {
      refuse(channel, id, refusal('wrong-cluster', wrong));
      return channel.close(wrong);
    }
    writeWelcome(channel.beginAnswer(id), { cluster, logger, instance, protocol: loggerProtocolVersion });
    channel.endAnswer();
  }

  /** Whether the request is meant for this logger (S16) and within its limit; else it has been refused. */
  #accepts(channel: RpcChannel, id: number, logger: string, items = 1, itemsMax = 1): boolean {
    if (logger !== this.#parts.logger) {
      refuse(channel, id, refusal('wrong-logger', `this is logger ${this.#parts.logger}, not ${logger.slice(0, 64)}`));
      return false;
    }
    if (items <= itemsMax) return true;
    refuse(channel, id, refusal('too-large', `${items} items; at most ${itemsMax}`, itemsMax));
    return false;
  }
}

function refuse(channel: RpcChannel, id: number, refused: LoggerRefusal): void {
  channel.answerError(id, (out) => writeRefusal(out, refused));
}

function appendAnswer(answer: MachineAnswer): AppendAnswer {
  if (answer.kind === 'refused') return answer;
  return answer.kind === 'appended'
    ? { kind: 'ok', value: lba(answer.lba) }
    : refusal('device-failed', loggerRefusals['device-failed']);
}

function isBehind(zone: ZonePosition, after: ZonePosition): boolean {
  return zone.shard > after.shard || (zone.shard === after.shard && zone.zone > after.zone);
}

function nameOf({ shard, zone }: ZonePosition): string {
  return `${shard}/${zone}`;
}

function answerTo(channel: RpcChannel, id: number): OnMachineAnswer {
  return (answer) => {
    switch (answer.kind) {
      case 'refused':
        return refuse(channel, id, answer);
      case 'sealed':
        writeSealResult(channel.beginAnswer(id), answer.answer);
        return channel.endAnswer();
      case 'filled':
        channel.beginAnswer(id).integer(answer.length);
        return channel.endAnswer();
      case 'copied':
        writeCopyState(channel.beginAnswer(id), answer);
        return channel.endAnswer();
      case 'done':
      case 'appended':
        channel.beginAnswer(id).nil();
        return channel.endAnswer();
      default:
        return unreachable(answer);
    }
  };
}
