/**
 * put, delete, get and has, as clients and gateways that forward send them: decoded where they lie in the socket's
 * memory, checked, and brought to their shard. Forms stand in codec/client-requests.ts, the way to a shard in
 * router.ts.
 * Walk: GET 1/5.
 */
import { KvError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import { readDelete, readGet, readHas, readPut } from '../../codec/client-requests.ts';
import type { MessageReader } from '../../codec/message-reader.ts';
import { ShardRead, ShardWrite } from '../../core/shard/requests.ts';
import type { LeasedIds } from '../leased-ids.ts';
import type { Numbering } from '../numbering.ts';
import type { Router } from '../router.ts';
import type { Session } from './session.ts';

export class Requests {
  readonly #router: Router;
  readonly #numbering: Numbering;
  readonly #leased: LeasedIds;
  readonly #forward: boolean;
  readonly #send = (write: ShardWrite): void => this.#router.write(write, this.#forward);

  /** `forward`: whether another gateway may be asked. */
  constructor(router: Router, numbering: Numbering, leased: LeasedIds, forward: boolean) {
    this.#router = router;
    this.#numbering = numbering;
    this.#leased = leased;
    this.#forward = forward;
  }

  /** False: the method is none of these. @throws KvError, MessageFormatError */
  handle(session: Session, id: number, method: string, params: MessageReader): boolean {
    switch (method) {
      case 'get':
        this.#get(session, id, params);
        return true;
      case 'put':
        this.#put(session, id, params);
        return true;
      case 'delete':
        this.#delete(session, id, params);
        return true;
      case 'has':
        this.#has(session, id, params);
        return true;
      default:
        return false;
    }
  }

  #put(session: Session, id: number, params: MessageReader): void {
    const write = new ShardWrite(session, id, 'put');
    readPut(params, write);
    this.#write(write);
  }

  #delete(session: Session, id: number, params: MessageReader): void {
    const write = new ShardWrite(session, id, 'delete');
    readDelete(params, write);
    this.#write(write);
  }

  #write(write: ShardWrite): void {
    checkKey(write.keyLength);
    checkValue(write.wantedLength);
    if (write.client === 0) this.#numbering.send(write, this.#send);
    else if (this.#leased.has(write.client)) this.#send(write);
    else this.#checkClient(write);
  }

  #checkClient(write: ShardWrite): void {
    this.#leased.ask(write.client, write.source.length, (failure) => {
      if (failure === undefined) this.#router.write(write, this.#forward);
      else write.replyTo.written(write, failure);
    });
  }

  #get(session: Session, id: number, params: MessageReader): void {
    const read = new ShardRead(session, id, true);
    readGet(params, read);
    this.#read(read);
  }

  #has(session: Session, id: number, params: MessageReader): void {
    const read = new ShardRead(session, id, false);
    readHas(params, read);
    this.#read(read);
  }

  #read(read: ShardRead): void {
    checkKey(read.keyLength);
    this.#router.read(read, this.#forward);
  }
}

/** @throws KvError `key-empty`, `key-too-long` */
function checkKey(length: number): void {
  if (length === 0) throw new KvError('key-empty', `a key has 1..${limits.keyBytesMax} bytes, this one has none`);
  if (length > limits.keyBytesMax)
    throw new KvError('key-too-long', `a key has 1..${limits.keyBytesMax} bytes, this one has ${length}`);
}

/** @throws KvError `value-too-large` */
function checkValue(length: number): void {
  if (length > limits.valueBytesMax)
    throw new KvError('value-too-large', `a value has at most ${limits.valueBytesMax} bytes, this one has ${length}`);
}
