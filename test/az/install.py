"""Where az comes from: KEYTURN_AZ, or a virtual environment in Keyturn's cache, made once from requirements.txt."""

import os
import pathlib
import sys

sys.path.append(str(pathlib.Path(__file__).parents[1] / 'support'))
from venv_programs import installed  # noqa: E402

REQUIREMENTS = pathlib.Path(__file__).with_name('requirements.txt')


def installed_az():
    """The path of az. The first call installs it with pip, which takes minutes."""
    chosen = os.environ.get('KEYTURN_AZ')
    return pathlib.Path(chosen).resolve() if chosen else installed('az', REQUIREMENTS, 'az')
