/**
 * The instance metadata service (IMDS) of a node, for the processes of its pods: tokens of the scale set's identities.
 *
 * Needs: who gives the tokens.
 * Does: answers `GET /metadata/identity/oauth2/token` on a port of this machine, which pods find by
 *       `AZURE_POD_IDENTITY_AUTHORITY_HOST`, the variable that Azure's libraries know: nothing here can have 169.254.169.254.
 * Never does: any other metadata.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { decodeJwt } from 'jose';
import { messageOf } from '../../message-of';
import { TokenRefused, type InstanceTokens } from './contract';

/** A running service. */
export interface MetadataService {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  close(): Promise<void>;
}

/** Starts it on a free port of 127.0.0.1. */
export async function startMetadataService(tokens: InstanceTokens): Promise<MetadataService> {
  const server = createServer((request, response) => {
    answer(tokens, request).then(
      ({ status, body }) => send(response, status, body),
      (error: unknown) =>
        send(response, 500, JSON.stringify({ error: 'unknown', error_description: messageOf(error) })),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function answer(
  tokens: InstanceTokens,
  request: IncomingMessage,
): Promise<{ readonly status: number; readonly body: string }> {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://imds');
  const refuse = (error_description: string): { status: number; body: string } => ({
    status: 400,
    body: JSON.stringify({ error: 'invalid_request', error_description }),
  });
  if (pathname !== '/metadata/identity/oauth2/token') return { status: 404, body: '{"error":"not_found"}' };
  if (request.headers['metadata'] !== 'true') return refuse('Required metadata header not specified');
  const resource = searchParams.get('resource') ?? '';
  if (resource === '') return refuse("Required audience parameter not specified: 'resource'");
  try {
    const token = await tokens.tokenFor({ clientId: searchParams.get('client_id') ?? undefined, resource });
    const { exp = 0, nbf = 0, appid } = decodeJwt(token);
    const expiresIn = String(exp - Math.floor(Date.now() / 1000));
    const body = {
      access_token: token,
      client_id: appid,
      expires_in: expiresIn,
      expires_on: String(exp),
      ext_expires_in: expiresIn,
      not_before: String(nbf),
      resource,
      token_type: 'Bearer',
    };
    return { status: 200, body: JSON.stringify(body) };
  } catch (error) {
    if (!(error instanceof TokenRefused)) throw error;
    return { status: error.status, body: error.body };
  }
}

function send(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(body);
}
