/** Pieces of the vault, and of the rights that it gives. */
import { READ_RIGHTS } from '../../../domain/csi/objects';
import { READER, withCsi, withVault, type Connection } from './connected';
import type { Piece } from './piece';

const NONE = { secrets: [], keys: [], certificates: [] };
const WORDS = { secret: 'secrets', key: 'keys', cert: 'certificates' } as const;
const isRbac = ({ csi: { vault } }: Connection): boolean => vault.known && vault.value.permissionModel === 'rbac';
const hasHistory = ({ object }: Connection): boolean => (object.objectVersionHistory ?? 0) > 1;
const CONTENT = 'Keyturn never looks at what a vault holds.';

export const OF_VAULTS: readonly Piece[] = [
  {
    what: 'the vault',
    removed: (whole) => withCsi(whole, { vault: { known: false, why: 'Azure has no vault kv-app.' } }),
    planned: { refused: 'VaultNotFound' },
    names: 'kv-app',
    inspected: 'unknown',
  },
  {
    what: 'the tenant of the vault',
    removed: (whole) => withVault(whole, { tenantId: 'tenant-2' }),
    planned: { refused: 'VaultInOtherTenant' },
    names: 'tenant-2',
    inspected: 'broken',
  },
  {
    what: 'the object in the vault',
    removed: (whole) => whole,
    planned: { same: CONTENT },
    names: ({ object }) => object.objectName,
    inspected: { silent: CONTENT },
  },
  {
    what: 'the right to read the object type',
    removed: (whole) =>
      isRbac(whole) ? withCsi(whole, { roles: { known: true, value: [] } }) : withVault(whole, { policy: NONE }),
    planned: { made: 'grant-vault-read' },
    names: ({ object }) => `read ${WORDS[object.objectType]} of the vault kv-app`,
    inspected: 'broken',
    inspectedAs: (whole: Connection): string => {
      const { role, policy } = READ_RIGHTS[whole.object.objectType];
      const history = hasHistory(whole) ? ' and list' : '';
      return isRbac(whole) ? role.name : `get${history} of ${policy} in the access policies`;
    },
  },
  {
    what: 'the right to list versions',
    removed: (whole: Connection): Connection | undefined => {
      if (!hasHistory(whole)) return undefined;
      const { listAction, dataAction, policy } = READ_RIGHTS[whole.object.objectType];
      if (!isRbac(whole)) return withVault(whole, { policy: { ...NONE, [policy]: ['get'] } });
      if (listAction === dataAction) return undefined;
      const dataActions = READER.dataActions.filter((action) => action !== listAction);
      return withCsi(whole, { roles: { known: true, value: [{ ...READER, dataActions }] } });
    },
    planned: { made: 'grant-vault-read' },
    names: ({ object }) => `list versions of ${WORDS[object.objectType]}`,
    inspected: 'broken',
    inspectedAs: (whole) => (isRbac(whole) ? READ_RIGHTS[whole.object.objectType].role.name : 'get and list'),
  },
  {
    what: 'the right that a deny assignment takes',
    removed: (whole) =>
      isRbac(whole) ? withCsi(whole, { denials: { known: true, value: [{ ...READER, name: 'no pods' }] } }) : undefined,
    planned: { made: 'grant-vault-read', warned: 'ReadRightsDenied' },
    names: 'no pods',
    inspected: 'broken',
  },
  {
    what: 'a right without a condition',
    removed: (whole) =>
      isRbac(whole) ? withCsi(whole, { roles: { known: true, value: [{ ...READER, uncertain: true }] } }) : undefined,
    planned: { same: 'It may hold: the mount shows it.', warned: 'ReadRightsUnknown' },
    names: 'a role assignment with a condition',
    inspected: 'unknown',
    inspectedAs: 'objects of the vault kv-app depends on a condition',
  },
  {
    what: 'the sight of roles',
    removed: (whole) =>
      isRbac(whole) ? withCsi(whole, { roles: { known: false, why: 'Keyturn may not read roles.' } }) : undefined,
    planned: { made: 'grant-vault-read', warned: 'ReadRightsUnknown' },
    names: 'Keyturn may not read roles.',
    inspected: 'unknown',
  },
];
