"""What az and AKS refuse about KMS, and that a good line still works after it."""

from lines import (
    CREATE,
    CRYPTO_USER,
    DELETE,
    GRANT,
    GROUP,
    IDENTITY,
    KEY,
    LOCATION,
    PRIVATE,
    PUBLIC,
    RBAC_VAULT,
    SHOW,
    SHOW_KEY,
    SHOW_OBJECT_ID,
    SHOW_RESOURCE_ID,
    UPDATE,
)
from scenario import Scenario, has

NO_RIGHT = r'AzureKeyVaultKmsValidateIdentityPermissionCustomerError.*does not have keys encrypt/decrypt permission'
CHANGE_VAULT = 'az keyvault update --name MyKeyVault --resource-group MyResourceGroup'
CHANGE_KEY = 'az keyvault key set-attributes --id $KEY_ID'
KEY_OF = '$(az keyvault key show --name k --vault-name {} --query key.kid -o tsv)'


def run(context):
    refusals = Scenario(context, 'REF', 'ref')
    refusals.prepare(
        GROUP, RBAC_VAULT, KEY, SHOW_KEY, IDENTITY, SHOW_OBJECT_ID, SHOW_RESOURCE_ID, f'{CREATE} --generate-ssh-keys'
    )
    rights(refusals)
    profiles(refusals)
    vaults(refusals)
    keys(refusals)
    busy(context, refusals)
    refusals.check(
        'after all that the good line still works', f'{PUBLIC} $KEY_ID', verify=refusals.profile('Public', 'KEY_ID')
    )
    refusals.prepare(DELETE)


def rights(refusals):
    refusals.check('an identity without any right, RBAC vault', f'{PUBLIC} $KEY_ID', refused=NO_RIGHT)
    wraps = GRANT.format('Key Vault Crypto Service Encryption User')
    refusals.check('an identity that may only wrap', f'{wraps} -o none && {PUBLIC} $KEY_ID', refused=NO_RIGHT)
    refusals.prepare(
        'az keyvault create --name kt-ref-policy --resource-group MyResourceGroup --enable-rbac-authorization false',
        'az keyvault key create --name k --vault-name kt-ref-policy',
    )
    refusals.check('an identity without a policy', f'{PUBLIC} {KEY_OF.format("kt-ref-policy")}', refused=NO_RIGHT)
    refusals.prepare(CRYPTO_USER)
    refusals.check(
        'a system-assigned identity',
        'az aks create --name aks-system --resource-group MyResourceGroup --enable-managed-identity --no-ssh-key '
        '--enable-azure-keyvault-kms --azure-keyvault-kms-key-vault-network-access Public '
        '--azure-keyvault-kms-key-id $KEY_ID',
        refused=r"does not support cluster identity type SystemAssigned, supported value is 'UserAssigned'",
    )


def profiles(refusals):
    enable = f'{UPDATE} --enable-azure-keyvault-kms --azure-keyvault-kms-key-id'
    refusals.check(
        'Private without a resource id: az says it',
        f'{enable} $KEY_ID --azure-keyvault-kms-key-vault-network-access Private',
        refused=r'resource-id" is required',
    )
    refusals.check(
        'Private without a resource id: AKS says it',
        put('"enabled":true,"keyId":"\'$KEY_ID\'","keyVaultNetworkAccess":"Private"'),
        refused=r'KeyVault resource ID is empty when KeyVault network access is Private',
    )
    refusals.check(
        'no network access: AKS says it',
        put('"enabled":true,"keyId":"\'$KEY_ID\'"'),
        refused=r'KeyVault network access is unspecified',
    )
    refusals.check(
        'a key id without version: az says it', f'{PUBLIC} ${{KEY_ID%/*}}', refused=r'not a valid Key Vault key ID'
    )
    refusals.check(
        'a key id without version: AKS says it',
        put('"enabled":true,"keyId":"\'${KEY_ID%/*}\'","keyVaultNetworkAccess":"Public"'),
        refused=r'not a versioned Key Vault key id',
    )
    refusals.check(
        'Private without VNet integration',
        PRIVATE.format('$KEY_ID'),
        refused=r'Vnet integration should be enabled',
    )
    refusals.check(
        'enable and disable at once: az says it',
        f'{PUBLIC} $KEY_ID --disable-azure-keyvault-kms',
        refused=r'(?i)cannot specify',
    )
    refusals.check(
        'a resource id with Public: az leaves it out',
        f'{PUBLIC} $KEY_ID --azure-keyvault-kms-key-vault-resource-id $KEYVAULT_RESOURCE_ID',
        verify=has(lambda cluster: not cluster['securityProfile']['azureKeyVaultKms']['keyVaultResourceId']),
    )


def vaults(refusals):
    refusals.check(
        'a vault of another tenant',
        'az rest --method put --url "https://management.azure.com$(dirname $KEYVAULT_RESOURCE_ID)/kt-ref-tenant?api-version=2023-07-01" '
        f'--body \'{{"location":"{LOCATION}","properties":{{"tenantId":"11111111-2222-3333-4444-555555555555",'
        '"sku":{"family":"A","name":"standard"},"enableRbacAuthorization":true}}\' -o none && '
        f'az keyvault key create --name k --vault-name kt-ref-tenant -o none && {PUBLIC} {KEY_OF.format("kt-ref-tenant")}',
        refused=r'belongs to tenant',
    )
    refusals.check(
        'selected networks', f'{CHANGE_VAULT} --default-action Deny -o none && {PUBLIC} $KEY_ID', refused=NO_RIGHT
    )
    refusals.check(
        'network-rule add',
        'az keyvault network-rule add --name MyKeyVault --resource-group MyResourceGroup --ip-address 203.0.113.0/24',
        verify=has(lambda vault: vault['properties']['networkAcls']['ipRules'][0]['value'], '203.0.113.0/24'),
    )
    refusals.check(
        'a closed vault as Public',
        f'{CHANGE_VAULT} --default-action Allow --public-network-access Disabled -o none && {PUBLIC} $KEY_ID',
        refused=NO_RIGHT,
    )
    refusals.prepare(f'{CHANGE_VAULT} --public-network-access Enabled')
    nowhere = 'https://no-such-vault-kt.vault.azure.net/keys/k/00000000000000000000000000000000'
    refusals.check('a vault that does not exist', f'{PUBLIC} {nowhere}', refused=r'The vault no-such-vault-kt')


def keys(refusals):
    refusals.check('a key that does not exist', f'{PUBLIC} ${{KEY_ID%/*}}/{"0" * 32}', refused=r'KeyNotFound|not found')
    refusals.check(
        'a disabled key', f'{CHANGE_KEY} --enabled false -o none && {PUBLIC} $KEY_ID', refused=r'(?i)disabled'
    )
    refusals.check(
        'an expired key',
        f'{CHANGE_KEY} --enabled true --expires 2020-01-01T00:00:00Z -o none && {PUBLIC} $KEY_ID',
        refused=r'(?i)expired',
    )
    refusals.prepare(f'{CHANGE_KEY} --expires 2035-01-01T00:00:00Z')


def busy(context, refusals):
    context.sandbox.control('PUT', '/faults/hold-operation', {'path': refusals.cluster})
    try:
        refusals.check(
            'an update while another one runs',
            f'{UPDATE} --tags a=b --no-wait && {UPDATE} --tags a=c',
            refused=r'Another operation \(Updating\) is in progress',
        )
    finally:
        context.sandbox.control('DELETE', '/faults/hold-operation')
    refusals.prepare(
        'az aks wait --updated --interval 1 --timeout 60 --name myAKSCluster --resource-group MyResourceGroup'
    )


def put(profile):
    """GET, change the KMS profile, PUT: past az's own checks."""
    url = f'https://management.azure.com$({SHOW} --query id -o tsv)?api-version=2025-10-01'
    python = (
        'import json,sys; body=json.load(sys.stdin); body["properties"].setdefault("securityProfile",{})'
        '["azureKeyVaultKms"]=json.loads(sys.argv[1]); print(json.dumps(body))'
    )
    return (
        f"az rest --method get --url \"{url}\" | python3 -c '{python}' '{{{profile}}}' > put.json && "
        f'az rest --method put --url "{url}" --body @put.json'
    )
