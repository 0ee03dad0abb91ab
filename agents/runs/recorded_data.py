"""The recorded episodes of a run that learns from them alone.

They are copied into the run, at the size of its images: what it learns from in
RUN/episodes, a share that it never does in RUN/heldout. RUN/data.json comes
last, and says where they are from. So a run goes on, and is looked at, without
the data it was made of.
"""

import contextlib
import dataclasses
import json
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import ml_collections
import numpy as np

from worldmodels.agents.runs.build import NO_TASK
from worldmodels.agents.runs.build import ConfigError
from worldmodels.agents.runs.run_directory import RunDirectory
from worldmodels.agents.runs.stored_config import RunError
from worldmodels.data import atomic
from worldmodels.data import episode_files
from worldmodels.data import metadata
from worldmodels.data import reading
from worldmodels.data import rows
from worldmodels.data.recorded import Recorded
from worldmodels.data.recordings import Episode
from worldmodels.spec import Spec

NAME = 'data.json'

# Keys of a config, and what of a store's metadata says the same.
_FACTS = {
  'task': 'task',
  'environment.action_repeat': 'action_repeat',
  'environment.quality': 'quality',
  'environment.camera': 'camera',
  'environment.crop': 'crop',
  'environment.gray': 'gray',
}


@dataclasses.dataclass(frozen=True)
class Copied:
  """What was copied.

  Attributes:
    spec: of what the episodes show and take.
    ends_early: whether one of them ends in a terminal state.
    has_actions: whether they are of somebody's actions; of films they are
      not, and get one that is always 0.
  """

  spec: Spec
  ends_early: bool
  has_actions: bool


def note_in(directory: RunDirectory) -> dict[str, Any] | None:
  """Returns what RUN/data.json says; None where a run has none.

  Raises:
    RunError: it is damaged.
  """
  path = directory.path / NAME
  try:
    note = reading.json_in(path)
  except (FileNotFoundError, NotADirectoryError):
    return None
  except reading.FileError as error:
    raise RunError(str(error)) from error
  if not isinstance(note, dict) or not (
    isinstance(note.get('data'), str) and isinstance(note.get('facts'), dict)
  ):
    raise RunError(f'{path} is damaged: it does not say what the data are')
  return note


def refuse(directory: RunDirectory, config: ml_collections.ConfigDict) -> None:
  """Raises an error where `train` is told to do what `fit` does."""
  if config.train.updates_total:
    raise ConfigError(
      f'train.updates_total is {config.train.updates_total}: that is of '
      '`worldmodels fit`; train.episodes says how long this trains'
    )
  if note_in(directory) is not None:
    raise RunError(
      f'{directory.path} was fitted to recorded data: `worldmodels fit` '
      'continues it; give another --logdir'
    )


def check_run(
  directory: RunDirectory,
  config: ml_collections.ConfigDict,
  data: pathlib.Path,
) -> None:
  """Raises RunError where a directory holds another run than that of `fit`."""
  note = note_in(directory)
  if note is not None and note['data'] != str(data.absolute()):
    raise RunError(
      f'{directory.path} was fitted to {note["data"]}, not to '
      f'{data.absolute()}: give another --logdir or the same --data'
    )
  if not config.train.updates_total:
    raise ConfigError(
      'how many updates? set --config.train.updates_total=20000 or another '
      'number'
    )
  if (directory.path / 'config.json').is_file() and note is None:
    if not directory.load().train.updates_total:
      raise RunError(
        f'{directory.path} is a run of `worldmodels train`: give another '
        '--logdir'
      )


def adopt(
  config: ml_collections.ConfigDict,
  facts: dict[str, Any],
  is_set: Callable[[str], bool],
) -> None:
  """Puts what the data are known to be of into a config.

  Args:
    config: changed.
    facts: metadata of a store, or what an earlier start has noted of them.
    is_set: whether the user has set a key.
  """
  known = {'task': NO_TASK, **facts}
  for key, name in _FACTS.items():
    if name in known and not is_set(key):
      with contextlib.suppress(TypeError):  # A damaged file; it says nothing.
        config.update_from_flattened_dict({key: known[name]})
  if not is_set('train.recency'):
    config.train.recency = 0.0  # None of them is newer than another.


def copy(
  source: Recorded,
  config: ml_collections.ConfigDict,
  directory: RunDirectory,
  begin: Callable[[Copied], Any],
  log: Callable[[str], Any],
) -> None:
  """Copies episodes into a run, all of them or none.

  Args:
    source: the episodes.
    config: of the run.
    directory: of the run, claimed.
    begin: called once all are copied, and before they are in their places:
      it makes a run of the directory.
    log: takes a line of text.

  Raises:
    RecordingError: an episode is damaged.
    ConfigError: a vector that is asked for is not recorded.
    OSError: the disk is full; nothing is left.
  """
  counts = {'episodes': 0, 'heldout': 0}
  first, ends = None, False
  with (
    atomic.directory(directory.heldout) as heldout,
    atomic.directory(directory.episodes) as learned,
  ):
    facts = {
      'action_repeat': source.facts.get('action_repeat', 1),
      'size': config.environment.size,
      'task': config.task,
    }
    for folder in (learned, heldout):
      metadata.match_metadata(folder, facts)
    for out, episode in _parted(source, config, log):
      folder = heldout if out else learned
      if not source.actions:  # TensorFlow aborts at products of size 0.
        length = len(episode['reward'])
        episode['action'] = np.zeros([length, 1], np.float32)
      name = 'heldout' if out else 'episodes'
      file = episode_files.new_name(counts[name], len(episode['reward']))
      episode_files.write(folder / file, episode)
      counts[name] += 1
      first = first or {key: x.shape[1:] for key, x in episode.items()}
      ends |= bool(episode['is_terminal'].any())
    spec = _spec(source, first, config)
    begin(Copied(spec, ends, has_actions=source.actions > 0))
  note = dict(
    data=str(source.path.absolute()),
    format=source.format,
    **counts,
    has_actions=source.actions > 0,
    facts={**source.facts, 'task': config.task},
  )
  if source.low is not None:
    note['actions'] = {'low': source.low.tolist(), 'high': source.high.tolist()}
  text = json.dumps(note, indent=2) + '\n'
  atomic.write_bytes(directory.path / NAME, text.encode())
  log(
    f'data       {counts["episodes"]} episodes to learn from, '
    f'{counts["heldout"]} held out'
  )


def check_actions(config: ml_collections.ConfigDict, copied: Copied) -> None:
  """Raises ConfigError where a learner would learn to act without actions."""
  if not copied.has_actions and config.get('learner') is not None:
    raise ConfigError(
      'the data have no actions, from which nobody learns to act: take a '
      'config without a learner, such as --config=planet:cpu'
    )


def held_out(count: int, share: float) -> set[int]:
  """Returns the positions of the episodes that are not learned from.

  Args:
    count: of the episodes, at least 2.
    share: of them, at least one.
  """
  every = max(2, round(1 / share))
  return set(range(every - 1, count, every)) or {count - 1}


def _parted(
  source: Recorded,
  config: ml_collections.ConfigDict,
  log: Callable[[str], Any],
) -> Iterator[tuple[bool, Episode]]:
  """Yields each episode and whether it is held out.

  Of a single one the last part is, so that one recording is enough.
  """
  share = config.train.heldout_share
  if len(source) > 1:
    out = held_out(len(source), share)
    for position, episode in enumerate(source):
      yield position in out, episode
    return
  episode = source.episode(0)
  length = len(episode['reward'])
  needed = config.evaluate.context + config.evaluate.horizon
  held = max(round(share * length), min(needed, length // 2))
  if held < 2:
    raise RunError(
      f'{source.path} holds one episode of {length} rows: too few to hold any '
      'of them out'
    )
  log(f'held out   the last {held} of {length} rows: there is one episode')
  yield False, {key: value[:-held] for key, value in episode.items()}
  yield True, _begun({key: value[-held:] for key, value in episode.items()})


def _begun(episode: Episode) -> Episode:
  """Makes a row in the middle of an episode one of a reset."""
  episode = {key: value.copy() for key, value in episode.items()}
  for key in ('action', 'reward', rows.COUNT):
    if key in episode:
      episode[key][0] = 0
  episode['is_first'][0] = True
  episode['discount'][0] = 1
  return episode


def _spec(
  source: Recorded,
  shapes: dict[str, tuple[int, ...]],
  config: ml_collections.ConfigDict,
) -> Spec:
  """Returns the spec of recorded episodes with rows of these shapes."""
  known = {
    key: int(np.prod(shape))
    for key, shape in shapes.items()
    if key not in rows.RESERVED
  }
  for name in config.environment.vectors:
    if name not in known:
      listed = ', '.join(sorted(known)) or 'none'
      raise ConfigError(
        f'environment.vectors names {name!r}; recorded are {listed}'
      )
  return Spec(
    actions=max(1, source.actions),
    discrete=source.discrete,
    image=tuple(map(int, shapes['image'])),
    vectors={name: known[name] for name in config.environment.vectors},
  )
