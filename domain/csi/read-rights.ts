/** Which object types an identity may read in a vault. Pure: what could not be read makes a right unknown, never missing. */
import { covers } from '../identity-access';
import type { CsiFacts } from './facts';
import { policyWords, READ_RIGHTS, type ObjectType } from './objects';

/** `otherNodes`: what is said of the identity is said of each of them, too. */
type Rights = Pick<CsiFacts, 'vault' | 'roles' | 'denials' | 'identity' | 'otherNodes'>;
/** Of one principal. */
type OwnRights = Omit<Rights, 'otherNodes'>;

/** What is read: object types, and those of them whose versions are listed. */
export interface Reading {
  readonly types: readonly ObjectType[];
  readonly history?: readonly ObjectType[];
}

function each({ otherNodes = [], ...first }: Rights): OwnRights[] {
  const others = otherNodes.map(({ principalId, ...rights }) => ({
    ...rights,
    identity: { state: 'exists' as const, principalId },
  }));
  return [first, ...others];
}

/** The types that the identity, or one of the identities, surely may not read; all of them while it is not made. */
export function missingTypes(rights: Rights, reading: Reading): ObjectType[] {
  const missing = each(rights).flatMap((one) => missingOf(one, reading));
  return reading.types.filter((type) => missing.includes(type));
}

function missingOf({ vault, roles, denials, identity }: OwnRights, { types, history = [] }: Reading): ObjectType[] {
  if (!vault.known) return [];
  if (identity.state !== 'exists') return [...types];
  const { permissionModel, policy } = vault.value;
  return types.filter((type) => {
    if (permissionModel === 'access-policy') {
      const given = policy[READ_RIGHTS[type].policy];
      return !given.includes('all') && policyWords(type, history).some((word) => !given.includes(word));
    }
    if (roles?.known !== true) return false;
    return actionsOf(type, history).some((action) => {
      const giving = roles.value.some((role) => covers(role, action));
      const taken = denials?.known === true && denials.value.some((one) => !one.uncertain && covers(one, action));
      return !giving || taken;
    });
  });
}

/** Why rights are not sure: one sentence each. */
export function unknownRights(rights: Rights): string[] {
  return [...new Set(each(rights).flatMap(unknownOf))];
}

function unknownOf({ vault, roles, denials, identity }: OwnRights): string[] {
  if (!vault.known || identity.state !== 'exists' || vault.value.permissionModel === 'access-policy') return [];
  return [roles, denials].flatMap((lookup) => (lookup?.known === false ? [lookup.why] : []));
}

/** The types whose rights come with a condition only, or may be taken by a deny assignment that Keyturn does not understand. */
export function uncertainTypes(rights: Rights, reading: Reading): ObjectType[] {
  const uncertain = each(rights).flatMap((one) => uncertainOf(one, reading));
  return reading.types.filter((type) => uncertain.includes(type));
}

function uncertainOf({ vault, roles, denials }: OwnRights, { types, history = [] }: Reading): ObjectType[] {
  if (!vault.known || vault.value.permissionModel === 'access-policy' || roles?.known !== true) return [];
  return types.filter((type) =>
    actionsOf(type, history).some((action) => {
      const giving = roles.value.filter((role) => covers(role, action));
      if (giving.length === 0) return false;
      const taking = denials?.known === true && denials.value.some((one) => one.uncertain && covers(one, action));
      return taking || giving.every(({ uncertain }) => uncertain);
    }),
  );
}

/** The names of deny assignments that surely take the right to read one of the types. Access policies do not know them. */
export function denyingNames({ vault, denials }: Rights, { types, history = [] }: Reading): string[] {
  if (!vault.known || vault.value.permissionModel === 'access-policy' || denials?.known !== true) return [];
  const actions = types.flatMap((type) => actionsOf(type, history));
  const taking = denials.value.filter((one) => !one.uncertain && actions.some((action) => covers(one, action)));
  return [...new Set(taking.map(({ name }) => name))];
}

function actionsOf(type: ObjectType, history: readonly ObjectType[]): string[] {
  const { dataAction, listAction } = READ_RIGHTS[type];
  return history.includes(type) ? [dataAction, listAction] : [dataAction];
}
