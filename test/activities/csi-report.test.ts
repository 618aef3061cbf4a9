/** What may leave a cluster of a mount: the words of driver and provider, cut; and the report of Keyturn's pod, judged. */
import { describe, expect, it } from '@jest/globals';
import { mountPod, mountPodName, progressOf, SeenPod } from '../../activities/csi/mount-pod';
import { judgeReport } from '../../activities/csi/mount-report';
import { mountWords, networkCause } from '../../activities/csi/mount-words';
import { judgeRotation } from '../../activities/csi/rotation-report';
import type { CsiObject } from '../../domain/csi/objects';
import type { StepOf } from '../../domain/plan/steps';

const MARK = 'hunter2hunter2';
const LINE = '-'.repeat(80);

describe('the words of driver and provider', () => {
  it('are kept up to the answer of a service, whose status and codes are all that is kept of it', () => {
    const refused = `MountVolume.SetUp failed for volume "files" : rpc error: code = Unknown desc = failed to mount objects, error: failed to get objectType:secret, objectName:s1, objectVersion:: GET https://kv1.vault.azure.net/secrets/s1/\n${LINE}\nRESPONSE 403: 403 Forbidden\nERROR CODE: Forbidden\n${LINE}\n{ "error": { "code": "Forbidden", "message": "Caller ${MARK}", "innererror": { "code": "ForbiddenByRbac" } } }\n${LINE}\n`;
    expect(mountWords(refused)).toBe(
      'MountVolume.SetUp failed for volume "files" : rpc error: code = Unknown desc = failed to mount objects, error: failed to get objectType:secret, objectName:s1, objectVersion:: GET https://kv1.vault.azure.net/secrets/s1/ (HTTP 403, Forbidden, ForbiddenByRbac)',
    );
    const entra = `error: ManagedIdentityCredential: The endpoint responded with {"error":"invalid_request","error_description":"AADSTS700016: ${MARK}"}`;
    expect(mountWords(entra)).toBe(
      'error: ManagedIdentityCredential: The endpoint responded with (invalid_request, AADSTS700016)',
    );
  });

  it('lose what a decoder quotes of a secret', () => {
    expect(mountWords("objectName:s1: encoding/hex: invalid byte: U+0067 'g'")).toBe('objectName:s1: encoding/hex: …');
    expect(mountWords('objectName:s1: illegal base64 data at input byte 4')).toBe(
      'objectName:s1: illegal base64 data …',
    );
    expect(mountWords(`driver ${'x'.repeat(2000)}`).length).toBeLessThan(800);
  });

  it('have a sentence about the network when it is the cause, and none otherwise', () => {
    const dial = `Get "https://${AT.host}/secrets/s1/": dial tcp`;
    const causes: [string, RegExp][] = [
      ['(HTTP 403, Forbidden, ForbiddenByConnection)', /private endpoint.*privatelink\.vaultcore\.azure\.net/],
      ['(HTTP 403, Forbidden, ForbiddenByFirewall)', /az keyvault network-rule add/],
      [`${dial}: lookup ${AT.host} on 10.0.0.10:53: no such host`, /find no address for kv1\.vault\.azure\.net/],
      [`${dial} 10.1.0.4:443: i/o timeout`, /does not answer/],
    ];
    for (const [words, cause] of causes) {
      expect(networkCause(words, AT)).toMatch(/^ The cause is the network: .*\.$/);
      expect(networkCause(words, AT)).toMatch(cause);
    }
    for (const words of ['(HTTP 403, Forbidden, ForbiddenByRbac)', 'dial tcp: lookup login.microsoftonline.com'])
      expect(networkCause(words, AT)).toBe('');
  });
});

const OBJECTS: readonly CsiObject[] = [
  { objectName: 's1', objectType: 'secret', objectAlias: 'password' },
  { objectName: 'k1', objectType: 'key', objectVersionHistory: 2 },
];
const AT = { host: 'kv1.vault.azure.net', zone: 'privatelink.vaultcore.azure.net' };
const NAMES = { pod: 'apps/keyturn-mount-1', class: 'apps/kv' };
const judge = (report: unknown): ReturnType<typeof judgeReport> =>
  judgeReport(
    { message: typeof report === 'string' ? report : JSON.stringify(report), detail: 'exit code 1 (Error)' },
    OBJECTS,
    NAMES,
    AT,
  );

describe('the report of the pod', () => {
  it('says that pods have another way to the vault than nodes, where the vault refuses the network of the pod only', () => {
    const refused = { files: [[0, -1, '', 'ForbiddenByFirewall']] };
    expect(() => judge(refused)).toThrow(
      /The mount itself worked: pods reach the vault in another way than nodes\. The cause/,
    );
    expect(() => judge({ files: [[0, -1, '', 'ForbiddenByRbac']] })).not.toThrow(/network/);
    expect(() => judge({ failed: 'ForbiddenByConnection' })).toThrow(/public address of the vault is closed/);
  });

  it('names each file with the object and version that it is equal to', () => {
    expect(
      judge({
        files: [
          [0, -1, 'a1', 'equal'],
          [1, 0, 'b2', 'equal'],
          [1, 1, 'b1', 'equal'],
        ],
      }),
    ).toEqual([
      { file: 'password', objectName: 's1', objectType: 'secret', version: 'a1' },
      { file: 'k1/0', objectName: 'k1', objectType: 'key', version: 'b2' },
      { file: 'k1/1', objectName: 'k1', objectType: 'key', version: 'b1' },
    ]);
  });

  it('makes a difference, or a missing file, MountDiffers with names', () => {
    expect(() =>
      judge({
        files: [
          [0, -1, 'a1', 'differs'],
          [1, -1, '', 'ENOENT'],
        ],
      }),
    ).toThrow(
      expect.objectContaining({
        type: 'MountDiffers',
        nonRetryable: true,
        message: expect.stringContaining('password (secret s1: differs), k1 (key k1: ENOENT)'),
      }),
    );
  });

  it('makes everything that could not be compared MountFailed, and repeats no text that is not a word', () => {
    const reports: [unknown, string][] = [
      [
        {
          files: [
            [0, -1, 'a1', 'equal'],
            [1, -1, '', 'ForbiddenByRbac'],
          ],
        },
        'k1 (key k1: ForbiddenByRbac)',
      ],
      [{ files: [[0, -1, 'a1', 'equal']] }, 'does not name every object'],
      [{ failed: 'AADSTS700211' }, 'could not read the vault itself: AADSTS700211'],
      [{ failed: `${MARK} and more` }, 'left no report (exit code 1 (Error))'],
      [`exec: node: ${MARK}`, 'left no report (exit code 1 (Error))'],
    ];
    for (const [report, said] of reports) {
      let thrown: unknown;
      try {
        judge(report);
      } catch (error) {
        thrown = error;
      }
      expect(thrown).toMatchObject({ type: 'MountFailed', message: expect.stringContaining(said) });
      expect(String(thrown)).not.toContain(MARK);
    }
  });
});

describe('the report of the pod that proves rotation', () => {
  const facts = {
    names: { pod: 'apps/keyturn-rotation-1', class: 'apps/keyturn-rotation-1' },
    probe: 'keyturn-probe-1',
    vaultName: 'kv1',
    pollInterval: '2m',
    limitInMs: 420_000,
  };
  const rotation = (message: string): string => judgeRotation({ message, detail: 'exit code 1 (Error)' }, facts);

  it('has the version that the file followed to', () => {
    expect(rotation(JSON.stringify({ version: 'b2', word: 'equal' }))).toBe('b2');
  });

  it.each([
    [JSON.stringify({ version: 'b2', word: 'unchanged' }), 'not renewed within 420 s'],
    [JSON.stringify({ version: '', word: 'ForbiddenByRbac' }), 'could not read the vault for 420 s after that: Forb'],
    [JSON.stringify({ version: '', word: `${MARK} and more` }), 'left no report (exit code 1 (Error))'],
    [`node: ${MARK}`, 'left no report (exit code 1 (Error))'],
  ])('makes %s RotationFailed, and repeats no text that is not a word', (message, said) => {
    let thrown: unknown;
    try {
      rotation(message);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({
      type: 'RotationFailed',
      nonRetryable: true,
      message: expect.stringContaining(said),
    });
    expect(String(thrown)).not.toContain(MARK);
  });
});

describe('the pod', () => {
  const step: StepOf<'prove-mount'> = {
    id: 'prove-mount',
    type: 'prove-mount',
    title: '',
    reason: '',
    namespace: 'apps',
    class: 'kv',
    access: 'workload-identity',
    serviceAccount: 'web',
    vaultId: '/subscriptions/s/resourceGroups/g/providers/Microsoft.KeyVault/vaults/kv1',
    objects: [...OBJECTS],
    image: 'node:20',
  };
  const content = {
    vaultName: 'kv1',
    tenantId: 't1',
    cloudName: 'AzurePublicCloud',
    identity: { mode: 'workload-identity' as const, clientId: 'c1' },
    objects: OBJECTS,
  };
  const podOf = (objects: readonly CsiObject[]): Record<'metadata' | 'spec', Record<string, unknown>> =>
    mountPod({
      step: { ...step, objects: [...objects] },
      operationId: 'op-1',
      content,
      vaultUrl: 'https://kv1.vault.azure.net',
      authorityHost: 'https://login.microsoftonline.com',
    }) as never;

  it('meets the restricted policy, has a name of its step, and runs as root only for files of root alone', () => {
    const { metadata, spec } = podOf(OBJECTS);
    expect(metadata).toMatchObject({
      name: mountPodName('op-1', 'prove-mount'),
      labels: { 'keyturn.dev/connection': 'op-1' },
    });
    expect(spec).toMatchObject({
      restartPolicy: 'Never',
      serviceAccountName: 'web',
      automountServiceAccountToken: false,
      securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
      containers: [{ securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } } }],
    });
    const forRoot = podOf([{ objectName: 's1', objectType: 'secret', filePermission: '0400' }]);
    expect(forRoot.spec).toMatchObject({ securityContext: { runAsUser: 0 } });
  });

  it('tells how far it is by the container that compares, whatever other containers do', () => {
    const seen = (status: object): ReturnType<typeof progressOf> =>
      progressOf(SeenPod.parse({ metadata: { uid: 'u' }, status }));
    const scheduled = { conditions: [{ type: 'PodScheduled', status: 'True' }] };
    const waiting = (reason: string): object => ({
      ...scheduled,
      containerStatuses: [{ name: 'compare', state: { waiting: { reason } } }],
    });
    expect(seen({}).at).toBe('scheduling');
    expect(seen(waiting('ContainerCreating')).at).toBe('mount');
    expect(seen(waiting('ImagePullBackOff'))).toEqual({ at: 'image', detail: '(ImagePullBackOff)' });
    const proxy = { name: 'istio-proxy', state: { running: {} } };
    const ended = { name: 'compare', state: { terminated: { exitCode: 0, reason: 'Completed', message: '{}' } } };
    expect(seen({ phase: 'Running', containerStatuses: [proxy, ended] })).toMatchObject({ at: 'end', message: '{}' });
    expect(seen({ phase: 'Failed', reason: 'DeadlineExceeded' })).toMatchObject({
      at: 'end',
      detail: 'phase Failed (DeadlineExceeded)',
    });
  });
});
