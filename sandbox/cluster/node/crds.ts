/**
 * The objects of the Secrets Store CSI driver, as its release v1.6.0 defines them.
 *
 * The schemas are those of kubernetes-sigs/secrets-store-csi-driver v1.6.0, config/crd/bases (Copyright The Kubernetes
 * Authors, Apache License 2.0), without their descriptions.
 */

/** The API group of the driver. */
export const GROUP = 'secrets-store.csi.x-k8s.io';
/** The driver's name in volumes, and the name of its CSIDriver object. */
export const DRIVER_NAME = 'secrets-store.csi.k8s.io';
/** The audience of the service account tokens that the driver asks kubelets for. */
export const TOKEN_AUDIENCE = 'api://AzureADTokenExchange';

type Schema = Readonly<Record<string, unknown>>;

const STRING: Schema = { type: 'string' };
const STRINGS: Schema = { type: 'object', additionalProperties: STRING };
const object = (properties: Readonly<Record<string, Schema>>): Schema => ({ type: 'object', properties });
const list = (items: Schema): Schema => ({ type: 'array', items });
const root = (properties: Readonly<Record<string, Schema>>): Schema =>
  object({ apiVersion: STRING, kind: STRING, metadata: { type: 'object' }, ...properties });

const CLASS_SPEC = object({
  parameters: STRINGS,
  provider: STRING,
  secretObjects: list(
    object({
      annotations: STRINGS,
      data: list(object({ key: STRING, objectName: STRING })),
      labels: STRINGS,
      secretName: STRING,
      type: STRING,
    }),
  ),
});
const POD_STATUS = root({
  status: object({
    mounted: { type: 'boolean' },
    objects: list(object({ id: STRING, version: STRING })),
    podName: STRING,
    secretProviderClassName: STRING,
    targetPath: STRING,
  }),
});

/** The CustomResourceDefinitions of SecretProviderClass and SecretProviderClassPodStatus. */
export const CUSTOM_RESOURCE_DEFINITIONS = [
  definition('SecretProviderClass', 'secretproviderclasses', {
    v1: root({ spec: CLASS_SPEC, status: { type: 'object' } }),
    v1alpha1: root({ spec: CLASS_SPEC, status: object({ byPod: list(object({ id: STRING, namespace: STRING })) }) }),
  }),
  definition('SecretProviderClassPodStatus', 'secretproviderclasspodstatuses', {
    v1: POD_STATUS,
    v1alpha1: POD_STATUS,
  }),
];

/** The CSIDriver object. @param rotation whether kubelets are to publish volumes again and again */
export function csiDriver(rotation: boolean): object {
  return {
    apiVersion: 'storage.k8s.io/v1',
    kind: 'CSIDriver',
    metadata: { name: DRIVER_NAME, labels: { app: 'secrets-store-csi-driver' } },
    spec: {
      podInfoOnMount: true,
      attachRequired: false,
      volumeLifecycleModes: ['Ephemeral'],
      requiresRepublish: rotation,
      tokenRequests: [{ audience: TOKEN_AUDIENCE }],
    },
  };
}

function definition(
  kind: string,
  plural: string,
  schemas: Readonly<Record<'v1' | 'v1alpha1', Schema>>,
): { readonly metadata: { readonly name: string; readonly annotations: object }; readonly [member: string]: unknown } {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: {
      name: `${plural}.${GROUP}`,
      annotations: { 'controller-gen.kubebuilder.io/version': 'v0.16.3' },
    },
    spec: {
      group: GROUP,
      names: { kind, listKind: `${kind}List`, plural, singular: kind.toLowerCase() },
      scope: 'Namespaced',
      versions: [
        { name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: schemas.v1 } },
        {
          name: 'v1alpha1',
          served: true,
          storage: false,
          deprecated: true,
          ...(kind === 'SecretProviderClass'
            ? {
                deprecationWarning:
                  'secrets-store.csi.x-k8s.io/v1alpha1 is deprecated. Use secrets-store.csi.x-k8s.io/v1 instead.',
              }
            : {}),
          schema: { openAPIV3Schema: schemas.v1alpha1 },
        },
      ],
    },
  };
}
