"""The directory of a run: what it was asked, and where its parts lie.

config.json     every key of the config
versions.json   packages and git commit of each start
episodes/       what was collected; heldout/ what is never trained on
checkpoints/    see agents/checkpoint.py
metrics.jsonl   one object a line; see agents/run/metrics.py
events/         for TensorBoard
"""

import contextlib
import fcntl
import importlib.metadata
import json
import os
import pathlib
import platform
import subprocess
import weakref

import ml_collections

PACKAGES = ('tensorflow', 'tensorflow-probability', 'keras', 'dm-control',
            'mujoco', 'numpy', 'opencv-python-headless')
# What a run may be continued with otherwise than it was started.
OPEN_KEYS = ('train.episodes',)
# What every config has.
GROUPS = ('agent', 'task', 'environment', 'store', 'train', 'evaluate')


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
    self._lock = None

  def claim(self, config):
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
    # Says whether it can be written; a kill may have left the same file.
    _write_partial(self._config, _json(config.to_dict())).unlink()
    if any(self.path.iterdir()):
      raise RunError(
          f'{self.path} is not empty and holds no config.json: not a run')

  def start(self, config):
    """Writes what a run is, after `claim`."""
    write(self._config, _json(config.to_dict()))
    versions = self.path / 'versions.json'
    try:
      starts = json.loads(versions.read_text())
    except (FileNotFoundError, ValueError):  # Of a kill before the first one.
      starts = []
    current = current_versions()
    if not starts or starts[-1] != current:
      write(versions, _json([*starts, current]))

  def load(self):
    """Returns the config of the run that is here."""
    if not self._config.exists():
      raise RunError(f'{self.path} holds no config.json: not a run')
    try:
      config = json.loads(self._config.read_text())
    except ValueError as error:  # Not JSON, or not even text.
      raise RunError(f'{self._config} is damaged: {error}') from error
    lacking = [key for key in GROUPS
               if not isinstance(config, dict) or key not in config]
    if lacking:
      raise RunError(f'{self._config} is no config of a run: it has no key '
                     f'{lacking[0]!r}')
    return ml_collections.ConfigDict(config)

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


def _lock(path):
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


def flatten(tree, prefix=''):
  """Returns {'a.b': leaf} of nested dicts."""
  flat = {}
  for key, value in tree.items():
    if isinstance(value, dict):
      flat.update(flatten(value, f'{prefix}{key}.'))
    else:
      flat[prefix + key] = value
  return flat


def write(path, content):
  """Writes a small file of bytes: it is complete, or as it was before."""
  _write_partial(path, content).rename(path)


@contextlib.contextmanager
def naming(path):
  """Gives errors of writing the name of the file, which they lack."""
  try:
    yield
  except OSError as error:
    error.filename = error.filename or str(path)
    raise


def _write_partial(path, content):
  partial = path.with_name(path.name + '.partial')
  try:
    with naming(path), open(partial, 'wb') as file:
      file.write(content)
      file.flush()
      os.fsync(file.fileno())
  except BaseException:
    partial.unlink(missing_ok=True)
    raise
  return partial


def _json(value):
  return (json.dumps(value, indent=2) + '\n').encode()


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
