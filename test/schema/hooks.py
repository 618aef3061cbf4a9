"""
What schemathesis cannot guess: which cluster, keys, operations and webhooks there are. In most requests whose part is as the document
wants it, they take the place of generated texts, so that the requests reach what is behind the checks of their form. A part that is
wrong on purpose stays wrong.
"""

import json
import os
import threading

import schemathesis
from schemathesis.core.parameters import ParameterLocation

with open(os.environ['KEYTURN_SCHEMA_FACTS'], encoding='utf8') as file:
    FACTS = json.load(file)
CLUSTER = FACTS['cluster'].split('/')
# Ids of Azure in the parameters of the kinds: one that exists, and those that do not, each in its way.
PARAMETERS = FACTS['parameters']
WINDOW = {'start': '2020-01-01T00:00:00Z', 'end': '2100-01-01T00:00:00Z'}
CONTRADICTIONS = (
    'Workload identity needs ',
    'Service Connector uses ',
    'Only workload identity ',
    'Only Service Connector ',
    'The objects are too many ',
    'Two objects become the same file',
)
counts = {}
lock = threading.Lock()


def next_of(name):
    """Counted for each route, not chosen by chance: the same seed sends the same requests, whatever the other routes get."""
    with lock:
        counts[name] = counts.get(name, 0) + 1
        return counts[name] - 1


@schemathesis.hook
def before_call(context, case, **kwargs):
    count = next_of(case.operation.label)
    keep_rules(case, count)
    # The others stay as they were generated.
    if count % 4 == 3:
        return
    if not is_negative(case, ParameterLocation.PATH):
        fill_path(case, count)
    if not is_negative(case, ParameterLocation.BODY) and isinstance(case.body, dict):
        fill_body(case, count)


def keep_rules(case, count):
    """Rules between two members, which a JSON Schema cannot say: a place in a list is that of the same list, and a window ends after it begins."""
    query, headers, body = case.query or {}, case.headers or {}, case.body
    if not is_negative(case, ParameterLocation.QUERY):
        for name in ('pageToken', 'lastEventId'):
            query.pop(name, None)
    if not is_negative(case, ParameterLocation.HEADER):
        headers.pop('Last-Event-ID', None)
        # For programs: who asks here is a person.
        headers.pop('Keyturn-On-Behalf-Of', None)
        if case.operation.label == 'POST /v1/operations' and str(query.get('validateOnly')).lower() != 'true':
            # Only a look needs none.
            case.headers = {'Idempotency-Key': f'schemathesis-{count}', **headers}
    if not is_negative(case, ParameterLocation.BODY) and isinstance(body, dict):
        window = (body.get('change') or {}).get('window')
        if window:
            window.update(WINDOW)
        one_way(body.get('parameters'))


def one_way(parameters):
    """A key is named, or one is to be made."""
    if isinstance(parameters, dict):
        if 'keyId' in parameters:
            parameters.pop('newKeyName', None)
            parameters.pop('provision', None)
        elif 'identityId' in parameters and 'location' in parameters and 'provision' not in parameters:
            parameters['keyId'] = PARAMETERS['keyId'][0]


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """A request for `connect-csi` that contradicts itself is refused for that, which a JSON Schema cannot say."""
    body = case.body if isinstance(case.body, dict) else {}
    if type(failure).__name__ != 'RejectedPositiveData' or body.get('kind') != 'connect-csi':
        return True
    return not all(error['detail'].startswith(CONTRADICTIONS) for error in response.json()['errors'])


def is_negative(case, location):
    return case.meta is not None and case.meta.is_negative_at(location)


def operation_for(case, count):
    """An operation that waits is another one for each route: a decision ends its wait. One that is followed must end."""
    if case.operation.path.endswith('/events'):
        return FACTS['ended'][count % len(FACTS['ended'])]
    own = FACTS['waiting'].get(case.operation.definition.raw.get('operationId'))
    choice = [*([own] if own else []), *FACTS['ended']]
    return choice[count % len(choice)]


def fill_path(case, count):
    path = case.path_parameters or {}
    if 'id' in path:
        event = case.operation.path.startswith('/v1/webhooks/')
        operation = operation_for(case, count)
        path['id'] = f'{operation["id"]}.1' if event else operation['id']
    if 'endpoint' in path:
        path['endpoint'] = FACTS['endpoint']
    if 'resourceGroup' in path:
        path.update(subscription=CLUSTER[2], resourceGroup=CLUSTER[4], name=CLUSTER[8])


def fill_body(case, count):
    body = case.body
    if 'cluster' in body:
        body['cluster'] = FACTS['cluster']
    if 'planDigest' in body:
        body['planDigest'] = operation_for(case, count)['digest']
        body.pop('gate', None)
    parameters = body.get('parameters')
    if isinstance(parameters, dict):
        for name, values in PARAMETERS.items():
            if name in parameters:
                parameters[name] = values[(count // 4) % len(values)]
