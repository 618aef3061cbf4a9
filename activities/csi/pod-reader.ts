/**
 * What the programs of Keyturn's pods have in common: they read the vault themselves, as the identity of the pod, and compare.
 *
 * Needs: Node.js 18 or newer, and the variables of `PodEnvironment`. Nothing else: it is sent as text, `node -e`.
 * Does: what the Azure provider does with an object, from its own reading of the vault.
 * Never does: write a value, a hash of a value, or a token anywhere. What leaves the pod is versions and words.
 */
import type * as Crypto from 'node:crypto';
import type * as Fs from 'node:fs';
import type * as Http from 'node:http';
import type * as Https from 'node:https';
import type { Socket } from 'node:net';
import type * as Tls from 'node:tls';
import type { CsiObject, ObjectType } from '../../domain/csi/objects';

/** The variables of every program. None is secret. */
export interface PodEnvironment {
  /** Where the class is mounted. */
  readonly KEYTURN_MOUNT: string;
  /** `https://NAME.vault.azure.net` */
  readonly KEYTURN_VAULT: string;
  /** The file for the report: the termination message of the container. */
  readonly KEYTURN_REPORT: string;
  /** The folder with the token of the service account, as `token`; empty: the identity is one of the node. */
  readonly KEYTURN_TOKEN: string;
  /** Of workload identity. Without it, and with an identity of the node, the system-assigned one. */
  readonly AZURE_CLIENT_ID: string;
  readonly AZURE_TENANT_ID: string;
  /** `https://login.microsoftonline.com` */
  readonly AZURE_AUTHORITY_HOST: string;
}

/** `require`. */
export type Load = (name: string) => unknown;
/** An answer of the vault. */
export type Bundle = Record<string, unknown>;

/** A vault that is read with one token. */
export interface OpenVault {
  /** @param path or a whole URL of the vault @throws a failure with Azure's own code */
  readonly read: (path: string) => Promise<Bundle>;
  /** Whether a file is what the provider makes of a version. */
  readonly isSame: (object: CsiObject, bundle: Bundle, version: string, file: Buffer) => Promise<boolean>;
}

/** What a program gets. */
export interface PodReader {
  /** A variable; empty when it is not set. */
  readonly of: (name: string) => string;
  /** A failure with a word that may leave the pod. */
  readonly failure: (word: unknown, otherwise: string) => Error;
  /** The word of any error. */
  readonly wordOf: (error: unknown) => string;
  /** The last part of an id. */
  readonly versionIn: (id: unknown) => string;
  /** The first part of the path of objects. */
  readonly collections: Readonly<Record<ObjectType, string>>;
  readonly open: () => Promise<OpenVault>;
}

/** The whole text for `node -e`. @param main refers to nothing outside of itself */
export function programText(main: (load: Load, process: NodeJS.Process, reader: PodReader) => Promise<void>): string {
  return `(${main.toString()})(require, process, (${podReader.toString()})(require, process))`;
}

/** Refers to nothing outside of itself: its text is all that the pod gets. */
function podReader(load: Load, process: NodeJS.Process): PodReader {
  const crypto = load('node:crypto') as typeof Crypto;
  const fs = load('node:fs') as typeof Fs;
  const http = load('node:http') as typeof Http;
  const https = load('node:https') as typeof Https;
  const tls = load('node:tls') as typeof Tls;

  const { env } = process;
  const of = (name: string): string => env[name] ?? env[name.toLowerCase()] ?? '';
  const vault = new URL(of('KEYTURN_VAULT'));
  const LONGEST_ANSWER_IN_MS = 20_000;
  const TRIES = 3;
  const collections = { secret: 'secrets', key: 'keys', cert: 'certificates' } as const;

  /** A failure with a word that may leave the pod: a code of Azure or of Node, and no other text. */
  const failure = (word: unknown, otherwise: string): Error => {
    const isWord = typeof word === 'string' && /^[A-Za-z0-9_]{1,60}$/.test(word);
    return Object.assign(new Error(), { word: isWord ? word : otherwise });
  };
  const wordOf = (error: unknown): string => {
    const { word, code } = error as { word?: string; code?: unknown };
    return word ?? (typeof code === 'string' && /^[A-Z0-9_]{1,60}$/.test(code) ? code : 'UnexpectedError');
  };

  /** Clusters with an HTTP proxy put its address into every pod. */
  const proxyFor = (host: string): URL | undefined => {
    const given = of('HTTPS_PROXY');
    const direct = of('NO_PROXY')
      .split(',')
      .map((one) => one.trim().replace(/^\*?\./, ''))
      .some((one) => one === '*' || (one !== '' && (host === one || host.endsWith(`.${one}`))));
    return given === '' || direct ? undefined : new URL(given);
  };
  const tunnel = (proxy: URL, host: string): Promise<Socket> =>
    new Promise((resolve, reject) => {
      const { username, password } = proxy;
      const login = Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString('base64');
      const asked = (proxy.protocol === 'https:' ? https : http).request({
        host: proxy.hostname,
        port: proxy.port || (proxy.protocol === 'https:' ? 443 : 80),
        method: 'CONNECT',
        path: `${host}:443`,
        headers: { host: `${host}:443`, ...(username === '' ? {} : { 'proxy-authorization': `Basic ${login}` }) },
        timeout: LONGEST_ANSWER_IN_MS,
      });
      asked.on('connect', (answer, socket) => {
        if (answer.statusCode === 200) resolve(socket);
        else reject(failure(`ProxyHttp${answer.statusCode}`, 'ProxyRefused'));
      });
      asked.on('timeout', () => asked.destroy(failure('TimedOut', 'TimedOut')));
      asked.on('error', reject);
      asked.end();
    });

  const askOnce = async (
    url: URL,
    headers: Record<string, string>,
    form?: string,
  ): Promise<{ status: number; body: Bundle }> => {
    const proxy = url.protocol === 'https:' ? proxyFor(url.hostname) : undefined;
    const socket = proxy && (await tunnel(proxy, url.hostname));
    return await new Promise((resolve, reject) => {
      const options = {
        method: form === undefined ? 'GET' : 'POST',
        headers: form === undefined ? headers : { ...headers, 'content-type': 'application/x-www-form-urlencoded' },
        timeout: LONGEST_ANSWER_IN_MS,
        // With an agent, Node.js ignores the connection that it is given.
        ...(socket
          ? { createConnection: () => tls.connect({ socket, servername: url.hostname }) }
          : { agent: false as const }),
      };
      const asked = (url.protocol === 'https:' ? https : http).request(url, options, (answer) => {
        const parts: Buffer[] = [];
        answer.on('data', (part: Buffer) => parts.push(part));
        answer.on('error', reject);
        answer.on('end', () => {
          let body: Bundle = {};
          try {
            body = JSON.parse(Buffer.concat(parts).toString()) as Bundle;
          } catch {
            // An error page of something in between: its status says enough.
          }
          resolve({ status: answer.statusCode ?? 0, body });
        });
      });
      asked.on('timeout', () => asked.destroy(failure('TimedOut', 'TimedOut')));
      asked.on('error', reject);
      asked.end(form);
    });
  };
  /** @throws a failure with Azure's own code */
  const ask = async (url: URL, headers: Record<string, string> = {}, form?: string): Promise<Bundle> => {
    for (let attempt = 1; ; attempt++) {
      const isLast = attempt === TRIES;
      const answer = await askOnce(url, headers, form).catch((error: unknown) => {
        if (isLast) throw error;
        return undefined;
      });
      if (answer?.status === 200) return answer.body;
      if (answer && (isLast || (answer.status !== 429 && answer.status < 500))) {
        const { error, error_description: said } = answer.body as { error?: unknown; error_description?: string };
        const { code, innererror } = (error ?? {}) as { code?: unknown; innererror?: { code?: unknown } };
        const entra = /AADSTS\d{4,9}/.exec(said ?? '')?.[0];
        throw failure(innererror?.code ?? code ?? entra ?? error, `Http${answer.status}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  };

  const tokenOf = async (): Promise<string> => {
    const resource = `https://${vault.hostname.split('.').slice(1).join('.')}`;
    const clientId = of('AZURE_CLIENT_ID');
    const folder = of('KEYTURN_TOKEN');
    if (folder === '') {
      // The variable is the one that Azure's own libraries know.
      const host = of('AZURE_POD_IDENTITY_AUTHORITY_HOST') || 'http://169.254.169.254';
      const url = new URL('/metadata/identity/oauth2/token', host);
      url.searchParams.set('api-version', '2018-02-01');
      url.searchParams.set('resource', resource);
      if (clientId !== '') url.searchParams.set('client_id', clientId);
      return String((await ask(url, { Metadata: 'true' }))['access_token']);
    }
    const form = new URLSearchParams({
      client_id: clientId,
      scope: `${resource}/.default`,
      grant_type: 'client_credentials',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: fs.readFileSync(`${folder}/token`, 'utf8').trim(),
    });
    const url = new URL(`/${of('AZURE_TENANT_ID')}/oauth2/v2.0/token`, of('AZURE_AUTHORITY_HOST'));
    return String((await ask(url, {}, form.toString()))['access_token']);
  };

  /** A secret of a certificate is a PFX; the provider makes key and chain of it. The key must be the one of the vault's certificate. */
  const isThatPfx = async (file: Buffer, pfx: Buffer, certificate: () => Promise<Buffer>): Promise<boolean> => {
    const text = file.toString();
    const leaf = new crypto.X509Certificate(text.slice(Math.max(0, text.indexOf('-----BEGIN CERTIFICATE-----'))));
    if (!leaf.checkPrivateKey(crypto.createPrivateKey(text))) return false;
    let held: Buffer;
    try {
      const secure: unknown = tls.createSecureContext({ pfx, passphrase: '' });
      held = (secure as { context: { getCertificate(): Buffer } }).context.getCertificate();
    } catch {
      // OpenSSL 3 does not open the older ciphers of PFX files; the certificate itself says the same.
      held = await certificate();
    }
    return leaf.raw.equals(held);
  };

  const versionIn = (id: unknown): string => String(id).split('/').at(-1) ?? '';

  /** With a fresh token of the identity. */
  const open = async (): Promise<OpenVault> => {
    const headers = { authorization: `Bearer ${await tokenOf()}` };
    const read = async (path: string): Promise<Bundle> => {
      const url = new URL(path, vault);
      if (url.origin !== vault.origin) throw failure('LinkLeavesVault', '');
      if (!url.searchParams.has('api-version')) url.searchParams.set('api-version', '7.4');
      return await ask(url, headers);
    };
    const certificateOf = async (name: string, version: string): Promise<Buffer> =>
      Buffer.from(String((await read(`/certificates/${name}/${version}`))['cer']), 'base64');
    const isSame = async (object: CsiObject, bundle: Bundle, version: string, file: Buffer): Promise<boolean> => {
      const { objectType, objectName } = object;
      if (objectType === 'cert') {
        return new crypto.X509Certificate(file).raw.equals(Buffer.from(String(bundle['cer']), 'base64'));
      }
      if (objectType === 'key') {
        const { kty = '', n, e, crv, x, y } = bundle['key'] as Record<string, string | undefined>;
        const curve = crv === 'P-256K' ? 'secp256k1' : crv;
        const key = kty.startsWith('RSA') ? { kty: 'RSA', n, e } : { kty: 'EC', crv: curve, x, y };
        return crypto.createPublicKey(file).equals(crypto.createPublicKey({ key, format: 'jwk' }));
      }
      const value = String(bundle['value']);
      const isPfx = typeof bundle['kid'] === 'string' && bundle['contentType'] === 'application/x-pkcs12';
      if (isPfx && object.objectFormat !== 'pfx') {
        return await isThatPfx(file, Buffer.from(value, 'base64'), () => certificateOf(objectName, version));
      }
      const encoding = object.objectEncoding ?? 'utf-8';
      return file.equals(Buffer.from(value, encoding === 'utf-8' ? 'utf8' : encoding));
    };
    return { read, isSame };
  };

  return { of, failure, wordOf, versionIn, collections, open };
}
