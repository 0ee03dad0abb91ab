"""Films of a run for its page: what it imagines, and how it acts.

A run that has a checkpoint is filmed; of a record of one, the film is shown
that lies beside its figures.
"""

import base64
import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from worldmodels import errors
from worldmodels.agents.reports.records import Record
from worldmodels.agents.runs import animation
from worldmodels.agents.runs import checkpoint_list
from worldmodels.agents.runs import model_needed
from worldmodels.agents.runs import restore
from worldmodels.agents.runs.run_directory import RunDirectory
from worldmodels.data import reading

if TYPE_CHECKING:
  import ml_collections

  from worldmodels.agents.agent import WorldModelAgent

_SCALE, _FPS = 2, 10
_EPISODES, _CONTEXT, _HORIZON = 3, 5, 45
_ENDING = '.webm'
# A film that lies there: its name, as `video` writes it by default, the bytes
# that are read of it, and those beyond which it is shrunk to what is shown.
_NAME, _LARGEST, _LARGE, _WIDTH = 'dream', 1 << 26, 600_000, 620
_TYPES = {
  '.webm': 'video/webm',
  '.mp4': 'video/mp4',
  '.webp': 'image/webp',
  '.gif': 'image/gif',
}


@dataclasses.dataclass(frozen=True)
class Film:
  """A film for a page.

  Attributes:
    caption: what it shows.
    kind: its media type.
    content: the file.
  """

  caption: str
  kind: str
  content: bytes

  @property
  def address(self) -> str:
    """The file as a URL that needs no network."""
    return f'data:{self.kind};base64,{base64.b64encode(self.content).decode()}'


def has_checkpoint(record: Record) -> bool:
  """Returns whether a run can be filmed."""
  path = record.path / 'checkpoints'
  return record.whole and path.is_dir() and bool(checkpoint_list.complete(path))


def kept(record: Record) -> list[Film]:
  """Returns the film that lies beside the figures of a run."""
  if not record.whole:
    return []
  for ending in animation.ENDINGS:
    path = record.path / f'{_NAME}{ending}'
    try:
      content = reading.bytes_in(path, _LARGEST)
    except (reading.FileError, OSError):
      continue
    caption = f'What the model imagines: {path.name}, kept with the run'
    try:
      content = _smaller(content, ending)
    except (OSError, StopIteration, IndexError, cv2.error):
      record.notes.append(f'{path} is damaged: it holds no film')
      return []
    return [Film(caption, _TYPES[ending], content)]
  return []


def _smaller(content: bytes, ending: str) -> bytes:
  """Returns a film as large as the page shows it."""
  if len(content) <= _LARGE:
    next(animation.decode(content, ending))
    return content
  frames = list(animation.decode(content, ending))
  height, width, _ = frames[0].shape
  share = min(1.0, _WIDTH / width)
  size = (round(width * share / 2) * 2, round(height * share / 2) * 2)
  shrunk = [cv2.resize(x, size, interpolation=cv2.INTER_AREA) for x in frames]
  fps = animation.rate(content, ending) or _FPS
  made = animation.encode(np.stack(shrunk), ending, fps)
  return min(content, made, key=len)


def made(record: Record, acts: bool, log: Callable[[str], Any]) -> list[Film]:
  """Films a run that has a checkpoint; notes what cannot be filmed.

  Args:
    record: of the run.
    acts: whether its task is started, for a film of the agent acting.
    log: called with a line of text now and then.
  """
  films: list[Film] = []
  with _noting(record, 'no films'):
    directory = RunDirectory(record.path)
    config, spec = directory.load(), directory.spec()
    if spec.image is None or spec.image[2] != 3:
      record.notes.append('no films: the task shows no image in color')
      return films
    restore.check(directory)
    from worldmodels.agents.runs import operations

    operations.make_deterministic(config)
    agent, _ = restore.agent(directory, config, spec, log=log)
    with _noting(record, 'no film of what the model imagines'):
      model_needed.check(config, record.path, 'it imagines nothing')
      films.append(_dream(agent, directory, config, log))
    if acts:
      with _noting(record, 'no film of the agent acting'):
        films.append(_acting(agent, directory, config, log))
  return films


def _dream(
  agent: 'WorldModelAgent',
  directory: RunDirectory,
  config: 'ml_collections.ConfigDict',
  log: Callable[[str], Any],
) -> Film:
  from worldmodels.agents.runs import dream_film
  from worldmodels.agents.runs import selection

  random = selection.random_of(config)
  chosen = selection.latest(directory, random, _EPISODES, _CONTEXT + 1, log=log)
  shortest = min(len(episode['reward']) for episode in chosen.episodes)
  length = min(_CONTEXT + _HORIZON, shortest)
  starts = [
    {key: value[:length] for key, value in episode.items()}
    for episode in chosen.episodes
  ]
  batch = selection.cut(starts, length)
  frames = dream_film.compose(
    agent.model, batch, _CONTEXT, _SCALE, chosen.titles
  )
  caption = (
    f'What the model imagines after {_CONTEXT} steps that it saw, from the '
    f'actions alone; episodes {chosen.source.rpartition(", ")[2]}'
  )
  content = animation.encode(frames, _ENDING, _FPS)
  return Film(caption, _TYPES[_ENDING], content)


def _acting(
  agent: 'WorldModelAgent',
  directory: RunDirectory,
  config: 'ml_collections.ConfigDict',
  log: Callable[[str], Any],
) -> Film:
  from worldmodels.agents.runs import scenes

  frames, told = scenes.of_acting(
    agent,
    config,
    directory,
    count=1,
    context=None,
    horizon=None,
    scale=_SCALE,
    log=log,
  )
  seen = ', and what the model makes of each image' if agent.model else ''
  caption = f'The agent acting{seen}; {told}'
  # The whole episode, in a film of at most about half a minute.
  content = animation.encode(frames, _ENDING, max(_FPS, len(frames) / 30))
  return Film(caption, _TYPES[_ENDING], content)


@contextlib.contextmanager
def _noting(record: Record, without: str) -> Iterator[None]:
  """Notes an error that a user can mend, and goes on."""
  try:
    yield
  except (errors.UserError, OSError) as error:
    record.notes.append(f'{without}: {error}')
