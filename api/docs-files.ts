/**
 * The page of the API document for people: Swagger UI, served by this process.
 *
 * Does: reads the files of the package once, and gives each an entity tag.
 * Never does: load anything from another server, run a script that is not a file of ours, or send a request that changes something.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** A file, ready to be sent. */
export interface StaticFile {
  readonly bytes: Buffer;
  readonly mediaType: string;
  /** With its quotation marks. */
  readonly eTag: string;
}

/**
 * What the page may do: load from its own origin, and read there. Swagger UI has its small pictures as data in its style sheet.
 */
export const DOCS_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/**
 * The page reads only: a token that is pasted into it must not approve anything by a click on the wrong button. It asks nobody whether
 * the document is valid, and remembers no token.
 */
const START = `window.addEventListener('load', () => {
  window.ui = SwaggerUIBundle({
    url: new URL('../openapi.json', START).href,
    dom_id: '#page',
    deepLinking: true,
    supportedSubmitMethods: ['get'],
    validatorUrl: null,
    persistAuthorization: false,
    defaultModelsExpandDepth: 0,
    docExpansion: 'list',
  });
});
`;
const SCRIPT = `const START = document.currentScript.src;\n${START}`;

/** The page. Behind a proxy that puts a path in front, only addresses from the page on are right. @param folder of its files */
function page(folder: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Keyturn API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="${folder}swagger-ui.css">
</head>
<body>
<div id="page"><noscript>This page needs JavaScript. The document itself is openapi.json.</noscript></div>
<script src="${folder}swagger-ui-bundle.js"></script>
<script src="${folder}start.js"></script>
</body>
</html>
`;
}

const JAVASCRIPT = 'text/javascript; charset=utf-8';
/** The files beside the page. Read when the first API of the process is made, and kept. */
const FILES = {
  'swagger-ui.css': () => fileOf(ofPackage('swagger-ui.css'), 'text/css; charset=utf-8'),
  'swagger-ui-bundle.js': () => fileOf(ofPackage('swagger-ui-bundle.js'), JAVASCRIPT),
  'start.js': () => fileOf(Buffer.from(SCRIPT), JAVASCRIPT),
} as const;
const read = new Map<string, StaticFile>();

/** The names of the files below `/docs/`. */
export const DOCS_FILES = Object.keys(FILES) as (keyof typeof FILES)[];

/** A file below `/docs/`. */
export function docsFile(name: keyof typeof FILES): StaticFile {
  const file = read.get(name) ?? FILES[name]();
  read.set(name, file);
  return file;
}

/** The page itself. @param path as it was asked for: `/docs` or `/docs/` */
export function docsPage(path: string): StaticFile {
  return fileOf(Buffer.from(page(path.endsWith('/') ? '' : 'docs/')), 'text/html; charset=utf-8');
}

/** Bytes with their entity tag. */
export function fileOf(bytes: Buffer, mediaType: string): StaticFile {
  return { bytes, mediaType, eTag: `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"` };
}

/** Whether a client that sends `If-None-Match` has this already (RFC 9110, 13.1.2). */
export function isKnown(ifNoneMatch: string | undefined, eTag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  const tags = ifNoneMatch.split(',').map((tag) => tag.trim().replace(/^W\//, ''));
  return tags.includes('*') || tags.includes(eTag);
}

function ofPackage(name: string): Buffer {
  return readFileSync(require.resolve(`swagger-ui-dist/${name}`));
}
