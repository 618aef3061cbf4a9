"""
Pods that mount objects of a vault: the lines of "Connect your Azure identity provider to the Azure Key Vault Secrets Store CSI Driver in
AKS" that need a node. Groups call these; each says what it stands on.
"""

import base64
import json

from scenario import has

AGENTS = "kubectl get pods -n kube-system -l 'app in (secrets-store-csi-driver,secrets-store-provider-azure)'"
# The two files of github.com/Azure-Samples/serviceconnector-aks-samples, azure-keyvault-csi-provider.
SAMPLE_CLASS = """cat > secret_provider_class.yaml <<EOF
apiVersion: secrets-store.csi.x-k8s.io/v1
kind: SecretProviderClass
metadata:
  name: sc-demo-keyvault-csi
spec:
  provider: azure
  parameters:
    usePodIdentity: "false"
    useVMManagedIdentity: "true"                        # Set to true for using managed identity
    userAssignedIdentityID: <AZURE_KEYVAULT_CLIENTID>   # Set the clientID of the user-assigned managed identity to use
    keyvaultName: <AZURE_KEYVAULT_NAME>                 # Set to the name of your key vault
    objects:  |
      array:
        - |
          objectName: <KEYVAULT_SECRET_NAME>            # keyvault secret name
          objectType: secret
    tenantId: <AZURE_KEYVAULT_TENANTID>                 # The tenant ID of the key vault
EOF"""
POD = """cat {target}<<EOF{pipe}
kind: Pod
apiVersion: v1
metadata:
  name: {name}{labels}
spec:{account}
  containers:
    - name: busybox
      image: k8sgcr.azk8s.cn/e2e-test-images/busybox:1.29-4
      command:
        - "/bin/sleep"
        - "10000"
      volumeMounts:
      - name: secrets-store01-inline
        mountPath: "/mnt/secrets-store"
        readOnly: true
  volumes:
    - name: secrets-store01-inline
      csi:
        driver: secrets-store.csi.k8s.io
        readOnly: true
        volumeAttributes:
          secretProviderClass: "{class_name}"
EOF"""
# As the document writes it to be applied from a file, or at once.
POD_FILE = {'target': '> pod.yaml ', 'pipe': '', 'labels': '', 'account': ''}
POD_AT_ONCE = {
    'target': '',
    'pipe': ' | kubectl apply -f -',
    'labels': '\n  labels:\n    azure.workload.identity/use: "true"',
    'account': '\n  serviceAccountName: "workload-identity-sa"',
}
WORKLOAD_CLASS = """cat <<EOF | kubectl apply -f -
# This is a SecretProviderClass example using workload identity to access your key vault
apiVersion: secrets-store.csi.x-k8s.io/v1
kind: SecretProviderClass
metadata:
  name: azure-kvname-wi # needs to be unique per namespace
spec:
  provider: azure
  parameters:
    usePodIdentity: "false"
    clientID: "${USER_ASSIGNED_CLIENT_ID}" # Setting this to use workload identity
    keyvaultName: ${KEYVAULT_NAME}       # Set to the name of your key vault
    cloudName: "AzureChinaCloud"                         # [OPTIONAL for Azure] if not provided, the Azure environment defaults to AzureChinaCloud
    objects:  |
      array:
        - |
          objectName: secret1             # Set to the name of your secret
          objectType: secret              # object types: secret, key, or cert
          objectVersion: ""               # [OPTIONAL] object versions, default to latest if empty
        - |
          objectName: key1                # Set to the name of your key
          objectType: key
          objectVersion: ""
    tenantId: "${IDENTITY_TENANT}"        # The tenant ID of the key vault
EOF"""
NODES_CLASS = """cat > secretproviderclass.yaml <<EOF
# This is a SecretProviderClass example using user-assigned identity to access your key vault
apiVersion: secrets-store.csi.x-k8s.io/v1
kind: SecretProviderClass
metadata:
  name: azure-kvname-user-msi
spec:
  provider: azure
  parameters:
    usePodIdentity: "false"
    useVMManagedIdentity: "true"          # Set to true for using managed identity
    userAssignedIdentityID: <client-id>   # Set the clientID of the user-assigned managed identity to use
    keyvaultName: <key-vault-name>        # Set to the name of your key vault
    cloudName: "AzureChinaCloud"          # [OPTIONAL for Azure] if not provided, the Azure environment defaults to AzurePublicCloud
    objects:  |
      array:
        - |
          objectName: ExampleSecret
          objectType: secret              # object types: secret, key, or cert
          objectVersion: ""               # [OPTIONAL] object versions, default to latest if empty
        - |
          objectName: key1
          objectType: key
          objectVersion: ""
    tenantId: <tenant-id>                 # The tenant ID of the key vault
EOF"""
# One certificate, as each of the three types, with aliases.
CERTIFICATE_CLASS = """kubectl apply -f - <<EOF
apiVersion: secrets-store.csi.x-k8s.io/v1
kind: SecretProviderClass
metadata: {name: certificates}
spec:
  provider: azure
  parameters:
    useVMManagedIdentity: "true"
    userAssignedIdentityID: <AZURE_KEYVAULT_CLIENTID>
    keyvaultName: <AZURE_KEYVAULT_NAME>
    tenantId: <AZURE_KEYVAULT_TENANTID>
    objects: |
      array:
        - '{objectName: cert1, objectType: key, objectAlias: as-key}'
        - '{objectName: cert1, objectType: cert, objectAlias: as-cert}'
        - '{objectName: cert1, objectType: secret, objectAlias: as-secret}'
EOF"""
DEMO = 'sc-demo-keyvault-csi'
WORKLOAD = 'busybox-secrets-store-inline-wi'
NODES = 'busybox-secrets-store-inline-user-msi'


def agents(scenario):
    """Driver and provider are there. Stands on the add-on."""
    scenario.check(
        'driver and provider run in kube-system',
        f'{AGENTS} -o json',
        verify=has(
            lambda found: sorted((pod['metadata']['labels']['app'], pod['status']['phase']) for pod in found['items']),
            [('secrets-store-csi-driver', 'Running'), ('secrets-store-provider-azure', 'Running')],
        ),
    )


def sample(scenario):
    """The sample of Service Connector. Stands on the connection and on the secret ExampleSecret."""
    scenario.names.update(
        {
            '<AZURE_KEYVAULT_CLIENTID>': scenario.variables['IDENTITY_ADDON_CLIENTID'],
            '<AZURE_KEYVAULT_NAME>': scenario.variables['KEYVAULT_NAME'],
            '<AZURE_KEYVAULT_TENANTID>': scenario.variables['SP_TENANT'],
            '<KEYVAULT_SECRET_NAME>': 'ExampleSecret',
        }
    )
    scenario.prepare(SAMPLE_CLASS, POD.format(name=DEMO, class_name=DEMO, **POD_FILE))
    scenario.check('the class of the sample', 'kubectl apply -f secret_provider_class.yaml', documented=True)
    scenario.check('the pod of the sample', 'kubectl apply -f pod.yaml', documented=True)
    scenario.prepare(ready(DEMO))
    scenario.check('it runs', f'kubectl get pod/{DEMO}', documented=True, verify=contains(' Running '))
    listed(scenario, DEMO, ['ExampleSecret'])
    shown(scenario, DEMO)


def certificates(scenario):
    """What key, cert and secret of one certificate are. Stands on `sample` and on the certificate cert1."""
    scenario.prepare(CERTIFICATE_CLASS, applied('certificates', 'certificates'), ready('certificates'))
    listed(scenario, 'certificates', ['as-cert', 'as-key', 'as-secret'], documented=False)
    for alias, begins, also in (
        ('as-key', 'PUBLIC KEY', ''),
        ('as-cert', 'CERTIFICATE', ''),
        ('as-secret', 'PRIVATE KEY', 'BEGIN CERTIFICATE'),
    ):
        scenario.check(
            f'a certificate {alias.replace("-", " a ")}',
            f'kubectl exec certificates -- cat /mnt/secrets-store/{alias}',
            verify=lambda result, begins=begins, also=also: (
                None
                if f'-----BEGIN {begins}-----' in result.stdout.replace('RSA ', '') and also in result.stdout
                else result.stdout[:100]
            ),
        )


def workload(scenario):
    """Workload identity. Stands on its webhook, the service account, a federated credential, a grant, the objects secret1 and key1."""
    scenario.check('SecretProviderClass, workload identity', WORKLOAD_CLASS, documented=True)
    pod = POD.format(name=WORKLOAD, class_name='azure-kvname-wi', **POD_AT_ONCE)
    scenario.check('pod, workload identity', pod, documented=True)
    scenario.prepare(ready(WORKLOAD))
    names = 'AZURE_CLIENT_ID AZURE_TENANT_ID AZURE_FEDERATED_TOKEN_FILE AZURE_AUTHORITY_HOST'
    scenario.check(
        'the webhook has changed the pod',
        f"kubectl get pod {WORKLOAD} -o jsonpath='{{.spec.containers[0].env[*].name}}'",
        verify=lambda result: None if result.stdout.strip() == names else result.stdout,
    )
    scenario.check(
        'the pod has the token of its account',
        f"kubectl exec {WORKLOAD} -- sh -c 'cat $AZURE_FEDERATED_TOKEN_FILE'",
        verify=lambda result: (
            None
            if claims_of(result.stdout)['sub'] == 'system:serviceaccount:default:workload-identity-sa'
            else result.stdout
        ),
    )
    listed(scenario, WORKLOAD, ['key1', 'secret1'], documented=False)
    shown(scenario, WORKLOAD, 'secret1', documented=False)


def by_identity_of_nodes(scenario):
    """An identity of the scale set. Stands on that, a grant, the objects ExampleSecret and key1; `<client-id>`, `<tenant-id>` are names."""
    scenario.prepare(NODES_CLASS, POD.format(name=NODES, class_name='azure-kvname-user-msi', **POD_FILE))
    scenario.check(
        'SecretProviderClass, managed identity', 'kubectl apply -f secretproviderclass.yaml', documented=True
    )
    scenario.check('pod, managed identity', 'kubectl apply -f pod.yaml', documented=True)
    scenario.prepare(ready(NODES))
    listed(scenario, NODES, ['ExampleSecret', 'key1'])
    shown(scenario, NODES)


def after_the_add_on(scenario):
    """The add-on is off: what runs keeps what it has, and nothing new starts."""
    scenario.check(
        'driver and provider are gone', AGENTS, verify=lambda result: result.stdout.strip() or None
    )
    scenario.check(
        'a pod that runs keeps its files',
        f'kubectl exec {DEMO} -- cat /mnt/secrets-store/ExampleSecret',
        verify=contains('MySecret'),
    )
    scenario.check(
        'a new pod does not start',
        f'{applied("late", DEMO)}\nuntil kubectl events --for pod/late | grep "list of registered CSI drivers"; '
        'do sleep 0.2; done && kubectl get pod late',
        verify=contains('ContainerCreating'),
        timeout=60,
    )


def listed(scenario, pod, files, documented=True):
    """The names in the mount."""
    scenario.check(
        f'exec {pod} ls',
        f'kubectl exec {pod} -- ls /mnt/secrets-store/',
        documented=documented,
        verify=lambda result: None if result.stdout.split() == files else f'{result.stdout!r}, not {files}',
    )


def shown(scenario, pod, name='ExampleSecret', documented=True):
    """A secret in the mount."""
    scenario.check(
        f'exec {pod} cat',
        f'kubectl exec {pod} -- cat /mnt/secrets-store/{name}',
        documented=documented,
        verify=lambda result: None if result.stdout == 'MySecret' else repr(result.stdout),
    )


def ready(pod):
    """A line that waits for a pod."""
    return f'kubectl wait --for=condition=Ready pod/{pod} --timeout=60s'


def applied(name, class_name):
    """A line that makes a pod."""
    return POD.format(
        name=name, class_name=class_name, **{**POD_FILE, 'target': '', 'pipe': ' | kubectl apply -f -'}
    )


def contains(text):
    """For `verify`: the output has this text."""
    return lambda result: None if text in result.stdout else result.stdout


def claims_of(token):
    """What a JWT says."""
    claims = token.strip().split('.')[1]
    return json.loads(base64.urlsafe_b64decode(claims + '=' * (-len(claims) % 4)))
