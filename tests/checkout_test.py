"""The folders of a checkout do not hide packages of the user's."""

import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent
SCRIPT = """
import sys
import worldmodels.data.rows  # Imported before, it stays what it is.
from worldmodels import checkout
checkout.hide()
checkout.hide()  # Twice is no more than once.
import {name}
print({name}.__path__[0])
import tests.strange_tasks
from worldmodels.data import actions
assert 'worldmodels.data.actions' in sys.modules
assert len([x for x in sys.meta_path if 'checkout' in str(type(x))]) == 1
"""


def run(name, path, cwd):
  """Imports a package of that name beside a checkout on the path."""
  return subprocess.run(
    [sys.executable, '-P', '-c', SCRIPT.format(name=name)],
    cwd=cwd,
    env=os.environ | {'PYTHONPATH': os.pathsep.join(map(str, path))},
    capture_output=True,
    text=True,
    check=False,
  )


@pytest.mark.parametrize('with_init', [True, False])
@pytest.mark.parametrize('name', ['agents', 'configs', 'data'])
def test_the_users_package_is_found(name, with_init, tmp_path):
  """Also where the checkout comes first, and a package is a mere folder."""
  (tmp_path / name).mkdir()
  if with_init:
    (tmp_path / name / '__init__.py').touch()
  done = run(name, [ROOT, tmp_path], tmp_path)
  assert done.returncode == 0, done.stderr
  assert done.stdout.strip() == str(tmp_path / name)


def test_ours_is_not_found_under_another_name(tmp_path):
  done = run('data', [ROOT], tmp_path)
  assert "No module named 'data'" in done.stderr
