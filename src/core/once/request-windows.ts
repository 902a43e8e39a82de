/** Windows of one client's numbers, one for each shard, which draw from one counter (request-window.ts). */
import type { ShardId } from '../../base/ids.ts';
import type { RequestNumbers } from './request-window.ts';
import { RequestWindow } from './request-window.ts';

export class RequestWindows {
  readonly #size: number | undefined;
  readonly #numbers: RequestNumbers = { next: 1 };
  readonly #windows: (RequestWindow | undefined)[] = [];

  /** `size` of each window; absent: the default of the limits. */
  constructor(size?: number) {
    this.#size = size;
  }

  of(shard: ShardId): RequestWindow {
    let window = this.#windows[shard];
    if (window === undefined) this.#windows[shard] = window = new RequestWindow(this.#size, this.#numbers);
    return window;
  }
}
