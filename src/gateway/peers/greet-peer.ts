/** Hello to another gateway's peer port, by every connection that goes there. */
import type { InstanceId, Uuid } from '../../base/ids.ts';
import { readError } from '../../codec/client-protocol.ts';
import type { GatewayIdentity, MemberHello } from '../../codec/member-hello.ts';
import { readMemberHello, strangeness, writeMemberHello } from '../../codec/member-hello.ts';
import type { MessageWriter } from '../../codec/message-writer.ts';
import type { RpcChannel } from '../../rpc/channel-types.ts';

/** Gateway that the coordinator lists, which is to answer. */
export interface ExpectedPeer {
  readonly number: number;
  readonly instance: InstanceId | undefined;
}

/** `done`: with the reason why whoever answered is not the gateway that is expected, or with none. */
export function greetPeer(
  channel: RpcChannel,
  self: GatewayIdentity,
  expected: ExpectedPeer,
  done: (strange?: string) => void,
): void {
  const write = (out: MessageWriter): void => {
    out.array(1);
    writeMemberHello(out, self);
  };
  channel.request('hello', write, (failure, result) => {
    if (failure?.kind === 'error') return done(readError(failure.error).message);
    if (failure !== undefined || result === undefined) return done(failure?.message ?? 'no answer to hello');
    done(strangenessOf(readMemberHello(result), self.cluster, expected));
  });
}

function strangenessOf(answer: MemberHello | undefined, cluster: Uuid, expected: ExpectedPeer): string | undefined {
  if (answer === undefined) return 'no gateway listens there';
  const wrong = strangeness(answer, cluster);
  if (wrong !== undefined) return `another gateway listens there: ${wrong}`;
  if (answer.gateway !== expected.number) return `gateway ${answer.gateway} listens there`;
  if (answer.instance === expected.instance) return undefined;
  return `another process of gateway ${expected.number} listens there than the coordinator lists`;
}
