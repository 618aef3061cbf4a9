"""A scenario with a resource group and a cluster of its own, and what can be said of that cluster."""

import base64
import hashlib
import json
import secrets
import urllib.request

import lines
from shell import Shell


class Scenario(Shell):
    """A shell that knows its cluster. The checks on it read ARM through az, and etcd past the API server."""

    def __init__(self, run, group, tag, *, vault=None, cluster=None, variables=None, cloud='AzureCloud', extra=None):
        resource_group = f'rg-{tag}'
        self.cluster = cluster or f'aks-{tag}'
        names = {
            'MyResourceGroup': resource_group,
            'myResourceGroup': resource_group,
            'MyKeyVault': vault or f'kt-{tag}',
            'myAKSCluster': self.cluster,
            **(extra or {}),
        }
        kubeconfig = {'KUBECONFIG': str(run.folder / 'work' / f'kube-{self.cluster}')}
        super().__init__(run, group, names, {**(variables or {}), **kubeconfig}, cloud)

    def seed(self, count=20):
        """Fills the cluster with Secrets, some immutable."""
        body = {'count': count, 'namespaces': ['default', 'kube-system'], 'immutableEvery': 7}
        self.run.sandbox.control('POST', f'/clusters/{self.cluster}/seed', body)

    def profile(self, access=None, key=None, enabled=True):
        """For `verify`: what az aks show says of KMS. `key`: a variable."""

        def verify(_):
            shown = self.sh(f'{lines.SHOW} --query securityProfile.azureKeyVaultKms -o json')
            profile = json.loads(shown.stdout or 'null') or {}
            if bool(profile.get('enabled')) != enabled:
                return f'az aks show: enabled is {profile.get("enabled")}'
            if not enabled:
                return None
            if key and profile.get('keyId') != self.variables[key]:
                return f'az aks show: keyId is {profile.get("keyId")}, not {self.variables[key]}'
            if access and profile.get('keyVaultNetworkAccess') != access:
                return f'az aks show: keyVaultNetworkAccess is {profile.get("keyVaultNetworkAccess")}'
            return None

        return verify

    def all_under(self, key):
        """For `verify`: every Secret in etcd is under this key, a variable, or `plaintext`."""

        def verify(_):
            keys = {} if key == 'plaintext' else {key: self.variables[key]}
            count = secrets_in_etcd(self.run.sandbox.etcd_of(self.cluster), keys)
            return None if set(count) == {key} else f'etcd has {count}, and all should be under {key}'

        return verify

    def new_secret_under(self, key):
        """For `verify`: a new Secret is written with this key, a variable, or `plaintext`; and it can be read."""

        def verify(_):
            name = f'probe-{secrets.token_hex(3)}'
            made = self.sh(
                f'kubectl create secret generic {name} --from-literal=a=b && kubectl get secret {name} -o name'
            )
            if made.code != 0:
                return f'kubectl create secret: {made.why()}'
            keys = {} if key == 'plaintext' else {key: self.variables[key]}
            count = secrets_in_etcd(self.run.sandbox.etcd_of(self.cluster), keys, name)
            return None if count == {key: 1} else f'etcd has the new Secret under {list(count)}, not {key}'

        return verify


def both(*verifies):
    """For `verify`: the first thing that is wrong."""
    return lambda result: next((wrong for wrong in (verify(result) for verify in verifies) if wrong), None)


def word(wanted):
    """For `verify`: the last word of the output."""
    return lambda result: None if result.last_word == wanted else f'the answer is "{result.last_word}", not "{wanted}"'


def has(pick, wanted=None):
    """For `verify`: what `pick` takes from the answer is `wanted`, or is anything at all."""

    def verify(result):
        value = pick(result.json())
        good = bool(value) if wanted is None else value == wanted
        return None if good else f'the answer has {value!r}' + ('' if wanted is None else f', not {wanted!r}')

    return verify


succeeded = has(lambda cluster: cluster['provisioningState'], 'Succeeded')


def secrets_in_etcd(url, keys, name=''):
    """{key, `plaintext` or `other`: how many Secrets}. `keys`: {name: key id}. `name`: of one Secret in `default`."""
    start = f'/registry/secrets/default/{name}' if name else '/registry/secrets/'
    # The end of a range is the first key after it.
    end = start[:-1] + chr(ord(start[-1]) + 1)
    body = {'key': encoded(start), 'range_end': encoded(end)}
    request = urllib.request.Request(f'{url}/v3/kv/range', data=json.dumps(body).encode())
    without_proxy = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    count = {}
    for record in json.load(without_proxy.open(request, timeout=30)).get('kvs', []):
        value = base64.b64decode(record['value'])
        where = 'plaintext' if value.startswith(b'k8s\0') else 'other'
        for key, key_id in keys.items():
            digest = hashlib.sha256(key_id.encode())
            if digest.hexdigest().encode() in value or digest.digest() in value:
                where = key
        count[where] = count.get(where, 0) + 1
    return count


def encoded(text):
    return base64.b64encode(text.encode()).decode()
