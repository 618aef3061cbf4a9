"""What a person types beside the documents: tables, lists, a slip of the pen, an operation given up."""

from lines import (
    CREATE_PUBLIC,
    CRYPTO_USER,
    CREDENTIALS,
    DELETE,
    GROUP,
    IDENTITY,
    KEY,
    LOCATION,
    PUBLIC,
    RBAC_VAULT,
    SHOW,
    SHOW_KEY,
    SHOW_OBJECT_ID,
    SHOW_RESOURCE_ID,
    UPDATE,
)
from scenario import Scenario, has, word

ABORT = 'az aks operation-abort --name myAKSCluster --resource-group MyResourceGroup'


def run(context):
    day = Scenario(context, 'DAY', 'day')
    day.prepare(
        GROUP,
        RBAC_VAULT,
        *(KEY, KEY, KEY),
        SHOW_KEY,
        *(IDENTITY, SHOW_OBJECT_ID, SHOW_RESOURCE_ID, CRYPTO_USER),
        f'{CREATE_PUBLIC} --no-ssh-key',
    )
    tables(day)
    rights(day)
    credentials(day)
    diagnostics(day)
    slips(day)
    abort(context, day)
    day.prepare(DELETE)
    identity_gone(day)


def tables(day):
    row = lambda *words: lambda result: None if all(one in result.stdout for one in words) else result.stdout
    day.check('show as a table', f'{SHOW} -o table', verify=row('aks-day', 'westeurope', '1.34', 'Succeeded'))
    day.check('list as a table', 'az aks list -o table', verify=row('aks-day', 'rg-day'))
    day.check(
        'group show of the nodes',
        f'az group show --name $({SHOW} --query nodeResourceGroup -o tsv) --query name -o tsv',
        verify=word('MC_rg-day_aks-day_westeurope'),
    )
    day.check('keyvault list', 'az keyvault list -o table', verify=row('kt-day', 'westeurope'))
    day.check(
        'keyvault show by name alone', 'az keyvault show --name MyKeyVault --query name -o tsv', verify=word('kt-day')
    )
    listed = 'az keyvault key list-versions --name MyKeyName --vault-name MyKeyVault'
    day.check('key list-versions, at most two', f'{listed} --maxresults 2', verify=has(len, 2))
    day.check(
        'key rotate, and list-versions shows four',
        f'az keyvault key rotate --name MyKeyName --vault-name MyKeyVault -o none && {listed}',
        verify=has(len, 4),
    )
    day.check(
        'key list',
        'az keyvault key list --vault-name MyKeyVault',
        verify=has(lambda keys: [key['name'] for key in keys], ['MyKeyName']),
    )


def rights(day):
    roles = lambda found: {(one['principalName'] != '', one['roleDefinitionName']) for one in found}
    day.check(
        'role assignment list at the vault',
        'az role assignment list --scope $KEYVAULT_RESOURCE_ID',
        verify=has(roles, {(True, 'Key Vault Crypto User')}),
    )
    day.check(
        'role assignment list of the identity, as a table',
        'az role assignment list --assignee $IDENTITY_OBJECT_ID --all -o table',
        verify=lambda result: None if 'Key Vault Crypto User' in result.stdout else result.stdout,
    )
    day.check(
        'role definition list',
        'az role definition list --name "Key Vault Contributor"',
        verify=has(lambda found: 'Microsoft.KeyVault/*' in found[0]['permissions'][0]['actions'], True),
    )
    day.check(
        'deny assignments',
        'az rest --url "$KEYVAULT_RESOURCE_ID/providers/Microsoft.Authorization/denyAssignments?api-version=2022-04-01"',
        verify=has(lambda found: found['value'] == []),
    )
    day.check(
        'who is this application',
        'az ad sp show --id $SP_ID',
        verify=has(lambda found: found['displayName'], 'keyturn'),
    )
    day.check(
        'who is this person',
        'az ad user show --id approver1@sandbox.test',
        verify=has(lambda found: found['displayName'], 'approver1'),
    )


def credentials(day):
    contexts = 'kubectl config get-contexts -o name'
    day.check(
        'get-credentials: the context has the name of the cluster',
        f'{CREDENTIALS} && {contexts}',
        verify=word('aks-day'),
    )
    day.check(
        'get-credentials --admin: a context beside it',
        f'{CREDENTIALS} --admin && {contexts} | sort',
        verify=word('aks-day-admin'),
    )


def diagnostics(day):
    """The log of who used which key of the vault."""
    day.check(
        'log-analytics workspace create',
        f'az monitor log-analytics workspace create --resource-group MyResourceGroup --workspace-name logs --location {LOCATION}',
        verify=has(lambda workspace: workspace['customerId']),
    )
    day.check(
        'diagnostic-settings create on the vault',
        'az monitor diagnostic-settings create --name kms --resource $KEYVAULT_RESOURCE_ID '
        '--logs \'[{"category":"AuditEvent","enabled":true}]\' --workspace $(az monitor log-analytics workspace show '
        '--resource-group MyResourceGroup --workspace-name logs --query id -o tsv)',
        verify=has(lambda setting: setting['logs'][0]['enabled'], True),
    )
    day.check(
        'diagnostic-settings list',
        'az monitor diagnostic-settings list --resource $KEYVAULT_RESOURCE_ID',
        verify=has(lambda found: [setting['name'] for setting in found], ['kms']),
    )
    day.check(
        'a second setting with the same sink is refused',
        'az monitor diagnostic-settings create --name again --resource $KEYVAULT_RESOURCE_ID '
        '--logs \'[{"category":"AuditEvent","enabled":true}]\' --workspace $(az monitor log-analytics workspace show '
        '--resource-group MyResourceGroup --workspace-name logs --query id -o tsv)',
        refused=r'Conflict',
    )


def slips(day):
    day.check('a flag that does not exist', f'{UPDATE} --enable-azure-kms', refused=r'unrecognized arguments')
    day.check(
        'a key id without the flag that enables',
        f'{UPDATE} --azure-keyvault-kms-key-id $KEY_ID',
        refused=r'enable-azure-keyvault-kms',
    )
    day.check(
        'a network access that does not exist',
        f'{PUBLIC.replace("Public", "Open")} $KEY_ID',
        refused=r'(?i)invalid choice|not a valid|allowed values',
    )
    day.check(
        'a cluster that does not exist',
        'az aks show --name nowhere --resource-group MyResourceGroup',
        refused=r'ResourceNotFound.*nowhere',
    )
    day.check(
        'a group that does not exist',
        'az aks show --name nowhere --resource-group nowhere',
        refused=r'ResourceGroupNotFound',
    )
    day.check('a vault that does not exist', 'az keyvault show --name nowhere-kt', refused=r'not found')
    day.check(
        'a role that does not exist',
        'az role assignment create --role "Key Vault Owner" --assignee $IDENTITY_OBJECT_ID --scope $KEYVAULT_RESOURCE_ID',
        refused=r"Role 'Key Vault Owner' doesn't exist",
    )


def abort(context, day):
    day.check('operation-abort when nothing runs', ABORT, refused=r'No operation runs')
    context.sandbox.control('PUT', '/faults/hold-operation', {'path': day.cluster})
    try:
        day.prepare(f'{UPDATE} --tags a=b --no-wait')
        day.check('operation-abort', f'{ABORT} && {SHOW} --query provisioningState -o tsv', verify=word('Canceled'))
    finally:
        context.sandbox.control('DELETE', '/faults/hold-operation')
    day.check('an update after it', f'{UPDATE} --tags a=c --query tags.a -o tsv', verify=word('c'))


def identity_gone(day):
    name = '--name MyIdentity --resource-group MyResourceGroup'
    day.check('identity delete', f'az identity delete {name} && az identity show {name}', refused=r'ResourceNotFound')
