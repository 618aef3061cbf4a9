"""Where az comes from: a virtual environment in Keyturn's cache, made once from requirements.txt."""

import hashlib
import os
import pathlib
import shutil
import subprocess
import sys

REQUIREMENTS = pathlib.Path(__file__).with_name('requirements.txt')


def cache_folder():
    """KEYTURN_CACHE, else `keyturn` in the user's cache folder: as tools/settings.ts has it."""
    chosen = os.environ.get('KEYTURN_CACHE')
    if chosen:
        return pathlib.Path(chosen).resolve()
    system = 'Library/Caches' if sys.platform == 'darwin' else '.cache'
    return pathlib.Path(os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / system) / 'keyturn'


def installed_az():
    """The path of az. The first call installs it with pip, which takes minutes."""
    chosen = os.environ.get('KEYTURN_AZ')
    if chosen:
        return pathlib.Path(chosen).resolve()
    text = REQUIREMENTS.read_text()
    python = '.'.join(map(str, sys.version_info[:2]))
    name = f'{hashlib.sha256(text.encode()).hexdigest()[:12]}-python{python}'
    folder = cache_folder() / 'tools' / 'az' / name
    az = folder / 'bin' / 'az'
    done = folder / 'done'
    if done.exists():
        return az
    print(f'Installing {", ".join(text.split())} into {folder}; this takes minutes, once.', flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, '-m', 'venv', str(folder)], check=True)
    subprocess.run(
        [str(folder / 'bin' / 'python'), '-m', 'pip', 'install', '--quiet', '--requirement', str(REQUIREMENTS)],
        check=True,
    )
    # What was cut short before this line is installed anew.
    done.touch()
    return az
