"""Command lines that several groups use. The names in them are those of Microsoft's documents."""

LOCATION = 'westeurope'
KEY_VERSION = r'^https://[a-z0-9-]+\.vault\.azure\.net/keys/[^/]+/[0-9a-f]{32}$'

LOGIN = 'az login --service-principal -u $SP_ID -p $SP_SECRET --tenant $SP_TENANT'
GROUP = f'az group create --name MyResourceGroup --location {LOCATION}'
VAULT = 'az keyvault create --name MyKeyVault --resource-group MyResourceGroup'
RBAC_VAULT = f'export KEYVAULT_RESOURCE_ID=$({VAULT} --enable-rbac-authorization true --query id -o tsv)'
OPEN_VAULT = 'az keyvault update --name MyKeyVault --resource-group MyResourceGroup --public-network-access Enabled'
CLOSE_VAULT = OPEN_VAULT.replace('Enabled', 'Disabled')
KEY = 'az keyvault key create --name MyKeyName --vault-name MyKeyVault'
SHOW_KEY = "export KEY_ID=$(az keyvault key show --name MyKeyName --vault-name MyKeyVault --query 'key.kid' -o tsv)"
SHOW_NEW_KEY = SHOW_KEY.replace('KEY_ID=', 'NEW_KEY_ID=') + '; export NewKEY_ID=$NEW_KEY_ID'
IDENTITY = 'az identity create --name MyIdentity --resource-group MyResourceGroup'
SHOW_OBJECT_ID = "IDENTITY_OBJECT_ID=$(az identity show --name MyIdentity --resource-group MyResourceGroup --query 'principalId' -o tsv)"
SHOW_RESOURCE_ID = (
    "IDENTITY_RESOURCE_ID=$(az identity show --name MyIdentity --resource-group MyResourceGroup --query 'id' -o tsv)"
)
GRANT = (
    'az role assignment create --role "{}" --assignee-object-id $IDENTITY_OBJECT_ID '
    '--assignee-principal-type "ServicePrincipal" --scope $KEYVAULT_RESOURCE_ID'
)
CRYPTO_USER = GRANT.format('Key Vault Crypto User')
CONTRIBUTOR = GRANT.format('Key Vault Contributor')
SET_POLICY = (
    'az keyvault set-policy --name MyKeyVault --key-permissions decrypt encrypt --object-id $IDENTITY_OBJECT_ID'
)

CREATE = 'az aks create --name myAKSCluster --resource-group MyResourceGroup --assign-identity $IDENTITY_RESOURCE_ID'
CREATE_PUBLIC = (
    f'{CREATE} --enable-azure-keyvault-kms --azure-keyvault-kms-key-vault-network-access "Public" '
    '--azure-keyvault-kms-key-id $KEY_ID'
)
CREATE_PRIVATE = (
    f'{CREATE} --enable-azure-keyvault-kms --azure-keyvault-kms-key-id $KEY_ID '
    '--azure-keyvault-kms-key-vault-network-access "Private" '
    '--azure-keyvault-kms-key-vault-resource-id $KEYVAULT_RESOURCE_ID'
)
UPDATE = 'az aks update --name myAKSCluster --resource-group MyResourceGroup'
PUBLIC = f'{UPDATE} --enable-azure-keyvault-kms --azure-keyvault-kms-key-vault-network-access "Public" --azure-keyvault-kms-key-id'
PRIVATE = (
    f'{UPDATE} --enable-azure-keyvault-kms --azure-keyvault-kms-key-id {{}} '
    '--azure-keyvault-kms-key-vault-network-access "Private" '
    '--azure-keyvault-kms-key-vault-resource-id $KEYVAULT_RESOURCE_ID'
)
DISABLE = f'{UPDATE} --disable-azure-keyvault-kms'
SHOW = 'az aks show --name myAKSCluster --resource-group MyResourceGroup'
DELETE = 'az aks delete --name myAKSCluster --resource-group MyResourceGroup --yes'
STOP = 'az aks stop --name myAKSCluster --resource-group MyResourceGroup'
START = STOP.replace('stop', 'start')
CREDENTIALS = (
    'az aks get-credentials --resource-group MyResourceGroup --name myAKSCluster --overwrite-existing -f $KUBECONFIG'
)
REWRITE = 'kubectl get secrets --all-namespaces -o json | kubectl replace -f -'
