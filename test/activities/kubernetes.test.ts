import { describe, expect, it } from '@jest/globals';
import { metricsKeyIdHash } from '../../domain/resource-ids';
import { safeMessage } from '../../activities/kubernetes/errors';
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
  it('are shown without what may quote a Secret', () => {
    const value = Buffer.from('a secret that is long enough to be seen').toString('base64');
    const shown = [
      `admission webhook "w.example" denied the request: password is ${value.slice(0, 12)}`,
      `Secret "x" is invalid: data[a]: Invalid value: "${value.slice(0, 9)}": too bad`,
      `something else: ${value}`,
    ].map(safeMessage);
    for (const message of shown) expect(message).not.toContain(value.slice(0, 9));
    expect(shown[0]).toContain('w.example');
    expect(shown[1]).toContain('data[a]: Invalid value: [left out]: too bad');
    expect(safeMessage('word '.repeat(200))).toHaveLength(300);
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
