"""One sandbox for one run: started on free ports, ended at the end."""

import json
import pathlib
import subprocess
import urllib.request

PROJECT = pathlib.Path(__file__).parents[2]
TOOLS = ['etcd', 'kube-apiserver-1.26', 'kube-apiserver-1.27', 'kube-apiserver-1.34', 'kubectl']


def ensured_tools():
    """{name: path} of what the sandbox and the groups run; built or downloaded where it is not there yet."""
    command = ['node', str(PROJECT / 'dist/tools/main.js'), *TOOLS]
    table = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    rows = [line.split(None, 2) for line in table.splitlines()[1:]]
    return {name: path.strip() for name, _, path in rows}


class Sandbox:
    """`with Sandbox(folder) as sandbox:`; `facts` is what it says of itself."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)

    def __enter__(self):
        self.errors = open(self.folder / 'sandbox.log', 'w', encoding='utf8')
        command = ['node', str(PROJECT / 'dist/sandbox/main.js'), '--directory', str(self.folder / 'sandbox')]
        # A session of its own: Ctrl-C is for this program, which then ends the sandbox.
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=self.errors, text=True, start_new_session=True
        )
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f'The sandbox did not start; see {self.errors.name}.')
        self.facts = json.loads(line)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.errors.close()

    def control(self, method, path, body=None):
        """A request to the control API."""
        control = self.facts['control']
        request = urllib.request.Request(
            control['url'] + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={'Authorization': f'Bearer {control["token"]}', 'Content-Type': 'application/json'},
        )
        without_proxy = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        return json.load(without_proxy.open(request, timeout=120))

    def etcd_of(self, cluster):
        """The URL of a cluster's etcd."""
        clusters = self.control('GET', '/state')['clusters']
        return next(one['etcdUrl'] for one in clusters if one['name'] == cluster)
