/** The OpenAPI document as one page for people: no scripts, no fonts, nothing loaded from another server. */
import { z } from 'zod';
import { ERRORS } from '../domain/errors';

/** The part of a JSON schema that is shown. */
interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
}

const Schema: z.ZodType<Schema> = z.custom<Schema>((value) => typeof value === 'object' && value !== null);
const Content = z.record(z.string(), z.object({ schema: Schema.optional() })).default({});
const OperationObject = z.object({
  operationId: z.string(),
  summary: z.string(),
  description: z.string().default(''),
  parameters: z
    .array(
      z.object({
        name: z.string(),
        in: z.string(),
        required: z.boolean().default(false),
        description: z.string().default(''),
        schema: Schema.optional(),
      }),
    )
    .default([]),
  requestBody: z.object({ content: Content }).optional(),
  responses: z.record(z.string(), z.object({ description: z.string(), content: Content })),
});
const Document = z.object({
  info: z.object({ title: z.string(), description: z.string() }),
  paths: z.record(z.string(), z.record(z.string(), OperationObject)),
  components: z.object({ schemas: z.record(z.string(), Schema) }),
});

const STYLE = `
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --accent: #2563eb; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1.5rem 1rem 6rem; }
h2 { margin-top: 3rem; border-bottom: 1px solid var(--line); padding-bottom: .3rem; font-size: 1.15rem; }
h2 .method { color: var(--accent); text-transform: uppercase; font-size: .85em; margin-right: .5em; }
code { font: .9em ui-monospace, monospace; overflow-wrap: anywhere; }
p code, td code { background: var(--soft); border-radius: 3px; padding: .1em .3em; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1rem; }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--line); }
th { font-size: .85em; } summary { cursor: pointer; padding: .25rem 0; } details details { margin-left: 1rem; }
td:first-child code { white-space: nowrap; }
a { color: var(--accent); } a:focus-visible, summary:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
`;

/** The page. @param document the OpenAPI document that is served as /openapi.json */
export function docsPage(document: object): string {
  const { info, paths, components } = Document.parse(document);
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  );
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${escape(info.title)} API</title><style>${STYLE}</style></head>
<body>
<main>
<h1>${escape(info.title)} API</h1>
${paragraphs(info.description)}
<p>For programs: <a href="openapi.json">openapi.json</a> (OpenAPI 3.1).</p>
<nav aria-label="Operations"><ul>${operations.map(({ path, method, operation }) => `<li><a href="#${escape(operation.operationId)}"><code>${method.toUpperCase()} ${escape(path)}</code></a> ${escape(operation.summary)}</li>`).join('')}<li><a href="#schemas">Schemas</a></li><li><a href="#errors">Errors</a></li></ul></nav>
${operations.map(({ path, method, operation }) => operationSection(path, method, operation)).join('\n')}
<h2 id="schemas">Schemas</h2>
${Object.entries(components.schemas)
  .map(([name, schema]) => `<h3 id="schema-${escape(name)}">${escape(name)}</h3>${schemaTable(schema)}`)
  .join('\n')}
<h2 id="errors">Errors</h2>
${errorTable()}
</main>
</body>
</html>
`;
}

function operationSection(path: string, method: string, operation: z.infer<typeof OperationObject>): string {
  const bodies = Object.values(operation.requestBody?.content ?? {}).map(({ schema }) =>
    schema ? `<h3>Body</h3>${schemaTable(schema)}` : '',
  );
  return `<section>
<h2 id="${escape(operation.operationId)}"><span class="method">${escape(method)}</span><code>${escape(path)}</code></h2>
<p><strong>${escape(operation.summary)}</strong></p>
${paragraphs(operation.description)}
${
  operation.parameters.length === 0
    ? ''
    : `<h3>Parameters</h3>${table(
        ['Name', 'In', 'Meaning'],
        operation.parameters.map((parameter) => [
          `<code>${escape(parameter.name)}</code>${parameter.required ? '' : ' (optional)'}`,
          escape(parameter.in),
          inline(parameter.description || (parameter.schema?.description ?? '')),
        ]),
      )}`
}
${bodies.join('')}
<h3>Answers</h3>
${table(
  ['Status', 'Meaning', 'Body'],
  Object.entries(operation.responses).map(([status, response]) => [
    escape(status),
    paragraphs(response.description),
    Object.entries(response.content)
      .map(([type, { schema }]) => `${escape(type)}<br>${schema === undefined ? '' : typeOf(schema)}`)
      .join(''),
  ]),
)}
</section>`;
}

function schemaTable(schema: Schema): string {
  if (schema.properties === undefined) return `<p>${typeOf(schema)} ${inline(schema.description ?? '')}</p>`;
  const rows = Object.entries(schema.properties).map(([name, member]) => [
    `<code>${escape(name)}</code>${schema.required?.includes(name) === true ? '' : ' (optional)'}`,
    typeOf(member),
    `${inline(member.description ?? '')}${nested(member)}`,
  ]);
  return `${schema.description === undefined ? '' : paragraphs(schema.description)}${rows.length === 0 ? '<p>No members.</p>' : table(['Member', 'Type', 'Meaning'], rows)}`;
}

/** Members of members, folded. */
function nested(schema: Schema): string {
  const inner = [schema, schema.items, ...(schema.anyOf ?? [])].filter((part) => part?.properties !== undefined);
  return inner
    .map((part) => (part ? `<details><summary>members</summary>${schemaTable(part)}</details>` : ''))
    .join('');
}

function typeOf(schema: Schema): string {
  if (schema.$ref !== undefined) {
    const name = schema.$ref.split('/').at(-1) ?? '';
    return `<a href="#schema-${escape(name)}">${escape(name)}</a>`;
  }
  const [first] = schema.allOf ?? [];
  if (first) return typeOf(first);
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return choices.map(typeOf).join(' or ');
  if (schema.const !== undefined) return `<code>${escape(JSON.stringify(schema.const))}</code>`;
  if (schema.enum !== undefined)
    return schema.enum.map((value) => `<code>${escape(JSON.stringify(value))}</code>`).join(' or ');
  if (schema.items !== undefined) return `list of ${typeOf(schema.items)}`;
  return escape([schema.type ?? 'any'].flat().join(' or '));
}

function errorTable(): string {
  const rows = Object.entries(ERRORS).map(([code, { status, retryable, title }]) => [
    `<code id="error-${escape(code)}">${escape(code)}</code>`,
    String(status),
    retryable ? 'yes' : 'no',
    escape(title),
  ]);
  return table(['Code', 'Status', 'Retryable', 'Meaning'], rows);
}

function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const head = heads.map((text) => `<th scope="col">${escape(text)}</th>`).join('');
  return `<table><thead><tr>${head}</tr></thead><tbody>${rows.map((row) => `<tr>${row.map((cell) => `<td>${cell}</td>`).join('')}</tr>`).join('')}</tbody></table>`;
}

function paragraphs(text: string): string {
  return text
    .split(/\n\s*\n/)
    .map((part) => `<p>${inline(part)}</p>`)
    .join('');
}

/** The one bit of Markdown that descriptions use: code in backticks. */
function inline(text: string): string {
  return escape(text).replaceAll(/`([^`]+)`/g, '<code>$1</code>');
}

function escape(text: string): string {
  const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
  return text.replaceAll(/[&<>"']/g, (character) => entities[character] ?? character);
}
