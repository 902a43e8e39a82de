/** Device of a logger, in the folder that node-options.ts gives it. */
export const deviceFile = '/data/device';
