/** GET /v1/keys/users: which clusters need a key version. No operation, and nothing is written. */
import { z } from 'zod';
import { hiddenUserWarnings, keyUserWarnings, KeyUsersReport, shownUsers } from '../../domain/key-users';
import { Role } from '../../domain/people';
import { KEY_ID_PATTERN, parseKeyId } from '../../domain/resource-ids';
import type { ApiDeps } from '../deps';
import { mayLookAt } from '../policy/authorize';
import { ApiError } from '../problem';
import { route, type Route } from '../route';

/** The route. */
export function getKeyUsers(deps: ApiDeps): Route {
  return route({
    method: 'get',
    path: '/v1/keys/users',
    operationId: 'getKeyUsers',
    summary: 'See which clusters need a key version',
    description:
      'In every subscription that Keyturn can read: clusters whose current key it is, and clusters whose ledger needs it. `unread` and `refusedSubscriptions` say where Keyturn could not look. Nothing is written, and no Secret is looked at.',
    roles: [Role.Reader, Role.Operator, Role.Approver],
    query: z.strictObject({
      keyId: z.string().max(300).meta({
        pattern: KEY_ID_PATTERN,
        description: 'A key with its version.',
        example: 'https://kv1.vault.azure.net/keys/etcd/95a76f34842c4fcf9e2cc929e38359c0',
      }),
    }),
    answers: [{ status: 200, description: 'As far as Keyturn can see now.', schema: KeyUsersReport }],
    codes: ['InvalidKeyId', 'AzureUnavailable', 'TemporalUnavailable', 'WorkerUnavailable'],
    handle: async ({ caller, query }) => {
      const parsed = parseKeyId(query.keyId);
      if ('fault' in parsed) throw new ApiError({ code: 'InvalidKeyId', detail: parsed.fault });
      const users = await deps.gateway.keyUsers(parsed.kid);
      const shown = shownUsers(users, (cluster) => mayLookAt(deps, caller, cluster));
      return {
        status: 200,
        body: { ...shown, warnings: [...keyUserWarnings(shown), ...hiddenUserWarnings(users, shown)] },
      };
    },
  });
}
