"""What a run is made with: this code, its packages, and the machine."""

import importlib.metadata
import os
import pathlib
import platform
import subprocess
import tomllib
from collections.abc import Mapping
from typing import Any

from worldmodels import checkout
from worldmodels.agents.runs import machine

DISTRIBUTION = 'worldmodels-tf'
PACKAGES = (
  'tensorflow',
  'tensorflow-probability',
  'keras',
  'dm-control',
  'mujoco',
  'numpy',
  'opencv-python-headless',
)
_LONGEST = 40  # characters of a commit


def current() -> dict[str, Any]:
  """Returns versions of this code and of packages, the commit, the machine."""
  commit, changed = _commit()
  return dict(
    {DISTRIBUTION: _own_version()},
    **{package: _version(package) for package in PACKAGES},
    python=platform.python_version(),
    commit=commit,
    uncommitted_changes=changed,
    machine=machine.processor(),
    cores=machine.cores(),
  )


def code_of(start: Mapping[str, Any]) -> str | None:
  """Returns what code a start of a run had; None if that is not known.

  Args:
    start: what `current` returned then, perhaps of an earlier version.

  Returns:
    the commit, marked where it was not all of the code; of code that was
    installed, `worldmodels-tf` and its version.
  """
  commit, version = start.get('commit'), start.get(DISTRIBUTION)
  if commit:
    dirty = '-dirty' if start.get('uncommitted_changes') else ''
    return f'{str(commit)[:_LONGEST]}{dirty}'
  return f'{DISTRIBUTION} {str(version)[:_LONGEST]}' if version else None


def _commit() -> tuple[str | None, bool]:
  """Returns the commit of this checkout, and whether files differ from it.

  There is none where this code is not a repository of its own: what was
  installed, or copied, into a folder of another project's is not in the commits
  of that.
  """
  for root in checkout.roots():
    top = _git(root, 'rev-parse', '--show-toplevel')
    if top is not None and os.path.realpath(top) == root:
      changes = _git(root, 'status', '--porcelain')
      return _git(root, 'rev-parse', 'HEAD'), bool(changes)
  return None, False


def _git(folder: str, *arguments: str) -> str | None:
  """Returns what git says of a folder; None without git or a repository."""
  # Those of a hook would be of the repository that it is run by.
  env = {key: x for key, x in os.environ.items() if not key.startswith('GIT_')}
  try:
    answer = subprocess.run(
      ['git', '-C', folder, *arguments],
      capture_output=True,
      text=True,
      check=False,
      env=env,
    )
  except FileNotFoundError:  # No git on this machine.
    return None
  return answer.stdout.strip() if answer.returncode == 0 else None


def _own_version() -> str | None:
  """Returns the version of this code, which need not be the installed one."""
  for root in checkout.roots():
    file = pathlib.Path(root) / 'pyproject.toml'
    if file.exists():
      return tomllib.loads(file.read_text())['project']['version']
  return _version(DISTRIBUTION)


def _version(package: str) -> str | None:
  try:
    return importlib.metadata.version(package)
  except importlib.metadata.PackageNotFoundError:
    return None
