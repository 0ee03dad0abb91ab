"""What TensorBoard shows of a run: the files of RUN/events, one for each start.

A run that goes on from a checkpoint does some updates again. Events of those
are taken out of the files of its earlier starts before they are written anew,
or each curve would have two values there.
"""

import contextlib
import pathlib
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import ml_collections
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from google.protobuf import message

from worldmodels.agents.runs import animation
from worldmodels.agents.runs.config_checks import flatten
from worldmodels.data import atomic
from worldmodels.data import reading
from worldmodels.data import tfrecord

FILMS = 'video/'  # How the tags of films begin.
_CONFIG = 'config'

# Whether the event of a tag and a step stays; asked once for each, in order.
Keeps = Callable[[str, int], bool]


class Events:
  """Writes events; where that fails they are given up, and not the run.

  Args:
    directory: of the files.
    log: called with a line when they cannot be written.
    keeps: tells which events of earlier starts stay; None for all of them.
    config: of the run, which is shown as text.
  """

  def __init__(
    self,
    directory: pathlib.Path,
    log: Callable[[str], Any],
    keeps: Keeps | None = None,
    config: ml_collections.ConfigDict | None = None,
  ):
    self._log = log
    self._writer = None
    shown = None
    with self._optional():
      shown = _forget(directory, keeps or (lambda tag, step: True))
      self._writer = tf.summary.create_file_writer(str(directory))
    if config is not None and _table(config) != shown:
      with self._writing(0):
        tf.summary.text(_CONFIG, _table(config))

  def write(self, step: int, figures: dict[str, npt.ArrayLike]) -> None:
    """Writes figures, {tag: number}."""
    with self._writing(step):
      for tag, number in figures.items():
        tf.summary.scalar(tag, number)

  def film(self, step: int, tag: str, frames: np.ndarray, fps: float) -> None:
    """Writes frames uint8 [T, H, W, 3] as an animation."""
    with self._writing(step):
      animation.write_summary(tag, frames, step, fps)

  @contextlib.contextmanager
  def _writing(self, step: int) -> Iterator[None]:
    """Has what is written meanwhile end up in the file; or else nowhere."""
    if self._writer is None:
      yield
      return
    with self._optional(), self._writer.as_default(step=step):
      yield
      self._writer.flush()

  @contextlib.contextmanager
  def _optional(self) -> Iterator[None]:
    """Gives up the events, and not the run, where they cannot be written."""
    try:
      yield
    except (tf.errors.OpError, OSError, reading.FileError) as error:
      self._log(f'no TensorBoard events from here on: {error}')
      self._writer = None


def _forget(directory: pathlib.Path, keeps: Keeps) -> str | None:
  """Takes out what does not stay; returns the config that is shown last."""
  shown = None
  for path in sorted(directory.glob('events.out.tfevents.*')):
    if not path.is_file():
      continue  # To open a FIFO would wait for whoever writes into it.
    stays = []
    for record in _records(path):
      values = _event(record, path)
      tags = [value.tag for value in values.summary.value]
      stays.append(all(x == _CONFIG or keeps(x, values.step) for x in tags))
      if tags == [_CONFIG]:
        text = b''.join(values.summary.value[0].tensor.string_val)
        shown = text.decode(errors='replace')
    if not all(stays):
      _rewrite(path, stays)
  return shown


def _event(record: bytes, path: pathlib.Path) -> tf.compat.v1.Event:
  """Returns the event of a record.

  Raises:
    FileError: it is none.
  """
  try:
    return tf.compat.v1.Event.FromString(record)
  except message.DecodeError as error:
    raise reading.FileError(f'{path} is damaged: {error}') from error


def _records(path: pathlib.Path) -> Iterator[bytes]:
  """Yields the records of a file, up to one that a kill has cut short."""
  with contextlib.suppress(tf.errors.DataLossError):
    for record in tf.data.TFRecordDataset(str(path)):
      yield record.numpy()


def _rewrite(path: pathlib.Path, stays: list[bool]) -> None:
  """Leaves some of the records of a file."""

  def fill(file: BinaryIO) -> None:
    for record, stay in zip(_records(path), stays, strict=False):
      if stay:
        tfrecord.write(file, record)

  atomic.write(path, fill)


def _table(config: ml_collections.ConfigDict) -> str:
  """Returns a config as a table of Markdown."""
  rows = [
    f'| {key} | {str(value).replace("|", chr(92) + "|")} |'
    for key, value in flatten(config.to_dict()).items()
  ]
  return '\n'.join(['| key | value |', '|---|---|', *rows])
