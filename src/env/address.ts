/** `host:port`, IPv6 hosts in brackets. */
import { type Address, NetworkError } from './network.ts';

export interface HostAndPort {
  readonly host: string;
  readonly port: number;
}

/** @throws NetworkError `bad-address` that says what is wrong with it. */
export function parseAddress(address: Address): HostAndPort {
  const match = /^(?:\[([0-9A-Fa-f:.%\w]+)\]|([^:\s[\]]+)):(\d{1,5})$/.exec(address);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port > 65_535) {
    throw new NetworkError(
      'bad-address',
      `'${address}' is not an address: expected host:port, a port of at most 65535, IPv6 in brackets`,
    );
  }
  return { host, port };
}

export function formatAddress(host: string, port: number): Address {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
