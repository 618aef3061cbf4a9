/** The API as a change-management system calls it: plain HTTP and JSON. */
import { z } from 'zod';
import { OperationList } from '../api/routes/list-operations';
import { PlanPreview } from '../api/routes/plan-preview';
import { CsiInspection } from '../domain/csi/inspection';
import { Inspection } from '../domain/inspection';
import { Operation } from '../domain/operation';

/** An operation as the API answers it. */
export const OperationAnswer = Operation.extend({ progressText: z.string(), links: z.record(z.string(), z.string()) });
/** An operation as the API answers it. */
export type OperationAnswer = z.infer<typeof OperationAnswer>;

/** A problem document (RFC 9457): the API refused. */
export class ApiProblem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly detail: string,
  ) {
    super(`${status} ${code}: ${detail}`);
    this.name = 'ApiProblem';
  }
}

const Problem = z.object({ code: z.string(), detail: z.string() });

/** A client of the API for one person. */
export class ApiClient {
  constructor(
    private readonly url: string,
    private readonly token: string,
  ) {}

  /** Asks for an operation. Repeating it with the same key gives the same operation. @throws ApiProblem */
  async create(
    body: unknown,
    idempotencyKey: string,
  ): Promise<{ readonly status: number; readonly operation: OperationAnswer }> {
    const response = await this.send('POST', '/v1/operations', body, { 'idempotency-key': idempotencyKey });
    return { status: response.status, operation: await operationOf(response) };
  }

  /** The plan that a request would get now, or its refusal. Starts nothing. @throws ApiProblem */
  async validate(body: unknown): Promise<PlanPreview> {
    return PlanPreview.parse(await (await this.send('POST', '/v1/operations?validateOnly=true', body)).json());
  }

  /** Reads an operation; waits up to so many seconds for a change of its status when asked to. @throws ApiProblem */
  async get(id: string, waitInSeconds = 0): Promise<OperationAnswer> {
    const headers: Record<string, string> = waitInSeconds > 0 ? { prefer: `wait=${waitInSeconds}` } : {};
    return await operationOf(await this.send('GET', `/v1/operations/${id}`, undefined, headers));
  }

  /** A page of operations, the newest first. @param query filters, `pageSize` and `pageToken` @throws ApiProblem */
  async list(query: Readonly<Record<string, string>> = {}): Promise<OperationList> {
    const response = await this.send('GET', `/v1/operations?${new URLSearchParams(query).toString()}`);
    return OperationList.parse(await response.json());
  }

  /** Approves the plan with this digest. @param gate by step id; the start gate when absent @throws ApiProblem */
  async approve(id: string, planDigest: string, gate?: string): Promise<OperationAnswer> {
    return await operationOf(await this.send('POST', `/v1/operations/${id}:approve`, { planDigest, gate }));
  }

  /** Denies the plan with this digest: the operation ends Canceled. @throws ApiProblem */
  async deny(id: string, planDigest: string, comment?: string): Promise<OperationAnswer> {
    return await operationOf(await this.send('POST', `/v1/operations/${id}:deny`, { planDigest, comment }));
  }

  /** Asks for the end at the next safe point. @throws ApiProblem */
  async cancel(id: string): Promise<OperationAnswer> {
    return await operationOf(await this.send('POST', `/v1/operations/${id}:cancel`, {}));
  }

  /** Asks for another try of the blocked step. @throws ApiProblem */
  async retry(id: string): Promise<OperationAnswer> {
    return await operationOf(await this.send('POST', `/v1/operations/${id}:retry`, {}));
  }

  /** Asks for a pause at the next safe point. @throws ApiProblem */
  async pause(id: string, reason?: string): Promise<OperationAnswer> {
    return await operationOf(await this.send('POST', `/v1/operations/${id}:pause`, { reason }));
  }

  /** Ends a pause. @throws ApiProblem */
  async resume(id: string): Promise<OperationAnswer> {
    return await operationOf(await this.send('POST', `/v1/operations/${id}:resume`, {}));
  }

  /** Accepts the Secrets that a blocked step waits for as they are. @throws ApiProblem */
  async accept(id: string, digest: string, reason: string): Promise<OperationAnswer> {
    return await operationOf(await this.send('POST', `/v1/operations/${id}:accept`, { digest, reason }));
  }

  /** How the encryption of a cluster stands, by its ARM resource id. @throws ApiProblem */
  async encryption(cluster: string): Promise<Inspection> {
    return Inspection.parse(await (await this.send('GET', `/v1/clusters${cluster}/encryption`)).json());
  }

  /** What connects the pods of a cluster with vaults, by its ARM resource id. @throws ApiProblem */
  async csi(cluster: string): Promise<CsiInspection> {
    return CsiInspection.parse(await (await this.send('GET', `/v1/clusters${cluster}/csi`)).json());
  }

  private async send(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Response> {
    const response = await fetch(this.url + path, {
      method,
      headers: {
        ...headers,
        authorization: `Bearer ${this.token}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (response.ok) return response;
    const problem = Problem.safeParse(await response.json().catch(() => undefined));
    const { code, detail } = problem.data ?? {
      code: 'Unknown',
      detail: `The API answered without a problem document.`,
    };
    throw new ApiProblem(response.status, code, detail);
  }
}

async function operationOf(response: Response): Promise<OperationAnswer> {
  return OperationAnswer.parse(await response.json());
}
