/**
 * What an operator does about a logger that is to go, as the command does it (cli/logger-plans.ts): says that it is
 * lost, or that it drains, and tries again while the coordinator does not answer. A logger that may not be lost, since
 * it holds what nobody else does, is brought back: its disk is kept until the word was taken.
 */
import { KvError } from '../../src/base/errors.ts';
import type { Uuid } from '../../src/base/ids.ts';
import type { Coordinator } from '../../src/coordinator/coordinator.ts';
import { CoordinatorError } from '../../src/coordinator/coordinator.ts';
import { declareLost } from '../../src/coordinator/planned-changes.ts';
import type { SimulatedNode } from '../node.ts';
import type { Stage } from './actor.ts';

const againMs = 100;
/** In the whole of which node-options.ts lets a logger keep its files. */
const folder = '/data';

export type Word = 'taken' | 'refused';

/** Orders what `order` says until the coordinator has answered, also when everything is healed. */
export function say(stage: Stage, order: (coordinator: Coordinator) => Promise<unknown>, heard: (word: Word) => void) {
  const coordinator = stage.coordinator.client('operator');
  const close = (word: Word): void => {
    void coordinator.close();
    heard(word);
  };
  order(coordinator).then(
    () => close('taken'),
    (error: unknown) => {
      if (error instanceof KvError) return close('refused');
      if (!(error instanceof CoordinatorError)) throw error;
      void coordinator.close();
      stage.clock.after(againMs, () => say(stage, order, heard));
    },
  );
}

/** Ends the logger for good, and declares it lost `afterMs` later. */
export function removeForGood(stage: Stage, node: SimulatedNode, logger: Uuid, afterMs: number): void {
  const copies = node.logger?.zones().map(({ copyId }) => copyId) ?? [];
  node.isGone = true;
  stage.kill(node, 'power', 0);
  stage.clock.after(afterMs, () => {
    say(
      stage,
      (coordinator) => declareLost(coordinator, logger, false),
      (word) => {
        stage.coverage.count(word === 'taken' ? 'logger declared lost' : 'logger could not be declared lost');
        if (word === 'taken') {
          node.disk.wipe(folder);
          stage.reversals.wiped(logger, copies);
        } else {
          node.isGone = false;
          stage.kill(node, 'process', 0);
        }
      },
    );
  });
}
