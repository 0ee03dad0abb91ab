"""The directory of a run: its config, and the paths of its parts.

config.json     every key of the config
spec.json       what its task shows and takes
versions.json   packages and git commit of each start
episodes/       what was collected; heldout/ what is never trained on
checkpoints/    see checkpoint.py
metrics.jsonl   one object a line; see metrics.py
events/         for TensorBoard
"""

import fcntl
import importlib.metadata
import json
import os
import pathlib
import platform
import subprocess
import weakref
from typing import Any

import ml_collections

from worldmodels import errors
from worldmodels.agents.runs.config_checks import flatten
from worldmodels.data import atomic
from worldmodels.spec import Spec
from worldmodels.spec import SpecError

PACKAGES = (
  'tensorflow',
  'tensorflow-probability',
  'keras',
  'dm-control',
  'mujoco',
  'numpy',
  'opencv-python-headless',
)
# What a run may be continued with otherwise than it was started.
OPEN_KEYS = ('train.episodes',)
# What every config has.
GROUPS = ('agent', 'task', 'environment', 'store', 'train', 'evaluate')
# What configs had before there were kinds of dynamics.
_OLD_GROUP = 'rssm'


class RunError(errors.UserError, ValueError):
  """The directory is no such run; the message is one line."""


class RunDirectory:
  """Paths, config and spec of a run.

  Attributes:
    path: of the directory.
    episodes, heldout, checkpoints, metrics, events: paths of its parts.
  """

  def __init__(self, path: str | pathlib.Path):
    self.path = pathlib.Path(path)
    self.episodes = self.path / 'episodes'
    self.heldout = self.path / 'heldout'
    self.checkpoints = self.path / 'checkpoints'
    self.metrics = self.path / 'metrics.jsonl'
    self.events = self.path / 'events'
    self._config = self.path / 'config.json'
    self._spec = self.path / 'spec.json'
    self._lock = None

  def claim(self, config: ml_collections.ConfigDict) -> None:
    """Makes the directory and keeps other programs from training in it.

    The claim ends with this object or process, however that ends. Nothing is
    written that would make a run of it: that is `start`.

    Raises:
      RunError: another config's run is here, with the keys that differ; or
        another program is training here; or this is something else.
      OSError: it cannot be written.
    """
    self.path.mkdir(parents=True, exist_ok=True)
    if self._lock is None:
      self._lock = _lock(self.path)
      weakref.finalize(self, os.close, self._lock)
    if self._config.exists():
      self._check(config)
      return
    # This removes what a kill in `start` left half written, and nothing else.
    atomic.check_writable(self._config, _json(config.to_dict()))
    if any(self.path.iterdir()):
      raise RunError(
        f'{self.path} is not empty and holds no config.json: not a run'
      )

  def start(self, config: ml_collections.ConfigDict, spec: Spec) -> None:
    """Writes config, spec and versions of a run, after `claim`.

    Raises:
      RunError: the task shows or takes something else than it did.
    """
    if self._config.exists() and self._spec.exists():
      self.check_spec(spec)
    # The config comes first: `claim` goes on where there is one.
    atomic.write_bytes(self._config, _json(config.to_dict()))
    atomic.write_bytes(self._spec, _json(spec.to_dict()))
    versions = self.path / 'versions.json'
    try:
      starts = json.loads(versions.read_text())
    except (FileNotFoundError, ValueError):  # Of a kill before the first one.
      starts = []
    current = current_versions()
    if not starts or starts[-1] != current:
      atomic.write_bytes(versions, _json([*starts, current]))

  def load(self) -> ml_collections.ConfigDict:
    """Returns the config of the run."""
    if not self._config.exists():
      raise RunError(f'{self.path} holds no config.json: not a run')
    config = _read(self._config)
    lacking = [
      key for key in GROUPS if not isinstance(config, dict) or key not in config
    ]
    if lacking:
      raise RunError(
        f'{self._config} is no config of a run: it has no key {lacking[0]!r}'
      )
    if _OLD_GROUP in config:
      raise RunError(
        f'{self.path} is a run of an earlier version, whose config has a group '
        f'{_OLD_GROUP!r}: use the code that it was made with (commit '
        f'{_last_commit(self.path)})'
      )
    return ml_collections.ConfigDict(config)

  def spec(self) -> Spec:
    """Returns the spec of the run's task."""
    if not self._spec.exists():
      raise RunError(f'{self.path} holds no spec.json: not a run')
    try:
      return Spec.from_dict(_read(self._spec))
    except SpecError as error:
      raise RunError(f'{self._spec} is damaged: {error}') from error

  def check_spec(self, spec: Spec) -> None:
    """Raises RunError if a task is not the one that the run was made with."""
    stored = self.spec().to_dict()
    for key, value in spec.to_dict().items():
      if stored[key] != value:
        raise RunError(
          f'{self.path} is of a task with other {key}: {stored[key]} here, '
          f'{value} now'
        )

  def _check(self, config: ml_collections.ConfigDict) -> None:
    stored = flatten(self.load().to_dict())
    asked = flatten(json.loads(json.dumps(config.to_dict())))
    differing = [
      f'{key}: {stored.get(key, "absent")} here, {asked.get(key, "absent")} '
      'asked'
      for key in sorted(stored.keys() | asked.keys())
      if stored.get(key) != asked.get(key) and key not in OPEN_KEYS
    ]
    if differing:
      shown = '; '.join(differing[:3])
      more = f' and {len(differing) - 3} more' if len(differing) > 3 else ''
      raise RunError(
        f'{self.path} is a run of another config ({shown}{more}): give '
        'another --logdir or the same config'
      )


def _lock(path: pathlib.Path) -> int:
  """Returns a descriptor of the directory that holds its only lock."""
  descriptor = os.open(path, os.O_RDONLY)
  try:
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
  except BlockingIOError as error:
    os.close(descriptor)
    raise RunError(f'another program is training in {path}') from error
  except OSError:
    pass  # A file system without locks: whoever uses it has to see to it.
  return descriptor


def _read(path: pathlib.Path) -> object:
  """Reads a JSON file."""
  try:
    return json.loads(path.read_text())
  except ValueError as error:  # Not JSON, or not even text.
    raise RunError(f'{path} is damaged: {error}') from error


def _json(value: object) -> bytes:
  return (json.dumps(value, indent=2) + '\n').encode()


def _last_commit(path: pathlib.Path) -> str:
  """Returns the commit of the newest start of a run, if it is known."""
  try:
    newest = json.loads((path / 'versions.json').read_text())[-1]
    return newest['commit'] or 'unknown'
  except (OSError, ValueError, LookupError, TypeError):
    return 'unknown'


def current_versions() -> dict[str, Any]:
  """Returns the versions of packages, and the git commit of a checkout."""

  def git(*arguments: str) -> str | None:
    answer = subprocess.run(
      ['git', '-C', str(pathlib.Path(__file__).parent), *arguments],
      capture_output=True,
      text=True,
      check=False,
    )
    return answer.stdout.strip() if answer.returncode == 0 else None

  def version(package: str) -> str | None:
    try:
      return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
      return None

  try:
    commit, changes = git('rev-parse', 'HEAD'), git('status', '--porcelain')
  except FileNotFoundError:  # No git on this machine.
    commit, changes = None, None
  return dict(
    {package: version(package) for package in PACKAGES},
    python=platform.python_version(),
    commit=commit,
    uncommitted_changes=bool(changes),
  )
