/** What a node tells its operator. Never on the path of a request. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** `event` is a fixed phrase, what varies is in `fields` (no secrets, no values of keys). */
export type Log = (
  level: LogLevel,
  event: string,
  fields?: Readonly<Record<string, string | number | boolean | undefined>>,
) => void;

export const silent: Log = () => undefined;
