"""From KMS v1 to KMS v2, over Kubernetes 1.26 to 1.27."""

from lines import (
    CREATE_PUBLIC,
    CREDENTIALS,
    CRYPTO_USER,
    DELETE,
    DISABLE,
    GROUP,
    IDENTITY,
    KEY,
    PUBLIC,
    RBAC_VAULT,
    REWRITE,
    SHOW_KEY,
    SHOW_OBJECT_ID,
    SHOW_RESOURCE_ID,
)
from scenario import Scenario, both, has

UPGRADE = 'az aks upgrade --resource-group myResourceGroup --name myAKSCluster --kubernetes-version'
# az asks twice.
YES = ['y', 'y']


def run(context):
    up = Scenario(context, 'UP', 'up')
    up.prepare(GROUP, RBAC_VAULT, KEY, SHOW_KEY, IDENTITY, SHOW_OBJECT_ID, SHOW_RESOURCE_ID, CRYPTO_USER)
    up.check(
        'create at 1.26 with KMS v1',
        f'{CREATE_PUBLIC} --generate-ssh-keys --kubernetes-version 1.26',
        verify=has(lambda cluster: cluster['currentKubernetesVersion'][:4], '1.26'),
    )
    up.prepare(CREDENTIALS)
    up.seed()
    for version in ('1.27.1', '1.27'):
        up.check(f'KMS v1 blocks the upgrade to {version}', f'{UPGRADE} {version}', refused=r'KMS v1', answers=YES)
    up.check(
        'get-upgrades',
        'az aks get-upgrades --name myAKSCluster --resource-group MyResourceGroup',
        verify=has(
            lambda profile: [one['kubernetesVersion'] for one in profile['controlPlaneProfile']['upgrades']], ['1.27.3']
        ),
    )
    up.check('disable', DISABLE, documented=True, verify=up.profile(enabled=False))
    up.check('rewrite: all plaintext', REWRITE, documented=True, verify=up.all_under('plaintext'))
    up.check(
        "the documents' example, 1.27.1: AKS offers it no more, and the sandbox says what there is",
        f'{UPGRADE} 1.27.1',
        documented=True,
        refused=r'cannot run Kubernetes 1\.27\.1.*1\.27\.3',
        answers=YES,
    )
    up.check('upgrade to what there is', f'{UPGRADE} 1.27.3', documented=True, answers=YES, verify=at('1.27.3'))
    up.check(
        'enable: KMS v2',
        f'{PUBLIC} $KEY_ID',
        documented=True,
        verify=both(up.profile('Public', 'KEY_ID'), up.new_secret_under('KEY_ID')),
    )
    up.check('rewrite: all under KMS v2', REWRITE, documented=True, verify=up.all_under('KEY_ID'))
    up.check('minors cannot be skipped', f'{UPGRADE} 1.34', refused=r'minor versions cannot be skipped', answers=YES)
    up.prepare(DELETE)


def at(version):
    """For `verify`: control plane and pools run it."""
    return has(
        lambda cluster: {
            cluster['currentKubernetesVersion'],
            *(pool['currentOrchestratorVersion'] for pool in cluster['agentPoolProfiles']),
        },
        {version},
    )
