/**
 * The port to the change system: where a change record lives, and who says whether it may be carried out now.
 *
 * An adapter only reads. It never throws because of what the system answers, or does not: `away` and `unknown` are answers, and the
 * operation waits on them (docs/decisions/037-the-change-system-is-asked-before-each-step.md).
 */
import type { ChangeAnswer } from '../../domain/change/window';
import type { ChangeQuestion } from '../contract';

/** A change system. */
export interface ChangeSystem {
  /** @throws the signal's reason when it is aborted */
  ask(question: ChangeQuestion, signal: AbortSignal): Promise<ChangeAnswer>;
}

/** Which system is asked, and how. */
export type ChangeSystemSettings = { readonly askEveryInSeconds: number } & (
  | { readonly name: 'none' }
  | { readonly name: 'webhook'; readonly url: string; readonly secretFile: string }
  | {
      readonly name: 'servicenow';
      /** `https://instance.service-now.com`, without a slash at its end. */
      readonly url: string;
      /** OAuth client credentials, or a user with a password. */
      readonly login: { readonly clientId: string } | { readonly user: string };
      /** Has the client's secret, or the password. */
      readonly secretFile: string;
    }
);

/** Where no change system is configured. */
export const NO_CHANGE_SYSTEM: ChangeSystemSettings = { name: 'none', askEveryInSeconds: 60 };
