"""The same in the cloud of Azure China."""

from lines import (
    CREATE_PUBLIC,
    CRYPTO_USER,
    DELETE,
    IDENTITY,
    KEY,
    LOGIN,
    RBAC_VAULT,
    SHOW_KEY,
    SHOW_OBJECT_ID,
    SHOW_RESOURCE_ID,
)
from scenario import Scenario, succeeded

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
    china.prepare(DELETE)
