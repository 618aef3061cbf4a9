import { describe, expect, it } from '@jest/globals';
import { metricsKeyIdHash } from '../../domain/resource-ids';
import { toFailure } from '../../activities/failures';
import { kubeErrorFrom, parseAnswer } from '../../activities/kubernetes/errors';
import { parseKubeconfig } from '../../activities/kubernetes/kubeconfig';
import { apiServerIdHash, parseServerMetrics } from '../../activities/kubernetes/servers';

const pem = Buffer.from('pem').toString('base64');
const kubeconfig = (cluster: string, user: string): string => `apiVersion: v1
kind: Config
current-context: c
contexts: [{name: c, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {${cluster}}}]
users: [{name: u, user: {${user}}}]
`;
const good = `server: "https://c.example:443/", certificate-authority-data: ${pem}`;

describe('a kubeconfig', () => {
  it('is read when everything is in it', () => {
    expect(parseKubeconfig(kubeconfig(good, `client-certificate-data: ${pem}, client-key-data: ${pem}`))).toMatchObject(
      {
        server: 'https://c.example:443',
        ca: 'pem',
        cert: 'pem',
        key: 'pem',
      },
    );
    expect(parseKubeconfig(kubeconfig(good, 'token: t'))).toMatchObject({ token: 't' });
  });

  it('is refused when it would run a program, read files, trust anybody or send in the clear', () => {
    const users = [
      'exec: {apiVersion: v1, command: /bin/true}',
      'client-certificate: /etc/passwd, client-key: /etc/passwd',
    ];
    for (const user of users)
      expect(() => parseKubeconfig(kubeconfig(good, user))).toThrow('neither a client certificate');
    const clusters = ['server: "https://c"', `${good}, insecure-skip-tls-verify: true`, good.replace('https', 'http')];
    for (const cluster of clusters)
      expect(() => parseKubeconfig(kubeconfig(cluster, 'token: t'))).toThrow('which certificate authority');
    expect(() => parseKubeconfig('{')).toThrow('cannot be read');
  });
});

describe('messages of an API server', () => {
  const MARK = 'hunter2hunter2';
  /** As an API server writes them around words that others chose. */
  const QUOTING: readonly (readonly [number, string, string])[] = [
    [403, 'Forbidden', `admission webhook "w.example" denied the request: password is ${MARK}`],
    [403, MARK, `admission webhook "w.example" denied the request: ${MARK}`],
    [
      422,
      'Invalid',
      `secrets "x" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: ${MARK}`,
    ],
    [
      500,
      'InternalError',
      `Internal error occurred: failed calling webhook "w.example": failed to call webhook: an error on the server ("policy engine: password ${MARK} is too weak") has prevented the request from succeeding`,
    ],
    [
      500,
      'InternalError',
      `Internal error occurred: failed calling webhook "w.example": failed to call webhook: the server rejected our request for an unknown reason ("data.password=${MARK}")`,
    ],
    [
      500,
      'InternalError',
      `Internal error occurred: failed calling webhook "w.example": "/registry/secrets/n/${MARK}" denied the request: User "${MARK}" cannot patch resource "secrets"`,
    ],
    [422, 'Invalid', `Secret "x" is invalid: data[a]: Invalid value: "${MARK}": too bad`],
    [422, 'Invalid', `Secret "x" is invalid: type: Unsupported value: "${MARK}": supported values: "a"`],
    [422, 'Invalid', `Secret "x" is invalid: metadata.finalizers[0]: Duplicate value: "${MARK}"`],
    [403, 'Forbidden', `secrets "x" is forbidden: some plugin says ${MARK}`],
    [413, 'RequestEntityTooLarge', `${MARK}: limit is 3145728`],
    [500, 'InternalError', `Internal error occurred: unable to transform key "/registry/secrets/n/x": ${MARK}`],
    [500, 'InternalError', `Internal error occurred: failed to encrypt DEK: ${MARK}`],
    [418, MARK, MARK],
  ];

  it.each(QUOTING)('%i %s %s is told without the words of others', (status, reason, message) => {
    const causes = [
      { reason: 'FieldValueInvalid', message: MARK, field: 'data[a]' },
      { reason: MARK, message: MARK, field: 'data[b]' },
      { reason: 'FieldValueInvalid', message: MARK, field: `data[${MARK}!]` },
    ];
    const body = JSON.stringify({ reason, message, details: { causes } });
    const error = kubeErrorFrom(status, body, undefined);
    const failure = toFailure(error, { doing: 'Trying' }) as Error;
    expect(
      [error.message, error.reason, error.stack, failure.message, failure.stack, String(failure.cause)].join(),
    ).not.toContain(MARK);
    expect(error.message).toMatch(/^[A-Z].*\.$/);
  });

  it('name the webhook, the policy, the user, the namespace, the record and the fields', () => {
    const told = (status: number, message: string, causes: unknown[] = []): string =>
      kubeErrorFrom(status, JSON.stringify({ message, details: { causes } }), undefined).message;
    expect(told(403, 'admission webhook "w.example" denied the request: x')).toContain(
      'The admission webhook w.example denied',
    );
    expect(told(500, 'Internal error occurred: failed calling webhook "w.example": x')).toContain(
      'The admission webhook w.example failed',
    );
    expect(
      told(422, `secrets "x" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: y`),
    ).toContain('ValidatingAdmissionPolicy p with the binding b');
    expect(
      told(
        403,
        'secrets "x" is forbidden: User "system:serviceaccount:a:b" cannot patch resource "secrets" in API group "" in the namespace "n"',
      ),
    ).toContain('The user system:serviceaccount:a:b may not patch secrets in the namespace n.');
    expect(told(403, 'secrets "x" is forbidden: exceeded quota: q, requested: secrets=1')).toContain(
      'The ResourceQuota q',
    );
    expect(told(404, 'namespaces "left" not found')).toContain('The namespace left does not exist.');
    expect(told(413, 'Request entity too large: limit is 3145728')).toContain('the limit is 3145728 bytes');
    expect(
      told(500, 'Internal error occurred: unable to transform key "/registry/secrets/n/x": no matching prefix found'),
    ).toContain('the record /registry/secrets/n/x.');
    expect(
      told(422, 'Secret "x" is invalid: y', [{ reason: 'FieldValueRequired', field: 'data[.dockerconfigjson]' }]),
    ).toContain('Fields: data[.dockerconfigjson] (FieldValueRequired).');
  });

  it('that are not JSON are not quoted, nor is what a parser or a library says of them', () => {
    const failures = [
      () => parseAnswer(`{"password": ${MARK}`),
      () => JSON.parse(`{"password": ${MARK}`) as unknown,
      () => {
        throw new Error(`a library read\n    at ${MARK}`);
      },
    ].map((work) => {
      try {
        return work();
      } catch (error) {
        return toFailure(error, { doing: 'Trying' });
      }
    }) as Error[];
    for (const { message, stack, cause } of failures) {
      expect(message).toContain('Trying failed: ');
      expect([message, stack, String(cause), (cause as Error).stack].join()).not.toContain(MARK);
    }
  });
});

describe('key metrics', () => {
  const [a, b] = ['a', 'b'].map((version) => metricsKeyIdHash(`https://kv.vault.azure.net/keys/k/${version}`)) as [
    string,
    string,
  ];
  const server = apiServerIdHash('apiserver-abc');
  const line = (name: string, key: string, at: string, more = ''): string =>
    `apiserver_envelope_encryption_key_id_hash_${name}{apiserver_id_hash="${server}",key_id_hash="${key}",provider_name="p"${more}} ${at}`;

  it('tell the key that was written with last, not one that was only read with or reported', () => {
    const text = [
      '# TYPE apiserver_envelope_encryption_key_id_hash_total counter',
      'process_start_time_seconds 1.7e+09',
      line('last_timestamp_seconds', a, '1.7e+09', ',transformation_type="to_storage"'),
      line('last_timestamp_seconds', b, '1.8e+09', ',transformation_type="from_storage"'),
      line('status_last_timestamp_seconds', a, '1.9e+09'),
      line('status_last_timestamp_seconds', b, '1.9e+09'),
      'apiserver_storage_transformation_operations_total{status="OK",transformation_type="to_storage",transformer_prefix=""} 3',
      'apiserver_storage_transformation_operations_total{status="OK",transformation_type="from_storage",transformer_prefix=""} 9',
    ].join('\n');
    expect(parseServerMetrics(text)).toEqual({
      process: `1.7e+09 ${server}`,
      startedAt: 1.7e12,
      serverIdHash: server,
      lastWritten: a,
      reported: new Set([a, b]),
      writes: 3,
    });
  });

  it('say little when a server shows none, or does not say which server it is', () => {
    expect(parseServerMetrics('go_goroutines 12\n')).toEqual({ reported: new Set(), writes: 0 });
    const anonymous = line('status_last_timestamp_seconds', a, '1').replace(`apiserver_id_hash="${server}",`, '');
    const { serverIdHash, process, reported } = parseServerMetrics(`process_start_time_seconds 17\n${anonymous}`);
    expect([serverIdHash, process, reported]).toEqual([undefined, '17', new Set([a])]);
  });
});
