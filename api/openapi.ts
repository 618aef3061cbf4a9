/** The OpenAPI document, made from the route table, so that it documents exactly what the API serves. */
import {
  createDocument,
  type ZodOpenApiMediaTypeObject,
  type ZodOpenApiOperationObject,
  type ZodOpenApiResponseObject,
  type ZodOpenApiResponsesObject,
} from 'zod-openapi';
import type { z } from 'zod';
import { ERRORS, type ErrorCode } from '../domain/errors';
import { Role } from '../domain/people';
import { headersOfAnswer, headersOfProblem } from './documented-headers';
import { ProblemDocument } from './problem';
import { codesOf, type DocumentedAnswer, type RouteFacts } from './route';

const DESCRIPTION = `Rotates the KMS encryption keys under live AKS clusters, and proves that no Secret was left behind.

Ask for a change and read its plan. An approver who is not the requester approves exactly that plan. Follow the operation to its end and keep its signed evidence. Every answer that is not a success is a problem document (RFC 9457) with a stable \`code\`. A method that a path does not have is answered with 405 and \`Allow\`, also without a token.`;

/** The OpenAPI 3.1 document of a route table. */
export function openApiDocument(routes: readonly RouteFacts[]): object {
  const paths: Record<string, Record<string, ZodOpenApiOperationObject>> = {};
  for (const route of routes) {
    paths[route.path] = { ...paths[route.path], [route.method]: operationOf(route) };
  }
  return createDocument(
    {
      openapi: '3.1.0',
      info: { title: 'Keyturn', version: '1', description: DESCRIPTION },
      paths,
      components: {
        schemas: { Problem: ProblemDocument },
        securitySchemes: {
          entra: {
            type: 'http',
            scheme: 'bearer',
            bearerFormat: 'JWT',
            description: `A v2.0 access token of Entra ID with one of the app roles ${Object.values(Role).join(', ')}.`,
          },
        },
      },
    },
    // A schema that is read and written (the request within an operation) has defaults in one direction only.
    { outputIdSuffix: 'View' },
  );
}

function operationOf(route: RouteFacts): ZodOpenApiOperationObject {
  const needs =
    route.roles === 'public'
      ? 'Needs no token.'
      : `Needs ${route.roles.length === 1 ? 'the role' : 'one of the roles'} ${route.roles.join(', ')}.`;
  return {
    operationId: route.operationId,
    tags: [tagOf(route.path)],
    summary: route.summary,
    description: [route.description, needs].filter((text) => text !== undefined).join('\n\n'),
    security: route.roles === 'public' ? [] : [{ entra: [] }],
    requestParams: {
      ...(route.params === undefined ? {} : { path: route.params }),
      ...(route.query === undefined ? {} : { query: route.query }),
      ...(route.headers === undefined ? {} : { header: route.headers.documented }),
    },
    ...(route.body === undefined
      ? {}
      : {
          requestBody: { required: !takesNothing(route.body), content: { 'application/json': { schema: route.body } } },
        }),
    responses: {
      ...Object.fromEntries(route.answers.map((answer) => [String(answer.status), answerOf(route, answer)])),
      ...problemsOf(route),
    },
  };
}

/** Where the page for people shows a route: Operations, Clusters and so on, by the first part of its path. */
function tagOf(path: string): string {
  const [, first] = /^\/v1\/([a-z]+)/.exec(path) ?? [];
  return first === undefined ? 'Service' : `${first.charAt(0).toUpperCase()}${first.slice(1)}`;
}

function answerOf(route: RouteFacts, answer: DocumentedAnswer): ZodOpenApiResponseObject {
  const { description, mediaType = 'application/json', schema, empty = false } = answer;
  return {
    description,
    headers: headersOfAnswer(route, answer),
    ...(empty ? {} : { content: { [mediaType]: contentOf(mediaType, schema) } }),
  };
}

/** A stream of events has no schema in OpenAPI 3.1: it is neither one value nor one text. */
function contentOf(mediaType: string, schema: z.ZodType | undefined): ZodOpenApiMediaTypeObject {
  return mediaType === 'text/event-stream' ? {} : { schema: schema ?? { type: 'string' } };
}

/** One response for each status, with exactly the codes that this route can answer with. */
function problemsOf(route: RouteFacts): ZodOpenApiResponsesObject {
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of codesOf(route)) {
    const { status } = ERRORS[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  const responses = [...byStatus]
    .sort(([a], [b]) => a - b)
    .map(([status, codes]) => [String(status), problemResponse(route, status, codes)]);
  return Object.fromEntries(responses) as ZodOpenApiResponsesObject;
}

function problemResponse(route: RouteFacts, status: number, codes: readonly ErrorCode[]): ZodOpenApiResponseObject {
  return {
    description: codes.map((code) => `\`${code}\`: ${ERRORS[code].title}`).join('\n\n'),
    headers: headersOfProblem(route, status, codes),
    content: {
      'application/problem+json': {
        schema: {
          allOf: [
            { $ref: '#/components/schemas/Problem' },
            { type: 'object', properties: { code: { enum: [...codes] } } },
          ],
        },
      },
    },
  };
}

function takesNothing(body: z.ZodType): boolean {
  return body.safeParse({}).success;
}
