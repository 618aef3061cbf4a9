"""Runs command lines as a person would, in bash with az and kubectl, and judges each of them."""

import json
import os
import pathlib
import pty
import re
import subprocess
import threading
import time

# Variables that later lines of a scenario use.
KEPT = r'^(KEY_ID|NEW_KEY_ID|NewKEY_ID|KEYVAULT_|IDENTITY_|SP_|SUBSCRIPTION|USER_ASSIGNED_|AKS_OIDC_)'
# Lines on standard error that say nothing about a failure.
NOISE = re.compile(
    r'^(WARNING|Command group|Argument|This command|The behavior|In a future|Reference and|\s*$)|in preview'
)
SAYS_WHY = re.compile(r'^(ERROR|error|Error|\(|Code:|Message:|BadRequest|Unable|The command failed)')
NOT_THERE = r'SandboxRouteNotServed|does not serve|no matches for kind|502 Bad Gateway|does not have a host assigned'


class GroupEnded(Exception):
    """What the rest of a group stands on did not work."""


class Result:
    """What a command line did."""

    def __init__(self, code, stdout, stderr, variables, seconds):
        self.code, self.stdout, self.stderr = code, stdout, stderr
        self.variables, self.seconds = variables, seconds

    @property
    def text(self):
        return f'{self.stdout}\n{self.stderr}'

    @property
    def last_word(self):
        return (self.stdout.split() or [''])[-1]

    def json(self):
        """The answer; az prints its questions before it, on standard output too."""
        start = re.search(r'^[\[{]', self.stdout, re.M) or re.search(r'[\[{]', self.stdout)
        return json.loads(self.stdout[start.start() :] if start else self.stdout)

    def why(self):
        """The line that says what went wrong."""
        lines = [line.strip() for line in self.stderr.split('\n') if not NOISE.search(line)]
        found = next((line for line in lines if SAYS_WHY.match(line)), lines[0] if lines else '')
        return found[:300] or f'exit status {self.code}'


class Check:
    """One line of the table at the end."""

    def __init__(self, group, title, problem, documented, seconds):
        self.group, self.title, self.problem = group, title, problem
        self.documented, self.seconds = documented, seconds


class Run:
    """What all scenarios of a run share: the sandbox, the programs, the log, the checks so far."""

    def __init__(self, sandbox, folder, az, kubectl):
        self.sandbox, self.folder = sandbox, pathlib.Path(folder)
        self.checks = []
        for name in ('bin', 'home', 'work'):
            (self.folder / name).mkdir()
        for name, path in (('az', az), ('kubectl', kubectl)):
            (self.folder / 'bin' / name).symlink_to(path)
        facts = sandbox.facts
        # A service principal that may do everything.
        self.login = {
            'SP_ID': facts['clientId'],
            'SP_SECRET': facts['clientSecret'],
            'SP_TENANT': facts['tenantId'],
        }
        self.log = open(self.folder / 'log.txt', 'w', encoding='utf8')

    def environment(self, cloud):
        facts = self.sandbox.facts
        not_ours = ('SSL_CERT_FILE', 'SSL_CERT_DIR', 'CURL_CA_BUNDLE', 'KUBECONFIG')
        kept = {name: value for name, value in os.environ.items() if name not in not_ours}
        return {
            **kept,
            'HOME': f'{self.folder}/home',
            'PATH': f'{self.folder}/bin:{kept["PATH"]}',
            'AZURE_CONFIG_DIR': f'{self.folder}/config-{cloud}',
            'HTTPS_PROXY': facts['proxyUrl'],
            'https_proxy': facts['proxyUrl'],
            'REQUESTS_CA_BUNDLE': facts['caFile'],
            'NO_PROXY': '127.0.0.1,localhost',
            'no_proxy': '127.0.0.1,localhost',
            'AZURE_CORE_COLLECT_TELEMETRY': 'no',
            'AZURE_EXTENSION_USE_DYNAMIC_INSTALL': 'no',
            'AZURE_CORE_NO_COLOR': 'yes',
            'AZURE_CORE_SURVEY_MESSAGE': 'no',
        }


class Shell:
    """A scenario: names of its own in place of the documents' names, and variables that stay from line to line."""

    def __init__(self, run, group, names, variables=None, cloud='AzureCloud'):
        self.run, self.group, self.names, self.cloud = run, group, names, cloud
        self.variables = {**run.login, **(variables or {})}

    def own(self, text):
        """A line with the scenario's names in it."""
        for given, ours in self.names.items():
            text = re.sub(rf'(?<![\w$-]){re.escape(given)}(?![\w-])', ours, text)
        return text

    def sh(self, text, answers=None, timeout=300):
        """Runs a line. `answers`: what a person types when az asks."""
        keep = self.run.folder / 'work' / 'variables'
        script = (
            f'set -o pipefail\n{self.own(text)}\ncode=$?\n'
            f'for name in $(compgen -v | grep -E "{KEPT}"); do printf "%s=%s\\n" "$name" "${{!name}}"; done > {keep}\n'
            'exit $code\n'
        )
        started = time.monotonic()
        master, slave = pty.openpty() if answers else (None, subprocess.DEVNULL)
        process = subprocess.Popen(
            ['bash', '-c', script],
            env={**self.run.environment(self.cloud), **self.variables},
            cwd=self.run.folder / 'work',
            stdin=slave,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        if answers:
            os.close(slave)
            threading.Thread(target=type_lines, args=(master, answers), daemon=True).start()
        try:
            stdout, stderr = process.communicate(timeout=timeout)
            code = process.returncode
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)  # Only what this line started: it has a session of its own.
            stdout, stderr = process.communicate()
            code, stderr = 124, stderr + f'\nERROR: no end after {timeout} s'.encode()
        if keep.exists():
            self.variables.update(line.split('=', 1) for line in keep.read_text().splitlines() if '=' in line)
            keep.unlink()
        seconds = time.monotonic() - started
        return Result(code, stdout.decode(errors='replace'), stderr.decode(errors='replace'), self.variables, seconds)

    def prepare(self, *lines):
        """Lines that the checks after them stand on. Ends the group when one fails."""
        for line in lines:
            result = self.sh(line)
            self.note('prepare', line, result, '')
            if result.code != 0:
                raise GroupEnded(f'{self.own(line)}: {result.why()}')

    def check(self, title, line, *, documented=False, refused=None, sets=None, verify=None, answers=None, timeout=300):
        """
        Runs a line and judges it.
        documented  the line stands in Microsoft's documents; only names differ.
        refused     a pattern: Azure, or az, refuses this with a text that matches.
        sets        {variable: pattern}: what the line must leave in variables.
        verify      called with the result when the line succeeded; returns what is wrong, or nothing.
        """
        result = self.sh(line, answers, timeout)
        problem = judged(result, refused, sets or {}, verify)
        self.run.checks.append(Check(self.group, title, problem, documented, result.seconds))
        self.note(title, line, result, problem)
        print(f'{"FAILED" if problem else "passed"}  {self.group:9} {result.seconds:5.1f} s  {title}', flush=True)
        if problem:
            print(f'{"":28}{problem}', flush=True)
        return result

    def note(self, title, line, result, problem):
        self.run.log.write(
            f'\n===== {self.group}: {title}{": FAILED, " + problem if problem else ""}\n$ {self.own(line)}\n'
            f'exit status {result.code}, {result.seconds:.1f} s\n{result.stdout[-6000:]}\n{result.stderr[-6000:]}\n'
        )
        self.run.log.flush()


def judged(result, refused, sets, verify):
    """What is wrong; empty when all is as it should be."""
    if refused is not None:
        if result.code == 0:
            return 'accepted, though Azure refuses it'
        return '' if re.search(refused, result.text, re.S) else f'refused in other words: {result.why()}'
    if result.code != 0:
        return f'{"not there: " if re.search(NOT_THERE, result.text) else ""}{result.why()}'
    for name, pattern in sets.items():
        value = result.variables.get(name, '')
        if not re.search(pattern, value):
            return f'{name} is "{value}": {result.why()}'
    try:
        return str((verify and verify(result)) or '')
    except (KeyError, IndexError, TypeError, ValueError) as error:  # What cannot be read has the wrong shape.
        return f'the answer has another shape: {type(error).__name__} {error}'


def type_lines(master, lines):
    """Answers questions one after the other."""
    try:
        for line in lines:
            time.sleep(0.2)
            os.write(master, f'{line}\n'.encode())
        while os.read(master, 1024):
            pass
    except OSError:
        pass  # The line has ended.
