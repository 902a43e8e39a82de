/** Whether another process runs with this logger's identity: its folder was copied, or this one is the copy (S16). */
import type { InstanceId, Uuid } from '../base/ids.ts';
import { times } from '../base/times.ts';
import type { LoggerStatus } from '../codec/logger-protocol.ts';
import type { Environment } from '../env/environment.ts';
import type { Address } from '../env/network.ts';
import { openChannel } from '../rpc/channel.ts';
import { LoggerClient } from '../rpc/logger-client.ts';
import { clientOptions } from '../rpc/options.ts';

/** Asks who listens at `address`. Nobody, or somebody who says nothing within `times.twinAnswerMs`, is no twin. */
export function isTwinAt(
  address: Address,
  self: { readonly uuid: Uuid; readonly instance: InstanceId },
  { clock, network }: Pick<Environment, 'clock' | 'network'>,
): Promise<boolean> {
  return new Promise((resolve) => {
    const channel = openChannel(network.connect(address), clock, clientOptions(), {
      onOpen: () =>
        new LoggerClient(self.uuid, { write: undefined, read: channel }).ping('read', (answer) => {
          settle(answer.kind === 'ok' && isTwin(answer.value, self));
        }),
      onClose: () => settle(false),
      onNotice: () => undefined,
      onDrain: () => undefined,
      onRequest: (from, id) => from.answerErrorText(id, 'this side answers no requests'),
    });
    const timer = clock.after(times.twinAnswerMs, () => settle(false));
    const settle = (found: boolean): void => {
      timer.cancel();
      channel.close('asked');
      resolve(found);
    };
  });
}

function isTwin(answer: LoggerStatus, self: { readonly uuid: Uuid; readonly instance: InstanceId }): boolean {
  return answer.logger === self.uuid && answer.instance !== self.instance;
}
