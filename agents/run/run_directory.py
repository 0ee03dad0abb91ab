"""The directory of a run: what it was asked, and where its parts lie.

    config.json     every key of the config
    versions.json   packages and git commit of each start
    episodes/       what was collected; heldout/ what is never trained on
    checkpoints/    see agents/checkpoint.py
    metrics.jsonl   one object a line
    events/         for TensorBoard
"""

import importlib.metadata
import json
import os
import pathlib
import platform
import subprocess

import ml_collections

PACKAGES = ('tensorflow', 'tensorflow-probability', 'keras', 'dm-control',
            'mujoco', 'numpy', 'opencv-python-headless')
# What a run may be continued with otherwise than it was started.
OPEN_KEYS = ('train.episodes',)


class RunError(ValueError):
  """The directory is not that of such a run; the message is one line."""


class RunDirectory:
  """Paths of a run."""

  def __init__(self, path):
    self.path = pathlib.Path(path)
    self.episodes = self.path / 'episodes'
    self.heldout = self.path / 'heldout'
    self.checkpoints = self.path / 'checkpoints'
    self.metrics = self.path / 'metrics.jsonl'
    self.events = self.path / 'events'
    self._config = self.path / 'config.json'

  def open(self, config):
    """Starts a run here or continues the one that is here.

    Raises:
      RunError: another config's run is here, with the keys that differ.
      OSError: it cannot be written.
    """
    self.path.mkdir(parents=True, exist_ok=True)
    if self._config.exists():
      self._check(config)
    elif any(self.path.iterdir()):
      raise RunError(
          f'{self.path} is not empty and holds no config.json: not a run')
    write(self._config, json.dumps(config.to_dict(), indent=2))
    versions = self.path / 'versions.json'
    starts = json.loads(versions.read_text()) if versions.exists() else []
    if not starts or starts[-1] != current_versions():
      starts.append(current_versions())
      write(versions, json.dumps(starts, indent=2))

  def load(self):
    """Returns the config of the run that is here."""
    if not self._config.exists():
      raise RunError(f'{self.path} holds no config.json: not a run')
    try:
      return ml_collections.ConfigDict(json.loads(self._config.read_text()))
    except json.JSONDecodeError as error:
      raise RunError(f'{self._config} is damaged: {error}') from error

  def _check(self, config):
    stored = flatten(self.load().to_dict())
    asked = flatten(json.loads(json.dumps(config.to_dict())))
    differing = [
        f'{key}: {stored.get(key, "absent")} here, {asked.get(key, "absent")} '
        'asked'
        for key in sorted(stored.keys() | asked.keys())
        if stored.get(key) != asked.get(key) and key not in OPEN_KEYS]
    if differing:
      shown = '; '.join(differing[:3])
      more = f' and {len(differing) - 3} more' if len(differing) > 3 else ''
      raise RunError(
          f'{self.path} is a run of another config ({shown}{more}): give '
          'another --logdir or the same config')


def flatten(tree, prefix=''):
  """Returns {'a.b': leaf} of nested dicts."""
  flat = {}
  for key, value in tree.items():
    if isinstance(value, dict):
      flat.update(flatten(value, f'{prefix}{key}.'))
    else:
      flat[prefix + key] = value
  return flat


def write(path, text):
  """Writes a small file so that it is complete or as it was before."""
  partial = path.with_name(path.name + '.partial')
  with open(partial, 'w') as file:
    file.write(text + '\n')
    file.flush()
    os.fsync(file.fileno())
  partial.rename(path)


def current_versions():
  """Versions of what computes, and the git commit if this is a checkout."""
  def git(*arguments):
    answer = subprocess.run(
        ['git', '-C', str(pathlib.Path(__file__).parent), *arguments],
        capture_output=True, text=True, check=False)
    return answer.stdout.strip() if answer.returncode == 0 else None

  def version(package):
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
      python=platform.python_version(), commit=commit,
      uncommitted_changes=bool(changes))
