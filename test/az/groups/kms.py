"""KMS on public vaults: create, enable, rotate, change of mode, expiry, disable. After the documents' order."""

from lines import (
    CREATE_PUBLIC,
    CREDENTIALS,
    CLOSE_VAULT,
    CREATE,
    CRYPTO_USER,
    CONTRIBUTOR,
    DELETE,
    DISABLE,
    GROUP,
    IDENTITY,
    KEY,
    KEY_VERSION,
    LOCATION,
    OPEN_VAULT,
    PRIVATE,
    PUBLIC,
    RBAC_VAULT,
    REWRITE,
    SET_POLICY,
    SHOW,
    SHOW_KEY,
    SHOW_NEW_KEY,
    SHOW_OBJECT_ID,
    SHOW_RESOURCE_ID,
    START,
    STOP,
    VAULT,
)
from scenario import Scenario, both, has, succeeded, word

OFFICER = (
    'az role assignment create --role "Key Vault Crypto Officer" --assignee-object-id {} --assignee-principal-type {} '
    '--scope $KEYVAULT_RESOURCE_ID'
)
LIST = (
    'az aks list --query "[].{Name:name, KmsEnabled:securityProfile.azureKeyVaultKms.enabled, '
    'KeyId:securityProfile.azureKeyVaultKms.keyId}" -o table'
)
NODE_POOLS = '--cluster-name myAKSCluster --resource-group MyResourceGroup'


def run(context):
    scenario = lambda **names: Scenario(context, 'KMS', 'kms', **names)
    plain = scenario(vault='kt-default')
    policy = scenario(vault='kt-policy', cluster='aks-policy')
    rbac = scenario(vault='kt-rbac')
    vaults(plain, policy, rbac)
    identity(plain, policy, rbac)
    facts = {**rbac.variables}
    new = scenario(vault='kt-rbac', cluster='aks-new', variables=facts)
    old = scenario(vault='kt-rbac', cluster='aks-old', variables=facts)
    created_with_kms(new, policy)
    enabled_later(old)
    rotated(old)
    other_mode(old)
    looked_at(old)
    expired(new)
    disabled(old)
    old.prepare(DELETE)
    new.prepare(DELETE)


def vaults(plain, policy, rbac):
    plain.check('group create', GROUP, documented=True)
    plain.check(
        'keyvault create: az makes an RBAC vault now',
        VAULT,
        documented=True,
        verify=has(lambda vault: vault['properties']['enableRbacAuthorization'], True),
    )
    plain.check('key create', KEY, documented=True)
    plain.check('key show', SHOW_KEY, documented=True, sets={'KEY_ID': KEY_VERSION})
    policy.check(
        'keyvault create with access policies: az asks Graph for its own object id',
        f'{VAULT} --enable-rbac-authorization false',
        verify=has(lambda vault: vault['properties']['accessPolicies']),
    )
    policy.check('key create in an access-policy vault', KEY, documented=True)
    policy.check('key show in an access-policy vault', SHOW_KEY, documented=True, sets={'KEY_ID': KEY_VERSION})
    rbac.check(
        'keyvault create with RBAC', RBAC_VAULT, documented=True, sets={'KEYVAULT_RESOURCE_ID': r'/vaults/kt-rbac$'}
    )
    for out in ('--out tsv', '-o tsv'):
        rbac.check(
            f'Crypto Officer for the signed-in user ({out}): an application is not a user',
            OFFICER.format(f'$(az ad signed-in-user show --query id {out})', '"User"'),
            documented=True,
            refused=r'/me request is only valid with delegated authentication flow',
        )
    rbac.check(
        'Crypto Officer for the application itself',
        OFFICER.format('$(az ad sp show --id $SP_ID --query id -o tsv)', '"ServicePrincipal"'),
        verify=has(lambda assignment: assignment['createdBy']),
    )
    rbac.check('key create in an RBAC vault', KEY, documented=True)
    rbac.check('key show in an RBAC vault', SHOW_KEY, documented=True, sets={'KEY_ID': KEY_VERSION})


def identity(plain, policy, rbac):
    rbac.check('identity create', IDENTITY, documented=True, verify=has(lambda identity: identity['clientId']))
    rbac.check(
        'identity show principalId', SHOW_OBJECT_ID, documented=True, sets={'IDENTITY_OBJECT_ID': r'^[0-9a-f-]{36}$'}
    )
    rbac.check('identity show id', SHOW_RESOURCE_ID, documented=True, sets={'IDENTITY_RESOURCE_ID': r'/MyIdentity$'})
    for other in (plain, policy):
        other.variables.update({name: rbac.variables[name] for name in ('IDENTITY_OBJECT_ID', 'IDENTITY_RESOURCE_ID')})
    plain.check(
        'set-policy on an RBAC vault: az refuses',
        f'{SET_POLICY} --resource-group MyResourceGroup',
        refused=r"Cannot set policies to a vault with '--enable-rbac-authorization'",
    )
    permissions = has(
        lambda vault: next(
            sorted(one['permissions']['keys'])
            for one in vault['properties']['accessPolicies']
            if one['objectId'] == rbac.variables['IDENTITY_OBJECT_ID']
        ),
        ['decrypt', 'encrypt'],
    )
    policy.check('set-policy', SET_POLICY, documented=True, verify=permissions)
    policy.check('set-policy with -n', SET_POLICY.replace('--name', '-n'), documented=True, verify=permissions)
    given = has(lambda assignment: assignment['principalId'], rbac.variables['IDENTITY_OBJECT_ID'])
    rbac.check('Key Vault Crypto User', CRYPTO_USER, documented=True, verify=given)
    rbac.check('Key Vault Contributor', CONTRIBUTOR, documented=True, verify=given)


def created_with_kms(new, policy):
    new.check('create with KMS', f'{CREATE_PUBLIC} --generate-ssh-keys', documented=True, verify=succeeded)
    new.check(
        'get-credentials: kubectl reaches the cluster, a Secret is under the key',
        f'{CREDENTIALS} && kubectl get namespaces',
        verify=new.new_secret_under('KEY_ID'),
    )
    new.check(
        'konnectivity-agent runs without VNet integration',
        'kubectl get po -n kube-system',
        documented=True,
        verify=lambda result: None if 'konnectivity-agent' in result.stdout else result.stdout,
    )
    policy.check('create with KMS on an access-policy vault', CREATE_PUBLIC, documented=True, verify=succeeded)
    policy.check('delete', DELETE)


def enabled_later(old):
    old.check(
        'create without KMS, with VNet integration',
        f'{CREATE} --generate-ssh-keys --enable-apiserver-vnet-integration',
        verify=has(lambda cluster: cluster['apiServerAccessProfile']['enableVnetIntegration'], True),
    )
    old.check(
        'show: VNet integration is on',
        'az aks show -g MyResourceGroup -n myAKSCluster --query apiServerAccessProfile.enableVnetIntegration -o tsv',
        documented=True,
        verify=word('true'),
    )
    old.prepare(CREDENTIALS)
    old.seed()
    old.check(
        'enable',
        f'{PUBLIC} $KEY_ID',
        documented=True,
        verify=both(old.profile('Public', 'KEY_ID'), old.new_secret_under('KEY_ID')),
    )
    old.check('rewrite: all under the key', REWRITE, documented=True, verify=old.all_under('KEY_ID'))


def rotated(old):
    old.check('key create again', KEY, documented=True)
    old.check('key show again', SHOW_NEW_KEY, documented=True, sets={'NEW_KEY_ID': KEY_VERSION})
    old.check(
        'update with the new version',
        f'{PUBLIC} $NEW_KEY_ID',
        documented=True,
        verify=old.profile('Public', 'NEW_KEY_ID'),
    )
    old.check('rewrite: all under the new version', REWRITE, documented=True, verify=old.all_under('NEW_KEY_ID'))


def other_mode(old):
    old.check(
        'the mode of the attached vault cannot change while KMS is on',
        PRIVATE.format('$NEW_KEY_ID'),
        refused=r'keyVaultNetworkAccess',
    )
    old.check(
        'disable', DISABLE, documented=True, verify=both(old.profile(enabled=False), old.new_secret_under('plaintext'))
    )
    old.check('rewrite: all plaintext', REWRITE, documented=True, verify=old.all_under('plaintext'))
    old.check(
        'close the vault',
        CLOSE_VAULT,
        documented=True,
        verify=has(lambda vault: vault['properties']['publicNetworkAccess'], 'Disabled'),
    )
    old.check(
        'enable with the vault in private mode',
        PRIVATE.format('$NewKEY_ID'),
        documented=True,
        verify=both(old.profile('Private', 'NEW_KEY_ID'), old.new_secret_under('NEW_KEY_ID')),
    )
    old.check('rewrite: all under the private key', REWRITE, documented=True, verify=old.all_under('NEW_KEY_ID'))
    old.check('back: disable, open the vault', f'{DISABLE} -o none && {OPEN_VAULT}', verify=old.profile(enabled=False))
    old.check('back: enable in public mode', f'{PUBLIC} $NEW_KEY_ID', verify=old.profile('Public', 'NEW_KEY_ID'))


def looked_at(old):
    old.check('stop', f'{STOP} && {SHOW} --query powerState.code -o tsv', verify=word('Stopped'))
    old.check('start', f'{START} && kubectl get secrets -A -o name', verify=old.new_secret_under('NEW_KEY_ID'))
    old.check(
        'nodepool list', f'az aks nodepool list {NODE_POOLS}', verify=has(lambda pools: pools[0]['name'], 'nodepool1')
    )
    old.check(
        'nodepool show',
        f'az aks nodepool show {NODE_POOLS} --name nodepool1',
        verify=has(lambda pool: pool['provisioningState'], 'Succeeded'),
    )
    old.check(
        'get-upgrades',
        'az aks get-upgrades --name myAKSCluster --resource-group MyResourceGroup',
        verify=has(lambda profile: profile['controlPlaneProfile']['kubernetesVersion']),
    )
    old.check(
        'get-versions', f'az aks get-versions --location {LOCATION}', verify=has(lambda versions: versions['values'])
    )
    old.check(
        'show has the key id',
        SHOW,
        documented=True,
        verify=has(lambda cluster: cluster['securityProfile']['azureKeyVaultKms']['keyId']),
    )


def expired(new):
    """What the documents' section on observability is about."""
    readyz = (
        'set +o pipefail; for i in $(seq 1 36); do kubectl get --raw "/readyz?verbose" 2>&1 | {} && exit 0; sleep 5; done; '
        'echo "ERROR: not in 3 minutes" >&2; exit 1'
    )
    new.check(
        'the key in use expires',
        'az keyvault key set-attributes --id $KEY_ID --expires 2020-01-01T00:00:00Z',
        verify=has(lambda key: key['attributes']['expires'][:10], '2020-01-01'),
    )
    new.check('the API server says so', readyz.format('grep "kms-providers failed"'))
    new.check(
        'its expiry is extended: healthy again',
        'az keyvault key set-attributes --id $KEY_ID --expires 2035-01-01T00:00:00Z -o none && '
        + readyz.format('grep "readyz check passed"'),
        verify=new.new_secret_under('KEY_ID'),
    )


def disabled(old):
    listed = lambda pattern: (
        lambda result: (
            None
            if any(line.split()[:2] == ['aks-old', pattern] for line in result.stdout.splitlines())
            else result.stdout
        )
    )
    old.check('list: KMS is on', LIST, documented=True, verify=listed('True'))
    old.check('disable for good', DISABLE, documented=True, verify=old.profile(enabled=False))
    old.check('rewrite: all plaintext again', REWRITE, documented=True, verify=old.all_under('plaintext'))
    old.check('list: KMS is off', LIST, documented=True, verify=listed('False'))
