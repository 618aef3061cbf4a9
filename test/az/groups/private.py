"""KMS on a vault that is private from the start."""

from lines import (
    CLOSE_VAULT,
    CONTRIBUTOR,
    CREATE_PRIVATE,
    CREDENTIALS,
    CRYPTO_USER,
    DELETE,
    DISABLE,
    GROUP,
    IDENTITY,
    KEY,
    KEY_VERSION,
    OPEN_VAULT,
    PRIVATE,
    PUBLIC,
    RBAC_VAULT,
    REWRITE,
    SHOW,
    SHOW_KEY,
    SHOW_NEW_KEY,
    SHOW_OBJECT_ID,
    SHOW_RESOURCE_ID,
    START,
    STOP,
    UPDATE,
    VAULT,
)
from scenario import Scenario, both, has, succeeded

NO_VNET = r'Vnet integration should be enabled when KeyVault network access is Private'
CONNECTIONS = (
    'az keyvault show --name MyKeyVault --resource-group MyResourceGroup --query properties.privateEndpointConnections'
)
ENDPOINTS = f'az network private-endpoint list --resource-group $({SHOW} --query nodeResourceGroup -o tsv)'


def run(context):
    private = Scenario(context, 'PRIV', 'priv')
    prepared(private)
    created(private)
    rotated(private)
    other_vault(context, private)
    private.check('stop and start', f'{STOP} && {START}', verify=private.new_secret_under('NEW_KEY_ID'))
    integrated_later(context, private)
    private.prepare(DELETE)


def prepared(private):
    private.prepare(GROUP)
    private.check(
        'keyvault create, closed',
        f'{VAULT} --public-network-access Disabled',
        documented=True,
        verify=has(lambda vault: vault['properties']['publicNetworkAccess'], 'Disabled'),
    )
    private.check('a key cannot be made from outside', KEY, refused=r'Public network access is disabled')
    private.check(
        'open, two versions of a key, close',
        f'{OPEN_VAULT} -o none && {KEY} -o none && {SHOW_KEY} && {KEY} -o none && {SHOW_NEW_KEY} && {CLOSE_VAULT} -o none',
        sets={'KEY_ID': KEY_VERSION, 'NEW_KEY_ID': KEY_VERSION},
    )
    private.prepare(
        'export KEYVAULT_RESOURCE_ID=$(az keyvault show --name MyKeyVault --resource-group MyResourceGroup --query id -o tsv)'
    )
    private.check('identity create', IDENTITY, documented=True)
    private.prepare(SHOW_OBJECT_ID, SHOW_RESOURCE_ID)
    private.check('Crypto User', CRYPTO_USER, documented=True)


def created(private):
    for title, flags in (('create', ' --generate-ssh-keys'), ('create without keys for SSH', '')):
        private.check(
            f'{title}: AKS wants VNet integration now', CREATE_PRIVATE + flags, documented=True, refused=NO_VNET
        )
    vnet = f'{CREATE_PRIVATE} --generate-ssh-keys --enable-apiserver-vnet-integration'
    private.check(
        'create with VNet integration, but the identity may not approve the endpoint',
        vnet,
        refused=r'LinkedAuthorizationFailed',
    )
    private.check('Contributor', CONTRIBUTOR, documented=True)
    private.prepare(DELETE)  # What is left of the failed creation.
    private.check('create with VNet integration', vnet, verify=succeeded)
    private.prepare(CREDENTIALS)
    private.seed()
    private.check(
        'no konnectivity-agent with VNet integration',
        'kubectl get po -n kube-system',
        documented=True,
        verify=both(
            lambda result: result.stdout if 'konnectivity' in result.stdout else None,
            private.profile('Private', 'KEY_ID'),
            private.new_secret_under('KEY_ID'),
        ),
    )
    approved = has(
        lambda connections: [one['privateLinkServiceConnectionState']['status'] for one in connections], ['Approved']
    )
    private.check('the vault has an approved private endpoint', CONNECTIONS, verify=approved)
    private.check('the node resource group has it', ENDPOINTS, verify=has(len, 1))


def rotated(private):
    private.check('disable', DISABLE, documented=True, verify=private.profile(enabled=False))
    private.check(
        'enable again', PRIVATE.format('$KEY_ID'), documented=True, verify=private.profile('Private', 'KEY_ID')
    )
    private.check('rewrite', REWRITE, documented=True, verify=private.all_under('KEY_ID'))
    private.check(
        'rotate', PRIVATE.format('$NewKEY_ID'), documented=True, verify=private.profile('Private', 'NEW_KEY_ID')
    )
    private.check(
        'rewrite: all under the new version', REWRITE, documented=True, verify=private.all_under('NEW_KEY_ID')
    )


def other_vault(context, private):
    """Another vault with another mode may be set directly (the note under "Update a key vault mode")."""
    kept = {name: value for name, value in private.variables.items() if name.startswith('IDENTITY_')}
    public = Scenario(context, 'PRIV', 'priv', vault='kt-priv-public', variables=kept)
    public.prepare(RBAC_VAULT, f'{KEY} -o none', SHOW_KEY, f'{CRYPTO_USER} -o none')
    public.check(
        'straight to another, public vault',
        f'{PUBLIC} $KEY_ID',
        documented=True,
        verify=both(public.profile('Public', 'KEY_ID'), public.new_secret_under('KEY_ID')),
    )
    public.check('rewrite: every Secret follows', REWRITE, documented=True, verify=public.all_under('KEY_ID'))
    private.check(
        'straight back to the private vault',
        PRIVATE.format('$NewKEY_ID'),
        documented=True,
        verify=both(private.profile('Private', 'NEW_KEY_ID'), private.new_secret_under('NEW_KEY_ID')),
    )


def integrated_later(context, private):
    """VNet integration on a cluster that exists: one way, and a restart."""
    names = ('IDENTITY_OBJECT_ID', 'IDENTITY_RESOURCE_ID', 'KEY_ID', 'KEYVAULT_RESOURCE_ID')
    late = Scenario(
        context, 'PRIV', 'priv', cluster='aks-late', variables={name: private.variables[name] for name in names}
    )
    late.prepare(
        'az aks create --name myAKSCluster --resource-group MyResourceGroup --assign-identity $IDENTITY_RESOURCE_ID --no-ssh-key'
    )
    subnet = (
        '--apiserver-subnet-id $(dirname $IDENTITY_RESOURCE_ID)/../../Microsoft.Network/virtualNetworks/v/subnets/api'
    )
    subnet = subnet.replace(
        '$(dirname $IDENTITY_RESOURCE_ID)/../..', '${IDENTITY_RESOURCE_ID%/Microsoft.ManagedIdentity/*}'
    )
    late.check(
        'turn on VNet integration',
        f'{UPDATE} --enable-apiserver-vnet-integration {subnet} --yes',
        verify=has(lambda cluster: cluster['apiServerAccessProfile']['enableVnetIntegration'], True),
    )
    late.check('private mode before the restart is refused', PRIVATE.format('$KEY_ID'), refused=NO_VNET)
    late.check(
        'private mode after it',
        f'{STOP} && {START} && {PRIVATE.format("$KEY_ID")}',
        verify=late.profile('Private', 'KEY_ID'),
    )
    late.prepare(DELETE)
