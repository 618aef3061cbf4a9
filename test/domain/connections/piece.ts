/** A row of the table of pieces: what a connection needs, and what is said when just that is missing. */
import type { ErrorCode } from '../../../domain/errors';
import type { StepType } from '../../../domain/plan/steps';
import type { Connection, Way } from './connected';

/** What a plan does about a missing piece. */
export type Planned =
  /** Nothing starts. */
  | { readonly refused: ErrorCode }
  /** A step makes it. `with`: other steps that follow from it. `warned`: what approvers learn beside it. */
  | { readonly made: StepType; readonly with?: readonly StepType[]; readonly warned?: string }
  /** The plan is the same: why. The step `prove-mount` is blocked then. `warned`: what approvers learn. */
  | { readonly same: string; readonly warned?: string };

/** What an inspection says of the missing piece. */
export type Inspected =
  /** It names the piece under `broken`, or under `unknown` where Keyturn cannot tell missing from not to be seen. */
  | 'broken'
  | 'unknown'
  /** It says nothing: why. */
  | { readonly silent: string };

/** One piece. */
export interface Piece {
  readonly what: string;
  /** Ways in that do not have it, each with the reason. */
  readonly exempt?: Readonly<Partial<Record<Way, string>>>;
  /** The same without it; undefined where this vault or object does not have it. */
  readonly removed: (whole: Connection) => Connection | undefined;
  readonly planned: Planned | ((way: Way) => Planned);
  /** What the sentence of the plan must have. */
  readonly names: string | ((whole: Connection) => string);
  readonly inspected: Inspected | ((way: Way) => Inspected);
  /** What the sentence of the inspection must have, where that is something else. */
  readonly inspectedAs?: string | ((whole: Connection) => string);
}

/** Ways in that use no service account. */
export function onlyWorkloadIdentity(reason: string): Readonly<Partial<Record<Way, string>>> {
  return {
    'the identity of the add-on': reason,
    'an identity of the nodes': reason,
    'the system-assigned identity': reason,
    'Service Connector': reason,
  };
}

/** Ways in that make no connection in Azure. */
export const ONLY_SERVICE_CONNECTOR: Readonly<Partial<Record<Way, string>>> = {
  'workload identity': 'It makes no connection of Service Connector.',
  'the identity of the add-on': 'It makes no connection of Service Connector.',
  'an identity of the nodes': 'It makes no connection of Service Connector.',
  'the system-assigned identity': 'It makes no connection of Service Connector.',
};
