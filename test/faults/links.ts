/**
 * Links of the fault test: each way from a gateway to another node's port leads through a TCP proxy of its own, which
 * can be cut, so that nothing arrives and nothing is refused, or slowed.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { once } from 'node:events';

export type LinkState =
  | { readonly kind: 'open' }
  | { readonly kind: 'cut' }
  | { readonly kind: 'slow'; readonly delayMs: number };

/** One proxy. What it has when it is cut arrives when it is opened again, as with TCP. */
export class Link {
  readonly #server: Server;
  readonly #target: number;
  readonly #sockets = new Set<Socket>();
  /** What is under way on the link, in order. */
  readonly #queue: { readonly act: () => void; readonly atMs: number }[] = [];
  #state: LinkState = { kind: 'open' };

  private constructor(target: number) {
    this.#target = target;
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#accept(socket));
  }

  /** Listens at a port of its own, for what is meant for `target`. */
  static async to(target: number): Promise<Link> {
    const link = new Link(target);
    link.#server.listen({ host: '127.0.0.1', port: 0 });
    await once(link.#server, 'listening');
    return link;
  }

  get port(): number {
    const address = this.#server.address();
    if (typeof address !== 'object' || address === null) throw new Error('the proxy does not listen');
    return address.port;
  }

  set(state: LinkState): void {
    this.#state = state;
    for (const socket of this.#sockets) if (state.kind === 'cut') socket.pause();
    if (state.kind === 'cut') return;
    for (const socket of this.#sockets) socket.resume();
    this.#deliver();
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #accept(near: Socket): void {
    this.#keep(near);
    near.pause();
    this.#through(() => {
      const far = connect({ host: '127.0.0.1', port: this.#target, noDelay: true, allowHalfOpen: true });
      this.#keep(far);
      this.#pump(near, far);
      this.#pump(far, near);
      if (this.#state.kind !== 'cut') near.resume();
    });
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    // Its end is told by 'close'.
    socket.on('error', () => undefined);
  }

  #pump(from: Socket, to: Socket): void {
    from.on('data', (bytes: Buffer) => {
      this.#through(() => {
        if (to.write(bytes)) return;
        from.pause();
        to.once('drain', () => this.#through(() => from.resume()));
      });
    });
    from.once('end', () => this.#through(() => to.end()));
    from.once('close', (hasFailed) => this.#through(() => (hasFailed ? to.resetAndDestroy() : to.end())));
  }

  /** Does it now, after the link's delay, or when the link is open again, after all that is under way. */
  #through(act: () => void): void {
    const delayMs = this.#state.kind === 'slow' ? this.#state.delayMs : 0;
    this.#queue.push({ act, atMs: performance.now() + delayMs });
    if (delayMs === 0) this.#deliver();
    else globalThis.setTimeout(() => this.#deliver(), delayMs);
  }

  #deliver(): void {
    while (this.#state.kind !== 'cut') {
      const [first] = this.#queue;
      // A timer may fire a little early.
      if (first === undefined || first.atMs > performance.now() + 1) return;
      this.#queue.shift();
      first.act();
    }
  }
}

/** Links by who calls and who is called: `gateway 0` to `logger 1`. */
export class Links {
  readonly #links = new Map<string, Map<number, Link>>();

  /** Makes a link from `caller` to each of the ports of `callee`. */
  async add(caller: string, callee: string, ports: readonly number[]): Promise<void> {
    const links = new Map<number, Link>();
    for (const port of ports) links.set(port, await Link.to(port));
    this.#links.set(`${caller} > ${callee}`, links);
  }

  /** Ports of proxies by the ports that they lead to, for one caller. */
  routesOf(caller: string): Readonly<Record<string, number>> {
    const own = [...this.#links].filter(([name]) => name.startsWith(`${caller} > `));
    return Object.fromEntries(own.flatMap(([, links]) => [...links].map(([port, link]) => [port, link.port])));
  }

  /** Both ways, where both may call. */
  set(one: string, other: string, state: LinkState): void {
    for (const name of [`${one} > ${other}`, `${other} > ${one}`])
      for (const link of this.#links.get(name)?.values() ?? []) link.set(state);
  }

  openAll(): void {
    for (const links of this.#links.values()) for (const link of links.values()) link.set({ kind: 'open' });
  }

  close(): void {
    for (const links of this.#links.values()) for (const link of links.values()) link.close();
  }
}
