"""
Replays the command lines of Microsoft's KMS documents, and some that a person would type, with the real az and kubectl
against a sandbox of its own. `npm run test:az`; `npm run test:az -- --only KMS,UP` runs some groups.

Prints a table, and `N passed, N failed` at the end. When one failed, it names the log of all lines before that.
"""

import argparse
import pathlib
import shutil
import signal
import sys
import tempfile
import time
import traceback

from groups import china, csi, everyday, kms, private, refusals, upgrade
from install import installed_az
from lines import LOGIN
from sandbox import Sandbox, ensured_tools
from shell import Check, GroupEnded, Run, Shell

GROUPS = {
    'KMS': kms.run,
    'PRIV': private.run,
    'UP': upgrade.run,
    'REF': refusals.run,
    'DAY': everyday.run,
    'CHINA': china.run,
    'CSI': csi.run,
}
# Lines of the documents that no sandbox can run, and why.
NOT_RUN = {'CSI': 'git clone of the sample: it is on GitHub, and a sandbox reaches nothing outside; the group writes its files'}


def main():
    parser = argparse.ArgumentParser(prog='npm run test:az --', description=__doc__)
    parser.add_argument('--only', default=','.join(GROUPS), help='groups, with commas between them')
    chosen = parser.parse_args().only.upper().split(',')
    unknown = [name for name in chosen if name not in GROUPS]
    if unknown:
        parser.error(f'there is no group {", ".join(unknown)}; there are {", ".join(GROUPS)}')
    # As Ctrl-C: the sandbox is ended on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    az, tools = installed_az(), ensured_tools()
    # A short path: clusters put Unix sockets below it.
    folder = pathlib.Path(tempfile.mkdtemp(prefix='keyturn-az-', dir='/tmp'))
    with Sandbox(folder) as sandbox:
        context = Run(sandbox, folder, az, tools['kubectl'])
        Shell(context, 'LOGIN', {}).check('login with a service principal', LOGIN)
        for name in chosen:
            run_group(context, name)
    failed = [check for check in context.checks if check.problem]
    print_table(context.checks)
    if failed:
        remove_secrets(folder)
        print(f'The log is {folder}/log.txt')
    else:
        shutil.rmtree(folder)
    print(f'{len(context.checks) - len(failed)} passed, {len(failed)} failed')
    sys.exit(1 if failed else 0)


def run_group(context, name):
    started = time.monotonic()
    try:
        GROUPS[name](context)
    except GroupEnded as error:
        context.checks.append(Check(name, 'the group ended early', str(error), False, 0))
    except Exception as error:  # The other groups still run.
        context.log.write(traceback.format_exc())
        context.checks.append(Check(name, 'the group ended early', f'{type(error).__name__}: {error}', False, 0))
    print(f'        {name} took {time.monotonic() - started:.0f} s', flush=True)


def print_table(checks):
    print('\nGROUP  PASSED  FAILED  LINES OF THE DOCUMENTS')
    for group in dict.fromkeys(check.group for check in checks):
        mine = [check for check in checks if check.group == group]
        failed = sum(1 for check in mine if check.problem)
        documented = sum(1 for check in mine if check.documented)
        print(f'{group:5}  {len(mine) - failed:6}  {failed:6}  {documented:6}')
    for group, what in NOT_RUN.items():
        print(f'{group:5}  not run: {what}')
    print()
    for check in checks:
        if check.problem:
            print(f'{check.group}: {check.title}\n    {check.problem}')


def remove_secrets(folder):
    """Tokens, keys and kubeconfigs do not stay beside the log."""
    for name in ('home', 'work', 'sandbox'):
        shutil.rmtree(folder / name, ignore_errors=True)
    for config in folder.glob('config-*'):
        shutil.rmtree(config, ignore_errors=True)


main()
