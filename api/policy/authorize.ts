/**
 * The policy as routes ask it.
 *
 * Without the right to read, a cluster or an operation is answered for as if it did not exist: with the same status, code and text. One
 * who may read it and lacks another right is told which.
 */
import { kindOf } from '../../domain/kinds';
import type { Fault } from '../../domain/errors';
import { notInArm } from '../../domain/observed';
import type { Operation } from '../../domain/operation';
import type { Actor } from '../../domain/people';
import { ruleFaults } from '../../domain/planner';
import type { PlanPolicy } from '../../domain/plan/plan';
import { resourcesChanged } from '../../domain/plan/changed-resources';
import type { OperationRequest } from '../../domain/request';
import type { ApiDeps } from '../deps';
import { ApiError } from '../problem';
import type { Caller } from '../token-claims';
import { approvalsFor, mayDo, requestScopes, personOf, type Subject, type Target } from './decide';
import type { Policy, Right } from './policy';

type Deps = Pick<ApiDeps, 'access' | 'logger'>;

/** What the policy knows a caller by. */
export function subjectOf({ person, roles, groups }: Caller): Subject {
  return { objectId: person.objectId, roles, groups };
}

/**
 * Checks that a caller may ask for this, before anything is looked up.
 * @throws ApiError as for a cluster that does not exist, or `RightMissing` when the caller may read there
 */
export function requireRequest(deps: Deps, caller: Caller, request: OperationRequest): void {
  if (allowed(deps, caller, ['request'], request)) return;
  if (!mayDo(deps.access?.current(), subjectOf(caller), 'read', { cluster: request.cluster })) {
    throw new ApiError(absentCluster(request));
  }
  throw rightMissing(caller, ['request'], request);
}

/** Whether a caller may look at a cluster, whatever the kind. */
export function mayLookAt(deps: Deps, caller: Caller, cluster: string): boolean {
  return allowed(deps, caller, ['read'], { cluster });
}

/** Whether a caller may read an operation. */
export function mayRead(deps: Deps, caller: Caller, operation: Pick<Operation, 'request'>): boolean {
  return allowed(deps, caller, ['read'], targetOf(operation));
}

/** Checks that a caller, who may read an operation, has one of these rights too. @throws ApiError `RightMissing` */
export function requireRight(deps: Deps, caller: Caller, rights: readonly Right[], operation: Operation): void {
  if (!allowed(deps, caller, rights, targetOf(operation))) throw rightMissing(caller, rights, targetOf(operation));
}

/**
 * Checks that a caller, who has a right on the cluster of an operation, has it on all that the plan changes outside the cluster too.
 * @throws ApiError `RightMissing`, which names the resource: the caller may read the plan, which names it
 */
export function requireRightOnChanges(deps: Deps, caller: Caller, right: Right, operation: Operation): void {
  const { plan, request } = operation;
  for (const { step, id, name } of plan === null ? [] : resourcesChanged(plan)) {
    if (allowed(deps, caller, [right], { cluster: id ?? name, kind: request.kind })) continue;
    const detail = `The policy does not give ${caller.person.name} the right to ${right} ${request.kind} on ${name}, which the step ${step} of the plan changes. The decision was not recorded, and nothing was changed. A person whose rule covers the cluster and this resource can decide.`;
    throw new ApiError({ code: 'RightMissing', detail });
  }
}

/** An account with the person whose it is, by the policy in force: it may have changed since the account was recorded. */
export function known(policy: Policy | undefined, actor: Actor): Actor {
  const withPerson = <Account extends Actor>(account: Account): Account => {
    const person = personOf(policy, account.objectId);
    return person === undefined ? account : { ...account, person };
  };
  const { onBehalfOf, ...rest } = actor;
  return { ...withPerson(rest), ...(onBehalfOf === undefined ? {} : { onBehalfOf: withPerson(onBehalfOf) }) };
}

/** What a request needs of approvers, and where the caller may ask for it. @param tags of the cluster */
export function approvalTerms(
  { access, policy: settings, logger }: Pick<ApiDeps, 'access' | 'policy' | 'logger'>,
  request: OperationRequest,
  caller: Caller,
  tags: Readonly<Record<string, string>>,
): { readonly policy: PlanPolicy; readonly timeoutInMs: number } {
  const requester = caller.person;
  const policy = access?.current();
  const { validForSeconds, longestWaitSeconds = Infinity } = policy?.approvals ?? {};
  const approvalsRequired = approvalsFor(policy, {
    ...request,
    tags,
    byProgram: requester.type === 'app' && requester.onBehalfOf === undefined,
    asked: request.approvalsRequired,
    atLeast: settings.approvalsRequired,
  });
  const { scopes, left } = requestScopes(policy, subjectOf(caller), request);
  if (left > 0) {
    const { cluster, kind } = request;
    logger.warn(
      { caller: requester.objectId, cluster, kind, left },
      'the policy gives the caller more scopes than fit',
    );
  }
  const asked = request.approvalTimeoutInSeconds;
  const wait = asked === undefined ? settings.approvalTimeoutInMs : asked * 1000;
  return {
    policy: {
      approvalsRequired,
      scopes,
      ...(validForSeconds === undefined ? {} : { approvalValidForInSeconds: validForSeconds }),
    },
    timeoutInMs: Math.min(wait, longestWaitSeconds * 1000),
  };
}

function allowed({ access, logger }: Deps, caller: Caller, rights: readonly Right[], target: Target): boolean {
  const policy = access?.current();
  if (rights.some((right) => mayDo(policy, subjectOf(caller), right, target))) return true;
  const { cluster, kind } = target;
  logger.warn({ caller: caller.person.objectId, rights, cluster, kind }, 'the policy gives the caller no such right');
  return false;
}

function targetOf({ request: { cluster, kind } }: Pick<Operation, 'request'>): Required<Target> {
  return { cluster, kind };
}

function rightMissing({ person }: Caller, rights: readonly Right[], { cluster, kind }: Target): ApiError {
  const detail = `The policy does not give ${person.name} the right to ${rights.join(' or ')} ${kind} on ${cluster}. Nothing was changed.`;
  return new ApiError({ code: 'RightMissing', detail });
}

/** What a request for a cluster that is not there is answered with; for a kind that makes one, that its place is not there. */
function absentCluster(request: OperationRequest): readonly [Fault, ...Fault[]] {
  const makesIt = kindOf(request.kind).startsWithout === 'cluster';
  const why = notInArm(makesIt ? 'ResourceGroupNotFound' : 'ResourceNotFound');
  const state = makesIt ? 'no-group' : 'missing';
  // The time is part of no fault.
  const [first, ...rest] = ruleFaults(request, {
    at: '1970-01-01T00:00:00.000Z',
    cluster: { found: false, why, state },
  });
  if (first === undefined)
    throw new Error(`The kind ${request.kind} has no rule that its cluster, or its place, exists.`);
  return [first, ...rest];
}
