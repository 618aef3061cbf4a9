/** Secrets that an admission policy lets nobody change: what a rewrite meets in clusters of others. */
import { AdmissionregistrationV1Api, KubeConfig } from '@kubernetes/client-node';
import type { SandboxClusterFacts } from '../../launch/sandbox-cluster';
import { kubeApi } from './kube';

const NAME = 'frozen-secrets';
const NAMESPACE = 'default';

/** A policy that denies every update of a Secret with the label `frozen`. */
export class FrozenSecrets {
  readonly #admission: AdmissionregistrationV1Api;
  readonly #core: ReturnType<typeof kubeApi>['core'];

  constructor(cluster: SandboxClusterFacts) {
    const config = new KubeConfig();
    config.loadFromFile(cluster.kubeconfig);
    this.#admission = config.makeApiClient(AdmissionregistrationV1Api);
    this.#core = kubeApi(cluster).core;
  }

  /** Makes Secrets that the policy will be about, in the namespace `default`. */
  async make(...names: string[]): Promise<void> {
    for (const name of names) {
      const body = { metadata: { name, labels: { frozen: 'yes' } }, stringData: { password: `value of ${name}` } };
      await this.#core.createNamespacedSecret({ namespace: NAMESPACE, body });
    }
  }

  /** Puts the policy in force; resolves when the API server follows it. */
  async deny(): Promise<void> {
    await this.#admission.createValidatingAdmissionPolicy({
      body: {
        metadata: { name: NAME },
        spec: {
          matchConstraints: {
            resourceRules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['UPDATE'], resources: ['secrets'] }],
          },
          validations: [{ expression: "!has(object.metadata.labels) || !('frozen' in object.metadata.labels)" }],
        },
      },
    });
    await this.#admission.createValidatingAdmissionPolicyBinding({
      body: { metadata: { name: NAME }, spec: { policyName: NAME, validationActions: ['Deny'] } },
    });
    await this.#until('denied');
  }

  /** Takes the policy away; resolves when the API server has forgotten it. */
  async allow(): Promise<void> {
    await this.#admission.deleteValidatingAdmissionPolicyBinding({ name: NAME });
    await this.#admission.deleteValidatingAdmissionPolicy({ name: NAME });
    await this.#until('taken');
  }

  async #until(wanted: 'denied' | 'taken'): Promise<void> {
    const probe = 'frozen-probe';
    await this.make(probe);
    for (;;) {
      const secret = await this.#core.readNamespacedSecret({ namespace: NAMESPACE, name: probe });
      const body = { ...secret, metadata: { ...secret.metadata, annotations: { at: new Date().toISOString() } } };
      const seen = await this.#core.replaceNamespacedSecret({ namespace: NAMESPACE, name: probe, body }).then(
        () => 'taken',
        () => 'denied',
      );
      if (seen === wanted) break;
    }
    await this.#core.deleteNamespacedSecret({ namespace: NAMESPACE, name: probe });
  }
}
