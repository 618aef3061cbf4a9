"""
Key Vault for pods: Service Connector, the add-on, workload identity, managed identities of nodes; the pods themselves are in pods.py. The
lines are those of the document "Connect your Azure identity provider to the Azure Key Vault Secrets Store CSI Driver in AKS".
"""

import base64

from groups import pods
from lines import LOCATION
from scenario import Scenario, has, succeeded, word

GUID = r'^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
ADDON = 'azure-keyvault-secrets-provider'
SHOWN = 'addonProfiles.azureKeyvaultSecretsProvider'
CLUSTER = '--resource-group <resource-group> --name <cluster-name>'
SHOW = f'az aks show {CLUSTER}'
DISABLE = f'az aks disable-addons --addons {ADDON} --resource-group myResourceGroup --name myAKSCluster'
CONNECT = (
    'az aks connection create keyvault --connection {} --resource-group <resource-group> --name <cluster-name> '
    '--target-resource-group <resource-group> --vault <key-vault-name> --enable-csi --client-type none'
)
SERVICE_ACCOUNT = """cat <<EOF | kubectl apply -f -
apiVersion: v1
kind: ServiceAccount
metadata:
  annotations:
    azure.workload.identity/client-id: ${USER_ASSIGNED_CLIENT_ID}
  name: ${SERVICE_ACCOUNT_NAME}
  namespace: ${SERVICE_ACCOUNT_NAMESPACE}
EOF"""
FEDERATE = (
    'az identity federated-credential create --name {} --identity-name $UAMI --resource-group $RESOURCE_GROUP '
    '--issuer {} --subject system:serviceaccount:${{SERVICE_ACCOUNT_NAMESPACE}}:${{SERVICE_ACCOUNT_NAME}}'
)
CERTIFICATE_USER = 'az role assignment create --role "Key Vault Certificate User" --assignee $USER_ASSIGNED_CLIENT_ID --scope $KEYVAULT_SCOPE'
TOKEN = 'kubectl create token workload-identity-sa --audience api://AzureADTokenExchange'
# As a pod would sign in, with a configuration of its own.
FEDERATED_LOGIN = (
    'export AZURE_CONFIG_DIR=$PWD/config-federated; az login --service-principal -u $USER_ASSIGNED_CLIENT_ID '
    f'--tenant $SP_TENANT --federated-token $({TOKEN}) --allow-no-subscriptions'
)
# `az aks create` of the document takes the reader's own key.
SSH_KEY = 'mkdir -p ~/.ssh && test -f ~/.ssh/id_rsa.pub || echo "ssh-rsa {} reader" > ~/.ssh/id_rsa.pub'.format(
    base64.b64encode(b'\0\0\0\7ssh-rsa\0\0\0\3\1\0\1' + b'\0\0\1\1\0' + b'\x9b' * 256).decode()
)


def run(context):
    csi = Scenario(
        context,
        'CSI',
        'csi',
        variables={
            'RESOURCE_GROUP': 'rg-csi',
            'SUBSCRIPTION_ID': context.sandbox.facts['subscriptionId'],
            'UAMI': 'id-wi',
            'KEYVAULT_NAME': 'kt-csi',
            'CLUSTER_NAME': 'aks-csi',
            'SERVICE_ACCOUNT_NAME': 'workload-identity-sa',
            'SERVICE_ACCOUNT_NAMESPACE': 'default',
            'FEDERATED_IDENTITY_NAME': 'aksfederatedidentity',
        },
        extra={
            '<resource-group-name>': 'rg-csi',
            '<resource-group>': 'rg-csi',
            '<cluster-name>': 'aks-csi',
            '<key-vault-name>': 'kt-csi',
            '<location>': LOCATION,
            '<identity-name>': 'id-msi',
            '<secret-name>': 'ExampleSecret',
            '<secret-value>': 'MySecret',
            # The document is about Azure China; the group CHINA is there.
            'AzureChinaCloud': 'AzurePublicCloud',
        },
    )
    # Where az and kubectl look by themselves.
    csi.variables['KUBECONFIG'] = f'{context.folder}/home/.kube/config'
    created(csi)
    filled(csi)
    connected(csi)
    pods.agents(csi)
    pods.sample(csi)
    pods.certificates(csi)
    rotation(csi)
    workload_identity(csi)
    federated(csi)
    pods.workload(csi)
    nodes(csi)
    policies(csi)
    disabled(csi)
    csi.prepare('az aks delete --resource-group <resource-group> --name <cluster-name> --yes')


def created(csi):
    csi.check(
        'group create',
        'az group create --name <resource-group-name> --location <location>',
        documented=True,
        verify=has(lambda group: group['properties']['provisioningState'], 'Succeeded'),
    )
    csi.prepare(SSH_KEY)
    csi.check(
        'create with a system-assigned identity',
        'az aks create --resource-group <resource-group-name> --name <cluster-name> --enable-managed-identity '
        '--node-count 1',
        documented=True,
        verify=has(
            lambda cluster: (cluster['identity']['type'], bool(cluster['identity']['principalId'])),
            ('SystemAssigned', True),
        ),
    )
    csi.check(
        'get-credentials',
        'az aks get-credentials --resource-group <resource-group-name> --name <cluster-name>',
        documented=True,
    )
    csi.check(
        'the context has the name of the cluster, and kubectl finds it',
        'kubectl get namespaces -o name && kubectl config current-context',
        verify=word('aks-csi'),
    )
    csi.check(
        'keyvault create',
        'az keyvault create --resource-group <resource-group-name> --name <key-vault-name> --location <location>',
        documented=True,
    )


def filled(csi):
    """The vault gets what pods mount."""
    secret = 'az keyvault secret set --vault-name <key-vault-name> --name {} --value <secret-value>'
    csi.check(
        'keyvault secret set',
        secret.format('<secret-name>'),
        documented=True,
        verify=has(lambda made: made['value'], 'MySecret'),
    )
    csi.check(
        'keyvault secret show',
        'az keyvault secret show --vault-name <key-vault-name> --name <secret-name> --query value -o tsv',
        verify=word('MySecret'),
    )
    csi.prepare(f'{secret.format("secret1")} -o none')
    csi.check(
        'keyvault certificate create',
        'az keyvault certificate create --vault-name <key-vault-name> --name cert1 '
        '--policy "$(az keyvault certificate get-default-policy)"',
        verify=has(lambda made: made['status'], 'completed'),
    )
    csi.check(
        'keyvault key create',
        'az keyvault key create --vault-name <key-vault-name> --name key1',
        verify=has(lambda made: made['key']['kid'].startswith('https://kt-csi.vault.azure.net/keys/key1/')),
    )


def connected(csi):
    """Service Connector enables the add-on, and grants its identity what it needs."""
    csi.check('connection create keyvault --enable-csi', CONNECT.format('conn1'), verify=succeeded)
    csi.check(
        'connection list',
        'az aks connection list --resource-group <resource-group> --name <cluster-name>',
        verify=has(lambda found: [one['name'] for one in found], ['conn1']),
    )
    csi.check('a second connection to the vault is a conflict', CONNECT.format('conn2'), refused=r"'Conflict'")
    for field in ('objectId', 'clientId'):
        csi.check(
            f'the identity of the add-on: {field}',
            f'export IDENTITY_ADDON_{field.upper()}=$({SHOW} --query {SHOWN}.identity.{field} -o tsv)',
            documented=True,
            sets={f'IDENTITY_ADDON_{field.upper()}': GUID},
        )
    csi.check(
        'its roles at the vault',
        'az role assignment list --assignee $IDENTITY_ADDON_OBJECTID --all --query "[].roleDefinitionName"',
        verify=has(sorted, ['Key Vault Certificate User', 'Key Vault Secrets User']),
    )
    csi.check(
        'connection delete leaves the add-on',
        'az aks connection delete --connection conn1 --resource-group <resource-group> --name <cluster-name> --yes '
        f'&& {SHOW} --query {SHOWN}.enabled -o tsv',
        verify=word('true'),
    )


def rotation(csi):
    csi.check(
        'enable-addons again is refused by az',
        f'az aks enable-addons --addons {ADDON} {CLUSTER}',
        refused=r'already enabled',
    )
    config = lambda rotated, interval: has(
        lambda cluster: cluster['addonProfiles']['azureKeyvaultSecretsProvider']['config'],
        {'enableSecretRotation': rotated, 'rotationPollInterval': interval},
    )
    csi.check(
        'update --enable-secret-rotation',
        f'az aks update {CLUSTER} --enable-secret-rotation --rotation-poll-interval 30s',
        verify=config('true', '30s'),
    )
    csi.check(
        'update --disable-secret-rotation',
        f'az aks update {CLUSTER} --disable-secret-rotation',
        verify=config('false', '30s'),
    )


def workload_identity(csi):
    csi.check(
        'update --enable-oidc-issuer --enable-workload-identity',
        f'az aks update {CLUSTER} --enable-oidc-issuer --enable-workload-identity',
        verify=has(
            lambda cluster: (
                cluster['securityProfile']['workloadIdentity']['enabled'],
                bool(cluster['oidcIssuerProfile']['issuerUrl']),
            ),
            (True, True),
        ),
    )
    csi.check('account set', 'az account set --subscription $SUBSCRIPTION_ID', documented=True)
    csi.check('identity create', 'az identity create --name $UAMI --resource-group $RESOURCE_GROUP', documented=True)
    for name, line in (
        (
            'USER_ASSIGNED_CLIENT_ID',
            "$(az identity show --resource-group $RESOURCE_GROUP --name $UAMI --query 'clientId' -o tsv)",
        ),
        (
            'IDENTITY_TENANT',
            '$(az aks show --name $CLUSTER_NAME --resource-group $RESOURCE_GROUP --query identity.tenantId -o tsv)',
        ),
    ):
        csi.check(name, f'export {name}={line}', documented=True, sets={name: GUID})
    for name in ('$KEYVAULT_NAME', '<key-vault-name>'):
        csi.check(
            f'vault id by name alone: {name}',
            f'export KEYVAULT_SCOPE=$(az keyvault show --name {name} --query id -o tsv)',
            documented=True,
            sets={'KEYVAULT_SCOPE': 'vaults/kt-csi$'},
        )
    csi.check(
        'the issuer',
        'export AKS_OIDC_ISSUER="$(az aks show --resource-group $RESOURCE_GROUP --name $CLUSTER_NAME '
        '--query "oidcIssuerProfile.issuerUrl" -o tsv)"',
        documented=True,
        sets={'AKS_OIDC_ISSUER': r'^https://.*/$'},
    )
    csi.check(
        'echo', 'echo $AKS_OIDC_ISSUER', documented=True, verify=word(csi.variables.get('AKS_OIDC_ISSUER', 'a URL'))
    )
    fetch = 'curl -sS --fail --cacert $REQUESTS_CA_BUNDLE'
    csi.check(
        'it publishes its discovery document and its keys',
        f'{fetch} $({fetch} ${{AKS_OIDC_ISSUER}}.well-known/openid-configuration | grep -o "https[^,]*/jwks")',
        verify=has(lambda found: found['keys'][0]['n']),
    )
    csi.check('service account', SERVICE_ACCOUNT, documented=True)
    csi.check(
        'the cluster issues tokens under exactly that URL',
        TOKEN,
        verify=lambda result: (
            None if pods.claims_of(result.stdout)['iss'] == csi.variables['AKS_OIDC_ISSUER'] else result.stdout
        ),
    )


def federated(csi):
    csi.check('sign-in without a federated credential', FEDERATED_LOGIN, refused=r'AADSTS70025')
    csi.prepare(FEDERATE.format('wrong', '${AKS_OIDC_ISSUER%/}'))
    csi.check('the issuer without its slash is another one', FEDERATED_LOGIN, refused=r'AADSTS700211.*issuer')
    csi.check(
        'federated-credential create',
        FEDERATE.format('$FEDERATED_IDENTITY_NAME', '${AKS_OIDC_ISSUER}'),
        documented=True,
        verify=has(lambda made: made['audiences'], ['api://AzureADTokenExchange']),
    )
    csi.check(
        'federated-credential delete, list',
        'az identity federated-credential delete --name wrong --identity-name $UAMI --resource-group $RESOURCE_GROUP --yes '
        '&& az identity federated-credential list --identity-name $UAMI --resource-group $RESOURCE_GROUP --query "[].name" -o tsv',
        verify=word('aksfederatedidentity'),
    )
    key = f'({FEDERATED_LOGIN} -o none && az keyvault key show --vault-name kt-csi --name key1 --query key.kid -o tsv)'
    csi.check('signed in, and without a right at the vault', key, refused=r'ForbiddenByRbac|not authorized')
    csi.check(
        'role assignment by client id',
        CERTIFICATE_USER,
        documented=True,
    )
    csi.check(
        'the same by object id: it is there already',
        'az role assignment create --role "Key Vault Certificate User" --assignee-object-id '
        '$(az identity show --resource-group $RESOURCE_GROUP --name $UAMI --query principalId -o tsv) '
        '--assignee-principal-type ServicePrincipal --scope $KEYVAULT_SCOPE',
        verify=has(
            lambda made: (made['roleDefinitionId'].split('/')[1], bool(made['createdOn']), bool(made['createdBy'])),
            ('subscriptions', True, True),
        ),
    )
    csi.check(
        'the token of a service account reads the key',
        key,
        verify=lambda result: None if 'kt-csi' in result.last_word else result.stdout,
    )


def nodes(csi):
    made = csi.check(
        'identity create for the nodes',
        'az identity create --resource-group <resource-group> --name <identity-name>',
        documented=True,
        verify=has(lambda identity: identity['id'].split('/')[-1], 'id-msi'),
    ).json()
    csi.names.update({'<client-id>': made['clientId'], '<tenant-id>': made['tenantId']})
    csi.variables['IDENTITY_RESOURCE_ID'] = made['id']
    csi.prepare(f'export IDENTITY_NODES=$({SHOW} --query nodeResourceGroup -o tsv)')
    csi.check(
        'vmss list',
        'export IDENTITY_VMSS=$(az vmss list --resource-group $IDENTITY_NODES --query "[0].name" -o tsv)',
        sets={'IDENTITY_VMSS': r'^aks-nodepool1-\d{8}-vmss$'},
    )
    vmss = '--resource-group $IDENTITY_NODES --name $IDENTITY_VMSS'
    csi.check(
        'vmss identity assign',
        f'az vmss identity assign {vmss} --identities $IDENTITY_RESOURCE_ID',
        documented=True,
        verify=has(lambda made: len(made['userAssignedIdentities']), 3),
    )
    csi.check(
        'vmss identity show',
        f'az vmss identity show {vmss}',
        verify=has(
            lambda made: sorted(one.split('/')[-1] for one in made['userAssignedIdentities']),
            ['aks-csi-agentpool', 'azurekeyvaultsecretsprovider-aks-csi', 'id-msi'],
        ),
    )
    csi.check(
        'vm identity assign: a cluster of scale sets has no machines',
        'az vm identity assign --resource-group $IDENTITY_NODES --name aks-nodepool1-0 --identities $IDENTITY_RESOURCE_ID',
        documented=True,
        refused=r'ResourceNotFound',
    )
    csi.check(
        'principal of the identity',
        "export IDENTITY_OBJECT_ID=\"$(az identity show --resource-group <resource-group> --name <identity-name> --query 'principalId' -o tsv)\"",
        documented=True,
        sets={'IDENTITY_OBJECT_ID': GUID},
    )
    csi.check(
        'client id of the identity',
        "export USER_ASSIGNED_CLIENT_ID=$(az identity show --resource-group <resource-group> --name <identity-name> --query 'clientId' -o tsv)",
        documented=True,
        sets={'USER_ASSIGNED_CLIENT_ID': GUID},
    )
    csi.check('role assignment for the nodes', CERTIFICATE_USER, documented=True)
    pods.by_identity_of_nodes(csi)
    csi.check(
        'vmss identity remove',
        f'az vmss identity remove {vmss} --identities $IDENTITY_RESOURCE_ID -o none && az vmss identity show {vmss}',
        verify=has(lambda made: len(made['userAssignedIdentities']), 2),
    )


def policies(csi):
    """The same rights in a vault with access policies."""
    csi.variables['KEYVAULT_NAME'] = 'kt-csi-policy'
    csi.prepare(
        'az keyvault create --name $KEYVAULT_NAME --resource-group rg-csi --enable-rbac-authorization false --no-self-perms -o none'
    )
    csi.check(
        'set-policy by name alone',
        'az keyvault set-policy --name $KEYVAULT_NAME --key-permissions get --object-id $IDENTITY_OBJECT_ID',
        documented=True,
        verify=has(lambda vault: vault['properties']['accessPolicies'][0]['permissions']['keys'], ['get']),
    )
    csi.check(
        'set-policy for keys, secrets and certificates',
        'az keyvault set-policy --name $KEYVAULT_NAME --resource-group $RESOURCE_GROUP --key-permissions get '
        '--secret-permissions get --certificate-permissions get --object-id $IDENTITY_OBJECT_ID',
        verify=has(
            lambda vault: [
                vault['properties']['accessPolicies'][0]['permissions'][kind]
                for kind in ('keys', 'secrets', 'certificates')
            ],
            [['get'], ['get'], ['get']],
        ),
    )


def disabled(csi):
    csi.check(
        'disable-addons while there are SecretProviderClasses',
        DISABLE,
        documented=True,
        refused=r'AzureKeyvaultSecretsProvider addon cannot be disabled due to more than 0 Secret Provider Classes',
    )
    csi.prepare('kubectl delete secretproviderclass --all --all-namespaces')
    off = {'config': None, 'enabled': False, 'identity': None}
    csi.check(
        'disable-addons',
        DISABLE,
        documented=True,
        verify=has(lambda cluster: cluster['addonProfiles']['azureKeyvaultSecretsProvider'], off),
    )
    pods.after_the_add_on(csi)
    csi.check(
        'enable-addons, with rotation',
        f'az aks enable-addons --addons {ADDON} {CLUSTER} --enable-secret-rotation',
        verify=has(
            lambda cluster: cluster['addonProfiles']['azureKeyvaultSecretsProvider']['config']['enableSecretRotation'],
            'true',
        ),
    )
