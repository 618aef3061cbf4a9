/**
 * One good request for every operation of the API document. The document is made from the table of routes: a new route is here by
 * itself. What only a test knows (which operation, which cluster) the test gives.
 */
import { z } from 'zod';

/** A request of the document. */
export interface SampleRequest {
  readonly operationId: string;
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly body: unknown;
  /** The name of the schema of its body, where it has one. */
  readonly bodyName: string | undefined;
  /** The codes that the document has for a status. */
  codes(status: number): readonly string[];
}

/** What the document cannot know. */
export interface SampleValues {
  /** The id of an operation; ids of events are made from it. */
  readonly operation: string;
  /** ARM resource id. */
  readonly cluster: string;
  /** Values of other parameters, by name. */
  readonly parameters: Readonly<Record<string, string>>;
  /** Bodies that cannot be made from the schema, by `operationId`. */
  readonly bodies: Readonly<Record<string, unknown>>;
}

const Schema = z.looseObject({
  $ref: z.string().optional(),
  type: z.string().optional(),
  example: z.unknown().optional(),
  const: z.unknown().optional(),
  enum: z.array(z.unknown()).optional(),
  required: z.array(z.string()).default([]),
  properties: z.record(z.string(), z.unknown()).default({}),
});
const Problem = z.object({
  schema: z.object({
    allOf: z.tuple([
      z.unknown(),
      z.object({ properties: z.object({ code: z.object({ enum: z.array(z.string()) }) }) }),
    ]),
  }),
});
const Operation = z.object({
  operationId: z.string(),
  parameters: z
    .array(z.object({ in: z.string(), name: z.string(), required: z.boolean().default(false), schema: z.unknown() }))
    .default([]),
  requestBody: z.object({ content: z.object({ 'application/json': z.object({ schema: z.unknown() }) }) }).optional(),
  responses: z.record(z.string(), z.object({ content: z.record(z.string(), z.unknown()).default({}) })),
});
const Document = z.object({
  paths: z.record(z.string(), z.record(z.string(), Operation)),
  components: z.object({ schemas: z.record(z.string(), z.unknown()) }),
});

/** The requests. @param document as `/openapi.json` has it @throws Error that names a value that must be given */
export function sampleRequests(document: unknown, values: SampleValues): SampleRequest[] {
  const { paths, components } = Document.parse(document);
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      operationId: operation.operationId,
      method: method.toUpperCase(),
      path: pathOf(path, operation, values),
      body: bodyOf(operation, values, components.schemas),
      bodyName: nameOf(operation.requestBody?.content['application/json'].schema),
      codes: (status: number) => codesOf(operation, status),
    })),
  );
}

function pathOf(path: string, { operationId, parameters }: z.infer<typeof Operation>, values: SampleValues): string {
  // The ids of a cluster are parts of its resource id.
  const [, , subscription, , resourceGroup, , , , name] = values.cluster.split('/');
  const given: Readonly<Record<string, string | undefined>> = {
    subscription,
    resourceGroup,
    name,
    ...values.parameters,
  };
  const valueOf = (parameter: string, schema: unknown): string => {
    const { example } = Schema.parse(schema);
    const value = given[parameter] ?? (typeof example === 'string' ? example : undefined);
    if (value === undefined) throw new Error(`Give a value for the parameter ${parameter} of ${operationId}.`);
    return value.replace(/op-[0-9a-f]{26}/, values.operation);
  };
  const needed = parameters.filter(({ required }) => required);
  const query = needed
    .filter((parameter) => parameter.in === 'query')
    .map(({ name: parameter, schema }) => `${parameter}=${encodeURIComponent(valueOf(parameter, schema))}`);
  const at = needed
    .filter((parameter) => parameter.in === 'path')
    .reduce((text, { name: parameter, schema }) => text.replace(`{${parameter}}`, valueOf(parameter, schema)), path);
  return query.length === 0 ? at : `${at}?${query.join('&')}`;
}

function bodyOf(
  { operationId, requestBody }: z.infer<typeof Operation>,
  { bodies }: SampleValues,
  schemas: Readonly<Record<string, unknown>>,
): unknown {
  if (bodies[operationId] !== undefined || requestBody === undefined) return bodies[operationId];
  return valueOfSchema(requestBody.content['application/json'].schema, schemas, operationId);
}

function nameOf(schema: unknown): string | undefined {
  return schema === undefined ? undefined : Schema.parse(schema).$ref?.split('/').at(-1);
}

/** A value with what the schema requires, and nothing more. */
function valueOfSchema(schema: unknown, schemas: Readonly<Record<string, unknown>>, operationId: string): unknown {
  const { $ref, type, example, const: only, enum: some, required, properties } = Schema.parse(schema);
  if ($ref !== undefined) return valueOfSchema(schemas[nameOf(schema) ?? ''], schemas, operationId);
  const known = example ?? only ?? some?.[0];
  if (known !== undefined) return known;
  if (type === 'string') return 'text';
  if (type !== 'object') throw new Error(`Give a body for ${operationId}: its schema is too rich to make one from it.`);
  return Object.fromEntries(
    required.map((member) => [member, valueOfSchema(properties[member], schemas, operationId)]),
  );
}

function codesOf({ responses }: z.infer<typeof Operation>, status: number): readonly string[] {
  const problem = Problem.safeParse(responses[String(status)]?.content['application/problem+json']);
  return problem.data?.schema.allOf[1].properties.code.enum ?? [];
}
