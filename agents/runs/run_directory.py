"""The directory of a run: its config, and the paths of its parts.

config.json     every key of the config; see stored_config.py
spec.json       what its task shows and takes
versions.json   code, packages, machine of each start; see provenance.py
claim.json      while it is trained: by whom; see data/claim.py
episodes/       what was collected; heldout/ what is never trained on
collected.jsonl how old what acted was, where collectors did; cluster/ages.py
checkpoints/    see checkpoint.py
data.json       of one that `fit` made: what data; see recorded_data.py
metrics.jsonl   one object a line; see metrics.py
events/         for TensorBoard

Only the program that has the claim changes anything here.
"""

import contextlib
import json
import pathlib
import re
from typing import Any

import ml_collections

from worldmodels.agents import suited
from worldmodels.agents.runs import build
from worldmodels.agents.runs import config_checks
from worldmodels.agents.runs import examples
from worldmodels.agents.runs import provenance
from worldmodels.agents.runs import stored_config
from worldmodels.agents.runs.build import ConfigError
from worldmodels.agents.runs.config_checks import flatten
from worldmodels.agents.runs.stored_config import RunError
from worldmodels.data import atomic
from worldmodels.data import claim
from worldmodels.data import reading
from worldmodels.spec import Spec
from worldmodels.spec import SpecError

# What a run may be continued with otherwise than it was started.
OPEN_KEYS = (
  *('train.episodes', 'train.env_steps', 'train.minutes'),
  'train.updates_total',
)

# What a kill may leave before there is a config.
_BEFORE_START = re.compile(
  r'claim\.json(\..*tmp)?|\.?config\.json\..*tmp.*|(episodes|heldout)\..*tmp'
)
# Larger ones of a spec.json are a lie: what they ask for fits no memory.
_LARGEST_SIZE = 2**26


class RunDirectory:
  """Paths, config and spec of a run.

  Attributes:
    path: of the directory.
    episodes, heldout, checkpoints, metrics, collected, events: paths of its
      parts.

  Args:
    path: of the directory; a `~` is expanded. `example:NAME` is a run that
      comes with the package.

  Raises:
    OptionError: it is empty, or no such example.
  """

  def __init__(self, path: str | pathlib.Path):
    self.path = examples.located(path)
    self.episodes = self.path / 'episodes'
    self.heldout = self.path / 'heldout'
    self.checkpoints = self.path / 'checkpoints'
    self.metrics = self.path / 'metrics.jsonl'
    self.collected = self.path / 'collected.jsonl'
    self.events = self.path / 'events'
    self._config = self.path / 'config.json'
    self._spec = self.path / 'spec.json'
    self._claim = None
    self._made = False

  def claim(self, config: ml_collections.ConfigDict) -> None:
    """Makes the directory and keeps other programs from training in it.

    The claim ends with this object or process, however that ends. Nothing is
    written that would make a run of it: that is `start`.

    Args:
      config: of the run. Where it leaves a kind to `auto` and a run is here
        already, it gets the kind that was chosen then.

    Raises:
      RunError: another config's run is here, with the keys that differ; or
        another program is training here; or this is something else.
      OSError: it cannot be written.
    """
    if examples.holds(self.path):
      raise RunError(
        f'{self.path} comes with the package, to be looked at: give another '
        '--logdir to train'
      )
    self._made = not self.path.exists()
    self.path.mkdir(parents=True, exist_ok=True)
    self._check(config)  # Nothing is written into what is not ours.
    if self._claim is not None:
      return
    try:
      claimed = claim.Claim(self.path, 'is training in')
    except claim.ClaimError as error:
      raise RunError(str(error)) from error
    try:
      self._check(config)  # The program that had it may have begun a run.
      if not self._config.exists():
        # This removes what a kill in `start` left half written.
        atomic.check_writable(self._config, _json(config.to_dict()))
    except BaseException:
      claimed.release()
      raise
    self._claim = claimed

  def leave(self) -> None:
    """Removes a directory that `claim` made and that became no run."""
    if self._made and not self._config.exists():
      if self._claim is not None:
        self._claim.release()
        self._claim = None
      with contextlib.suppress(OSError):  # It is not empty.
        self.path.rmdir()

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
    starts, current = _starts(versions), provenance.current()
    if not starts or starts[-1] != current:
      atomic.write_bytes(versions, _json([*starts, current]))

  def load(self) -> ml_collections.ConfigDict:
    """Returns the config of the run.

    Raises:
      RunError: there is none, or none that a run can have.
    """
    config = stored_config.read(self._config)
    try:
      config_checks.check(config, stored=True)
    except ConfigError as error:
      raise RunError(f'{self._config}: {error}') from error
    return config

  def spec(self) -> Spec:
    """Returns the spec of the run's task.

    Raises:
      RunError: there is none, or none that a task can have.
    """
    try:
      spec = Spec.from_dict(stored_config.read_json(self._spec))
    except SpecError as error:
      raise RunError(f'{self._spec} is damaged: {error}') from error
    largest = max(spec.actions, spec.pixels, *spec.vectors.values())
    if largest > _LARGEST_SIZE:
      raise RunError(f'{self._spec} is damaged: it has a size of {largest}')
    return spec

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
    """Raises RunError unless this is a run of the config, or empty."""
    if not self._config.exists():
      for path in self.path.iterdir():
        if not _BEFORE_START.fullmatch(path.name):
          raise RunError(
            f'{self.path} is not empty and holds no config.json: not a run'
          )
      return
    stored = flatten(self.load().to_dict())
    asked = flatten(config.to_dict())
    config.update_from_flattened_dict(
      {
        key: value
        for key, value in stored.items()
        if suited.by_task(key, asked.get(key))
      }
    )
    free = OPEN_KEYS
    if stored.get('heads.image.kind') == 'none':  # Heads of vectors.
      if self._spec.exists():
        config = build.chosen(config, self.spec())
      else:  # A kill came before it: `start` writes both again.
        free += ('heads.', 'overshooting.image')
    asked = stored_config.completed(json.loads(_json(config.to_dict())))
    asked = flatten(asked)
    keys = stored_config.differing(stored, asked, free)
    if set(keys) - {'preset'}:  # What the same values are called is no matter.
      differing = [
        f'{key}: {stored.get(key, "absent")} here, {asked.get(key, "absent")} '
        'asked'
        for key in keys
      ]
      shown = '; '.join(differing[:3])
      more = f' and {len(differing) - 3} more' if len(differing) > 3 else ''
      raise RunError(
        f'{self.path} is a run of another config ({shown}{more}): give '
        'another --logdir or the same config'
      )


def _starts(path: pathlib.Path) -> list[dict[str, Any]]:
  """Returns the starts so far; a file of anything else is set aside."""
  with contextlib.suppress(FileNotFoundError):
    with contextlib.suppress(reading.FileError):
      starts = reading.json_in(path)
      if isinstance(starts, list) and all(isinstance(x, dict) for x in starts):
        return starts
    path.rename(path.with_name(f'{path.name}.damaged'))
  return []


def _json(value: object) -> bytes:
  return (json.dumps(value, indent=2) + '\n').encode()
