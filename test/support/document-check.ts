/**
 * Holds responses against the API's own document: status, content type, headers and body.
 *
 * The document comes from the API that answered, so that it is the one that clients read.
 */
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020';
import formats from 'ajv-formats';
import { z } from 'zod';

const HeaderObject = z.looseObject({ required: z.boolean().default(false), schema: z.looseObject({}) });
const ResponseObject = z.looseObject({
  headers: z.record(z.string(), HeaderObject).default({}),
  content: z.record(z.string(), z.unknown()).default({}),
});
const Document = z.looseObject({
  paths: z.record(z.string(), z.record(z.string(), z.looseObject({ responses: z.record(z.string(), ResponseObject) }))),
  components: z.looseObject({ schemas: z.looseObject({ Problem: z.unknown() }) }),
});

/** A response, read. */
export interface ReadResponse {
  readonly method: string;
  /** Without its query. */
  readonly path: string;
  readonly status: number;
  readonly headers: Headers;
  /** Undefined for a stream of events, which has no end. */
  readonly text: string | undefined;
}

/** What every HTTP response may have: how it is sent, and what browsers may do with it. */
const OF_ANY_RESPONSE =
  /^(?:date|connection|keep-alive|content-(?:type|length|security-policy)|transfer-encoding|cache-control|vary|strict-transport-security|referrer-policy|origin-agent-cluster|cross-origin-.*|x-content-type-options|x-dns-prefetch-control|x-download-options|x-frame-options|x-permitted-cross-domain-policies|x-xss-protection)$/;
const DOCUMENT_ID = 'openapi.json';

/** A document, ready to hold responses against it. Schemas are compiled when a response needs them. */
export class DocumentCheck {
  readonly #document: z.infer<typeof Document>;
  // Not optimized: each test file compiles anew, and few responses go through it.
  readonly #ajv = new Ajv2020({ strict: false, allErrors: true, validateSchema: false, code: { optimize: false } });
  readonly #compiled = new Map<string, ValidateFunction>();
  readonly #paths: readonly { readonly path: string; readonly pattern: RegExp }[];

  /** @param document as `/openapi.json` has it */
  constructor(document: unknown) {
    this.#document = Document.parse(document);
    formats(this.#ajv);
    // The whole document under one id, so that the references in it are found.
    this.#ajv.addSchema(document as object, DOCUMENT_ID);
    // `{id}:approve` comes before `{id}`, which has its texts, too.
    const hasVerb = (path: string): number => Number(/:\w+$/.test(path));
    this.#paths = Object.keys(this.#document.paths)
      .sort((one, other) => hasVerb(other) - hasVerb(one))
      .map((path) => ({ path, pattern: patternOf(path) }));
  }

  /** What the document does not say of a response; empty when the response is as documented. */
  faultsOf(response: ReadResponse): string[] {
    const { status, headers, text } = response;
    const asked = response.method.toLowerCase();
    const method = asked === 'head' ? 'get' : asked;
    const path = this.#paths.find(({ pattern }) => pattern.test(response.path))?.path;
    if (path === undefined || this.#document.paths[path]?.[method] === undefined) {
      // Where there is no such operation: the answers that none documents.
      const other = path !== undefined;
      const lacksAllow = status === 405 && headers.get('allow') === null;
      return [
        ...(status === 404 || (status === 405 && other)
          ? []
          : [`status ${status} where the document has no such operation`]),
        ...(lacksAllow ? ['the header allow is missing'] : []),
        ...(asked === 'head' ? [] : this.#bodyFaults(['components', 'schemas', 'Problem'], text)),
      ];
    }
    const documented = this.#document.paths[path]?.[method]?.responses[String(status)];
    if (documented === undefined) return [`status ${status} is not documented`];
    const at = ['paths', path, method, 'responses', String(status)];
    return [
      ...this.#headerFaults(documented.headers, headers, at),
      ...this.#contentFaults(documented.content, response, at),
    ];
  }

  #headerFaults(
    documented: Readonly<Record<string, z.infer<typeof HeaderObject>>>,
    headers: Headers,
    at: readonly string[],
  ): string[] {
    const names = new Map(Object.keys(documented).map((name) => [name.toLowerCase(), name]));
    const extra = [...headers.keys()].filter((name) => !names.has(name) && !OF_ANY_RESPONSE.test(name));
    return [
      ...extra.map((name) => `the header ${name} is not documented`),
      ...[...names.values()].flatMap((name) => {
        const value = headers.get(name);
        if (value === null) return documented[name]?.required === true ? [`the header ${name} is missing`] : [];
        // A header is text; a schema for a number is meant for the number in it.
        const read = documented[name]?.schema.type === 'integer' ? Number(value) : value;
        return this.#schemaFaults([...at, 'headers', name, 'schema'], read, `header ${name}`);
      }),
    ];
  }

  #contentFaults(
    documented: Readonly<Record<string, unknown>>,
    { headers, text, method }: ReadResponse,
    at: readonly string[],
  ): string[] {
    const sent = headers.get('content-type');
    if (Object.keys(documented).length === 0) {
      return (text ?? '') === '' ? [] : ['a body where the document has none'];
    }
    const type = Object.keys(documented).find((each) => sent !== null && mediaType(each) === mediaType(sent));
    if (type === undefined) {
      return [`content type ${sent ?? 'none'} instead of ${Object.keys(documented).join(' or ')}`];
    }
    if (method.toLowerCase() === 'head') return [];
    if (!/[/+]json$/.test(mediaType(type))) return [];
    return this.#bodyFaults([...at, 'content', type, 'schema'], text);
  }

  #bodyFaults(at: readonly string[], text: string | undefined): string[] {
    if (text === undefined) return [];
    let body: unknown;
    try {
      body = JSON.parse(text);
    } catch {
      return ['the body is not JSON'];
    }
    return this.#schemaFaults(at, body, 'body');
  }

  #schemaFaults(at: readonly string[], value: unknown, what: string): string[] {
    const pointer = at.map((part) => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'))).join('/');
    const validate = this.#compiled.get(pointer) ?? this.#ajv.compile({ $ref: `${DOCUMENT_ID}#/${pointer}` });
    this.#compiled.set(pointer, validate);
    if (validate(value)) return [];
    return (validate.errors ?? [])
      .slice(0, 5)
      .map(
        ({ instancePath, message, params }) =>
          `${what}${instancePath} ${message ?? 'does not fit'} ${JSON.stringify(params)}`,
      );
  }
}

function mediaType(contentType: string): string {
  return (contentType.split(';', 1)[0] ?? '').trim().toLowerCase();
}

/** Express takes paths without regard to case, and with a slash at the end. */
function patternOf(path: string): RegExp {
  const escaped = path.replaceAll(/[.*+?^$()|[\]\\]/g, '\\$&').replaceAll(/\{\w+\}/g, '[^/]+');
  return new RegExp(`^${escaped}/?$`, 'i');
}
