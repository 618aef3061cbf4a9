/** Translates zod's findings into our own sentences, each with a pointer to its member. */
import { z } from 'zod';
import { isErrorCode, type ErrorCode, type Fault } from '../domain/errors';

type Issue = z.core.$ZodIssue;

/** An answer names this many faults at most; a body of 64 kB can have thousands of unknown members. */
const MOST_FAULTS = 20;

/**
 * The faults of a value that a schema refused, at least one and at most 20. Parse with `reportInput`, which distinguishes a
 * missing member from one of the wrong type. A rule may carry its own code as `params.code`.
 */
export function faultsOfIssues(issues: readonly Issue[]): [Fault, ...Fault[]] {
  const [first, ...others] = issues.flatMap(faultsOf);
  return [
    first ?? { code: 'InvalidRequest', detail: 'The value cannot be used.' },
    ...others.slice(0, MOST_FAULTS - 1),
  ];
}

/**
 * The faults of a body. A union reports only that its discriminator is wrong: then this also checks the members that all its
 * options share, so that one answer names every fault.
 */
export function faultsOfBody(schema: z.ZodType, body: unknown, issues: readonly Issue[]): [Fault, ...Fault[]] {
  const [issue] = issues;
  if (issue?.code !== 'invalid_union' || !(schema instanceof z.ZodDiscriminatedUnion)) return faultsOfIssues(issues);
  const { discriminator } = schema.def;
  const options = schema.options as unknown as readonly z.ZodObject<Record<string, z.ZodType>>[];
  const names = options.flatMap(({ shape }) => {
    const member = shape[discriminator];
    return member instanceof z.ZodLiteral ? [...member.values] : [];
  });
  const given = (body as Readonly<Record<string, unknown>>)[discriminator];
  const own: Fault = {
    code: 'InvalidRequest',
    detail:
      given === undefined
        ? 'This member is required.'
        : `Expected one of ${names.map((name) => JSON.stringify(name)).join(', ')}.`,
    pointer: jsonPointer([discriminator]),
  };
  const guess = options[0]?.safeParse({ ...(body as object), [discriminator]: names[0] }, { reportInput: true });
  const shared = (guess?.error?.issues ?? []).filter(({ path }) =>
    options.every(({ shape }) => shape[String(path[0])] === options[0]?.shape[String(path[0])]),
  );
  return [own, ...shared.flatMap(faultsOf)].slice(0, MOST_FAULTS) as [Fault, ...Fault[]];
}

/** The faults of a query: its parameters are named in the sentences, since a pointer would point into a body. */
export function faultsOfQuery(issues: readonly Issue[]): [Fault, ...Fault[]] {
  const sayParameter = ({ code, detail, pointer = '' }: Fault): Fault => {
    const name = pointer.split('/')[1] ?? '';
    return {
      code,
      detail: `The query parameter ${JSON.stringify(name)}: ${detail.replace(/\bmember(s?)\b/g, 'parameter$1')}`,
    };
  };
  const [first, ...others] = faultsOfIssues(issues);
  return [sayParameter(first), ...others.map(sayParameter)];
}

/** A JSON Pointer (RFC 6901). The empty one is the whole document. */
export function jsonPointer(path: readonly PropertyKey[]): string {
  return path.map((member) => `/${String(member).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}

function faultsOf(issue: Issue): Fault[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      code: 'InvalidRequest',
      detail: 'There is no such member. Keyturn refuses unknown members, so that it never ignores a misspelled option.',
      pointer: jsonPointer([...issue.path, key]),
    }));
  }
  return [{ code: codeOf(issue), detail: sentenceOf(issue), pointer: jsonPointer(issue.path) }];
}

function codeOf(issue: Issue): ErrorCode {
  const code: unknown = issue.code === 'custom' ? issue.params?.['code'] : undefined;
  return typeof code === 'string' && isErrorCode(code) ? code : 'InvalidRequest';
}

function sentenceOf(issue: Issue): string {
  switch (issue.code) {
    case 'custom':
      return issue.message;
    case 'invalid_type':
      return issue.input === undefined ? 'This member is required.' : `Expected ${nameOfType(issue.expected)}.`;
    case 'invalid_value':
      if (issue.input === undefined) return 'This member is required.';
      return `Expected ${issue.values.length === 1 ? '' : 'one of '}${issue.values.map((value) => JSON.stringify(value)).join(', ')}.`;
    case 'too_small':
      return `Expected ${issue.inclusive === false ? 'more than' : 'at least'} ${issue.minimum}${unitOf(issue.origin)}.`;
    case 'too_big':
      return `Expected ${issue.inclusive === false ? 'less than' : 'at most'} ${issue.maximum}${unitOf(issue.origin)}.`;
    case 'invalid_format':
    case 'not_multiple_of':
    case 'unrecognized_keys':
    case 'invalid_union':
    case 'invalid_key':
    case 'invalid_element':
      return 'This value does not have the form that the API document gives.';
  }
}

function nameOfType(type: string): string {
  const names: Record<string, string> = {
    string: 'a text',
    number: 'a number',
    int: 'a whole number',
    boolean: 'true or false',
    object: 'an object',
    array: 'a list',
  };
  return names[type] ?? `a value of type ${type}`;
}

function unitOf(origin: string): string {
  if (origin === 'string') return ' characters';
  return origin === 'array' ? ' entries' : '';
}
