"""
Programs in Python that only tests run: each in a virtual environment in Keyturn's cache, made once from its requirements.txt.

`python3 test/support/venv_programs.py NAME REQUIREMENTS PROGRAM` prints the path of a program; progress goes to standard error.
"""

import hashlib
import os
import pathlib
import shutil
import subprocess
import sys


def cache_folder():
    """KEYTURN_CACHE, else `keyturn` in the user's cache folder: as tools/settings.ts has it."""
    chosen = os.environ.get('KEYTURN_CACHE')
    if chosen:
        return pathlib.Path(chosen).resolve()
    system = 'Library/Caches' if sys.platform == 'darwin' else '.cache'
    return pathlib.Path(os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / system) / 'keyturn'


def installed(name, requirements, program):
    """The path of a program. The first call installs it with pip, which takes minutes; the others need no network."""
    text = requirements.read_text()
    python = '.'.join(map(str, sys.version_info[:2]))
    folder = cache_folder() / 'tools' / name / f'{hashlib.sha256(text.encode()).hexdigest()[:12]}-python{python}'
    path = folder / 'bin' / program
    done = folder / 'done'
    if done.exists():
        return path
    print(f'Installing {name} into {folder}; this takes minutes, once.', file=sys.stderr, flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, '-m', 'venv', str(folder)], check=True, stdout=sys.stderr)
    pip = [str(folder / 'bin' / 'python'), '-m', 'pip', 'install', '--quiet', '--requirement', str(requirements)]
    subprocess.run(pip, check=True, stdout=sys.stderr)
    # What was cut short before this line is installed anew.
    done.touch()
    return path


if __name__ == '__main__':
    print(installed(sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3]))
