/** Rows of the promise table about links: cut off, and slow. */
import { setTimeout as sleep } from 'node:timers/promises';
import { KIB } from '../../src/base/units.ts';
import { others, type Row } from './rows.ts';
import { numbers } from './nodes.ts';
import type { LinkState } from './links.ts';
import type { Stage } from './stage.ts';

const cutMs = 5_000;
/** After which a node has noticed that its coordinator is cut off (node-shim.ts). */
const cutNoticedMs = 100;
const cut: LinkState = { kind: 'cut' };
const open: LinkState = { kind: 'open' };

function setLoggers(stage: Stage, gateway: number, state: LinkState): void {
  for (const logger of numbers) stage.setLinks(`gateway ${gateway}`, `logger ${logger}`, state);
}

function setPeers(stage: Stage, gateway: number, state: LinkState): void {
  for (const other of others(gateway)) stage.setLinks(`gateway ${gateway}`, `gateway ${other}`, state);
}

export const linkRows: readonly Row[] = [
  {
    name: 'owner-without-loggers',
    does: 'a gateway that owns is cut off from all loggers for 10 s',
    concerns: 'owner',
    needs: ['links'],
    isHealed: true,
    hits: 'gateways',
    fault: async (stage) => {
      setLoggers(stage, stage.owner, cut);
      await stage.pause(2 * cutMs);
      setLoggers(stage, stage.owner, open);
    },
  },
  {
    name: 'owner-without-one-logger',
    does: 'a gateway that owns is cut off from one logger for 5 s',
    concerns: 'owner',
    needs: ['links'],
    isHealed: true,
    hits: 'gateways',
    fault: async (stage) => {
      stage.setLinks(`gateway ${stage.owner}`, `logger ${stage.victim}`, cut);
      await stage.pause(cutMs);
      stage.setLinks(`gateway ${stage.owner}`, `logger ${stage.victim}`, open);
    },
  },
  {
    name: 'owner-without-peers',
    does: 'a gateway that owns is cut off from the other gateways for 5 s, and asked meanwhile',
    concerns: 'owner',
    needs: ['links'],
    isHealed: true,
    hits: 'gateways',
    fault: async (stage) => {
      setPeers(stage, stage.owner, cut);
      await stage.pause(cutMs / 2);
      // Whatever it believes to own: what it answers is judged.
      const answers = stage.askOwner();
      await stage.pause(cutMs / 2);
      setPeers(stage, stage.owner, open);
      await answers;
    },
  },
  {
    name: 'owner-without-all',
    does: 'a gateway that owns is cut off from loggers, gateways and coordinator for 5 s, and asked meanwhile',
    concerns: 'owner',
    needs: ['links'],
    isHealed: true,
    fault: async (stage) => {
      setLoggers(stage, stage.owner, cut);
      setPeers(stage, stage.owner, cut);
      stage.setCoordinatorCut(stage.owner, true);
      await stage.pause(cutMs / 2);
      const answers = stage.askOwner();
      await stage.pause(cutMs / 2);
      await stage.heal();
      await answers;
    },
  },
  {
    name: 'owner-stopped-alone',
    does: 'SIGSTOP of a gateway that owns for 10 s; when it goes on, nobody but loggers tells it anything; it is asked',
    concerns: 'owner',
    needs: ['links'],
    isHealed: true,
    fault: async (stage) => {
      setPeers(stage, stage.owner, cut);
      stage.setCoordinatorCut(stage.owner, true);
      await sleep(cutNoticedMs);
      stage.signal('gateway', stage.owner, 'SIGSTOP');
      await stage.pause(10_000);
      // Nothing but what loggers confirm can tell it, before it answers, that others have acknowledged writes.
      const answers = stage.askOwner();
      await sleep(200);
      stage.signal('gateway', stage.owner, 'SIGCONT');
      await sleep(1_000);
      await stage.heal();
      await answers;
    },
  },
  {
    name: 'owner-without-coordinator',
    does: 'a gateway that owns is cut off from the coordinator for 10 s, while its zones fill',
    concerns: 'owner',
    needs: ['links'],
    settings: { zoneSize: 256 * KIB },
    isHealed: true,
    hits: 'gateways',
    fault: async (stage) => {
      stage.setCoordinatorCut(stage.owner, true);
      await stage.pause(2 * cutMs);
      stage.setCoordinatorCut(stage.owner, false);
    },
  },
  {
    name: 'slow-links',
    does: 'everything that a gateway that owns sends and gets takes 40 ms longer each way, for 5 s',
    concerns: 'owner',
    needs: ['links'],
    isHealed: true,
    fault: async (stage) => {
      const slow: LinkState = { kind: 'slow', delayMs: 40 };
      setLoggers(stage, stage.owner, slow);
      setPeers(stage, stage.owner, slow);
      await stage.pause(cutMs);
      await stage.heal();
    },
  },
];
