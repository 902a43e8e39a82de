/** The names of the simulated hosts. */

export function gatewayHost(id: number): string {
  return `gateway${id}`;
}

export function loggerHost(id: number): string {
  return `logger${id}`;
}

/** Host of a client without the SDK. */
export function rawHost(id: number): string {
  return `raw${id}`;
}

export function clientHost(id: number): string {
  return `client${id}`;
}
