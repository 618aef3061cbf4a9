/**
 * The data plane of Blob Storage, as `@azure/storage-blob` speaks it.
 *
 * Needs: the token service. A caller is any application of the tenant with a token for storage; roles are not asked for.
 * Does: containers, block blobs (Put Blob, Put Block, Put Block List), append blobs, Get, Head, List, Delete.
 */
import express, { Router, type Request, type Response } from 'express';
import { hostRole, STORAGE_AUDIENCE, type AzureCloud } from '../clouds';
import { TokenRejected, type TokenService } from '../entra/tokens';
import { AzureError } from '../errors';
import type { Blob, BlobContainers, BlobPlace } from './containers';

/** Sandbox only: in Azure the policy is set through ARM. */
const IMMUTABLE = 'x-ms-meta-sandboximmutable';

/** Makes the router. @param tenantId named in the challenge of a request without a token */
export function blobRouter(
  containers: BlobContainers,
  tokens: TokenService,
  tenantId: string,
): (request: Request, response: Response, next: (error?: unknown) => void) => void {
  const router = Router();
  router.use(express.raw({ type: () => true, limit: '100mb' }));
  router.use(async (request, response) => {
    const role = hostRole(request.hostname);
    if (role?.kind !== 'blob') throw new Error(`${request.hostname} is no host of blobs.`);
    await authenticate(request, role.cloud, tokens, tenantId);
    const [container = '', ...parts] = request.path.slice(1).split('/');
    const place = { account: role.account, container, blob: decodeURIComponent(parts.join('/')) };
    if (place.blob === '') serveContainer(request, response, place, containers);
    else serveBlob(request, response, place, containers);
  });
  // Storage's errors are XML, with the code in a header, too.
  router.use((error: unknown, _request: Request, response: Response, next: (error: unknown) => void) => {
    if (!(error instanceof AzureError)) return next(error);
    response
      .status(error.status)
      .set({ ...error.options.headers, 'x-ms-error-code': error.code, 'Content-Type': 'application/xml' })
      .send(`${XML}<Error><Code>${error.code}</Code><Message>${escaped(error.message)}</Message></Error>`);
  });
  return router;
}

const XML = '<?xml version="1.0" encoding="utf-8"?>';

function serveContainer(request: Request, response: Response, place: BlobPlace, containers: BlobContainers): void {
  const { account, container } = place;
  if (request.method === 'PUT' && request.query.restype === 'container') {
    containers.createContainer(account, container, { immutable: request.headers[IMMUTABLE] === 'true' });
    response.status(201).set({ ETag: '"0x1"', 'Last-Modified': new Date().toUTCString() }).end();
    return;
  }
  if (request.method === 'GET' && request.query.comp === 'list') {
    const prefix = typeof request.query.prefix === 'string' ? request.query.prefix : '';
    const blobs = containers
      .list(account, container, prefix)
      .map(
        ([name, blob]) =>
          `<Blob><Name>${escaped(name)}</Name><Properties><Last-Modified>${blob.modified.toUTCString()}</Last-Modified><Etag>${escaped(blob.etag)}</Etag><Content-Length>${blob.bytes.length}</Content-Length><BlobType>${blob.type}</BlobType></Properties></Blob>`,
      );
    const body = `${XML}<EnumerationResults ServiceEndpoint="https://${request.hostname}/" ContainerName="${container}"><Blobs>${blobs.join('')}</Blobs><NextMarker /></EnumerationResults>`;
    response.status(200).set('Content-Type', 'application/xml').send(body);
    return;
  }
  throw notServed(request);
}

function serveBlob(request: Request, response: Response, place: BlobPlace, containers: BlobContainers): void {
  const { method } = request;
  const onlyNew = request.headers['if-none-match'] === '*';
  const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
  const created = (blob: Blob, headers: Record<string, string> = {}): void =>
    void response
      .status(201)
      .set({ ...headersOf(blob), ...headers, 'x-ms-request-server-encrypted': 'true' })
      .end();
  if (method === 'GET' || method === 'HEAD') {
    sendBlob(request, response, containers.get(place));
  } else if (method === 'DELETE') {
    containers.delete(place);
    response.status(202).end();
  } else if (method === 'PUT' && request.query.comp === 'block') {
    containers.stageBlock(place, textOf(request.query.blockid), body);
    response.status(201).end();
  } else if (method === 'PUT' && request.query.comp === 'blocklist') {
    const ids = [...body.toString('utf8').matchAll(/<(?:Latest|Uncommitted|Committed)>([^<]*)</g)].map(
      ([, id = '']) => id,
    );
    created(containers.commitBlocks(place, ids, { onlyNew }));
  } else if (method === 'PUT' && request.query.comp === 'appendblock') {
    const at = request.headers['x-ms-blob-condition-appendpos'];
    const { blob, offset } = containers.append(place, body, at === undefined ? undefined : Number(at));
    created(blob, {
      'x-ms-blob-append-offset': String(offset),
      'x-ms-blob-committed-block-count': String(blob.appends),
    });
  } else if (method === 'PUT' && request.query.comp === undefined) {
    const type = request.headers['x-ms-blob-type'];
    if (type !== 'BlockBlob' && type !== 'AppendBlob') throw notServed(request);
    created(containers.put(place, type, body, { onlyNew }));
  } else {
    throw notServed(request);
  }
}

function sendBlob(request: Request, response: Response, blob: Blob): void {
  const { bytes } = blob;
  const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(String(request.headers['x-ms-range'] ?? request.headers.range)) ?? [];
  response.set({ ...headersOf(blob), 'x-ms-blob-type': blob.type, 'Accept-Ranges': 'bytes' });
  response.set('Content-Type', 'application/octet-stream');
  if (request.method === 'HEAD' || from === undefined) {
    response.status(200).set('Content-Length', String(bytes.length));
    response.end(request.method === 'HEAD' ? undefined : bytes);
    return;
  }
  const start = Number(from);
  if (start >= bytes.length)
    throw new AzureError(416, 'InvalidRange', 'The range specified is invalid for the current size of the resource.');
  const end = Math.min(to === undefined || to === '' ? Infinity : Number(to), bytes.length - 1);
  response.status(206).set('Content-Range', `bytes ${start}-${end}/${bytes.length}`);
  response.set('Content-Length', String(end - start + 1)).end(bytes.subarray(start, end + 1));
}

function headersOf({ etag, modified }: Blob): Record<string, string> {
  return { ETag: etag, 'Last-Modified': modified.toUTCString() };
}

async function authenticate(
  request: Request,
  { loginHost }: AzureCloud,
  tokens: TokenService,
  tenantId: string,
): Promise<void> {
  const token = /^bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1];
  const challenge = `Bearer authorization_uri=https://${loginHost}/${tenantId}/oauth2/authorize resource_id=${STORAGE_AUDIENCE}`;
  const refuse = (message: string): AzureError =>
    new AzureError(401, 'InvalidAuthenticationInfo', message, { headers: { 'WWW-Authenticate': challenge } });
  if (token === undefined) throw refuse('Server failed to authenticate the request.');
  try {
    await tokens.verifyAppToken(token, [STORAGE_AUDIENCE]);
  } catch (error) {
    if (!(error instanceof TokenRejected)) throw error;
    throw refuse(`Server failed to authenticate the request: ${error.reason} (${error.message}).`);
  }
}

/** A parameter that is given once. */
function textOf(parameter: unknown): string {
  return typeof parameter === 'string' ? parameter : '';
}

function notServed({ method, path }: Request): AzureError {
  return new AzureError(400, 'SandboxNotServed', `The sandbox's Blob Storage does not serve ${method} ${path}.`);
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
