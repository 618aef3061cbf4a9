"""The same in the cloud of Azure China."""

from lines import (
    CREATE_PUBLIC,
    CREDENTIALS,
    CRYPTO_USER,
    DELETE,
    GRANT,
    IDENTITY,
    KEY,
    LOGIN,
    RBAC_VAULT,
    SHOW,
    SHOW_KEY,
    SHOW_OBJECT_ID,
    SHOW_RESOURCE_ID,
    UPDATE,
)
from groups import csi, pods
from scenario import Scenario, has, succeeded, word

CLOUD = 'AzureChinaCloud'


def run(context):
    china = Scenario(context, 'CHINA', 'china', cloud=CLOUD)
    china.prepare(f'az cloud set --name {CLOUD}')
    china.check('login', LOGIN)
    china.check(
        'group create in chinaeast2', 'az group create --name MyResourceGroup --location chinaeast2', documented=True
    )
    china.check(
        'vault and key', f'{RBAC_VAULT} && {KEY} -o none && {SHOW_KEY}', sets={'KEY_ID': r'\.vault\.azure\.cn/keys/'}
    )
    china.check(
        'identity and right',
        f'{IDENTITY} -o none && {SHOW_OBJECT_ID} && {SHOW_RESOURCE_ID} && {CRYPTO_USER}',
        sets={'IDENTITY_RESOURCE_ID': 'MyIdentity$'},
    )
    china.check('create with KMS', f'{CREATE_PUBLIC} --no-ssh-key', documented=True, verify=succeeded)
    china.check(
        'the add-on of the CSI driver',
        'az aks enable-addons --addons azure-keyvault-secrets-provider --resource-group MyResourceGroup --name myAKSCluster',
        verify=has(lambda cluster: cluster['addonProfiles']['azureKeyvaultSecretsProvider']['identity']['clientId']),
    )
    china.check(
        'federated credential for the issuer of the cluster',
        'az identity federated-credential create --name one --identity-name MyIdentity --resource-group MyResourceGroup '
        f'--issuer $({SHOW} --query oidcIssuerProfile.issuerUrl -o tsv) --subject system:serviceaccount:default:workload-identity-sa',
        verify=has(lambda made: made['issuer'].startswith('https://chinaeast2.')),
    )
    workload_identity(china)
    china.prepare(DELETE)


def workload_identity(china):
    """Pods of a cluster in China, with the document's own class."""
    china.prepare(
        f'{UPDATE} --enable-oidc-issuer --enable-workload-identity -o none',
        CREDENTIALS,
        f'{GRANT.format("Key Vault Certificate User")} -o none',
        'az keyvault secret set --vault-name MyKeyVault --name secret1 --value MySecret -o none',
        'az keyvault key create --vault-name MyKeyVault --name key1 -o none',
        "USER_ASSIGNED_CLIENT_ID=$(az identity show --name MyIdentity --resource-group MyResourceGroup --query 'clientId' -o tsv)",
    )
    china.variables.update(
        KEYVAULT_NAME=china.own('MyKeyVault'),
        IDENTITY_TENANT=china.variables['SP_TENANT'],
        SERVICE_ACCOUNT_NAME='workload-identity-sa',
        SERVICE_ACCOUNT_NAMESPACE='default',
    )
    china.check('service account', csi.SERVICE_ACCOUNT, documented=True)
    pods.agents(china)
    pods.workload(china)
    china.check(
        'the pod is told to sign in in China',
        f"kubectl exec {pods.WORKLOAD} -- sh -c 'echo $AZURE_AUTHORITY_HOST'",
        verify=word('https://login.chinacloudapi.cn/'),
    )
