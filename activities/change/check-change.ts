/** Asks the change system that is configured, for a step that is to begin and for a plan that is to be made. */
import type { ChangeAnswer } from '../../domain/change/window';
import type { Fault } from '../../domain/errors';
import type { OperationRequest } from '../../domain/request';
import type { ChangeChecked, ChangeQuestion, RulesChecked } from '../contract';
import { ChangeSystemAway } from './exchange';
import type { ChangeSystem, ChangeSystemSettings } from './port';
import { serviceNowChangeSystem } from './servicenow';
import { webhookChangeSystem } from './webhook';

/** What the activities ask. */
export interface ChangeDesk {
  /** Whether a step may begin. @throws the signal's reason */
  check(question: ChangeQuestion, signal: AbortSignal): Promise<ChangeChecked>;
  /** Refuses a change that there is not: a typing error is told at once, and not at the first step. Best effort. */
  refuseUnknown(checked: RulesChecked, request: OperationRequest, signal: AbortSignal): Promise<RulesChecked>;
}

/** The desk for the settings of the worker; contacts nothing yet. */
export function createChangeDesk(settings: ChangeSystemSettings): ChangeDesk {
  const system = systemOf(settings);
  const ask = async (question: ChangeQuestion, signal: AbortSignal): Promise<ChangeAnswer> => {
    if (system === undefined) return { state: 'not-asked' };
    try {
      return await system.ask(question, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof ChangeSystemAway) return { state: 'away', says: error.message };
      throw error;
    }
  };
  return {
    async check(question, signal) {
      return { answer: await ask(question, signal), askEvery: settings.askEveryInSeconds };
    },
    async refuseUnknown(checked, { kind, cluster, change }, signal) {
      const answer = await ask({ operation: null, kind, cluster, change, plan: null, step: null }, signal);
      if (answer.state !== 'unknown') return checked;
      return { ...checked, cluster: null, faults: [...checked.faults, notFound(change.number, answer.says)] };
    },
  };
}

function notFound(number: string, says: string): Fault {
  return {
    code: 'ChangeNotFound',
    pointer: '/change/number',
    detail: `The change system does not have the change ${number}: ${says} Nothing was changed. Look at the number, and at what Keyturn may read there.`,
  };
}

function systemOf(settings: ChangeSystemSettings): ChangeSystem | undefined {
  switch (settings.name) {
    case 'none':
      return undefined;
    case 'webhook':
      return webhookChangeSystem(settings);
    case 'servicenow':
      return serviceNowChangeSystem(settings);
  }
}
