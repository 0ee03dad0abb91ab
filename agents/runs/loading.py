"""Loads a finished run into a program of one's own: `worldmodels.load`.

What is wrong with the run is said before TensorFlow is imported, which then is
as quiet as in our programs.
"""

import contextlib
import logging
import os
import pathlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, TextIO

from worldmodels.agents.runs import restore
from worldmodels.agents.runs.run_directory import RunDirectory

if TYPE_CHECKING:
  from worldmodels.agents.runs.trained import Run

_LEVEL = 'TF_CPP_MIN_LOG_LEVEL'

_streams: list[TextIO] = []  # At most one: TensorFlow is imported once.


def load(path: str | pathlib.Path, updates: int | None = None) -> 'Run':
  """Loads a run, which may go on training meanwhile; needs no environment.

  Args:
    path: the directory of the run.
    updates: of the checkpoint that is wanted; None for the newest that is
      whole.

  Raises:
    RunError: it is no run, or has no checkpoint yet.
    CheckpointError: it has not got this one, or none that is whole.
  """
  directory = RunDirectory(path)
  config, spec = directory.load(), directory.spec()
  restore.check(directory, updates)
  with _quiet():
    from worldmodels.agents.runs import trained

    return trained.Run(directory, config, spec, updates)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
  """Keeps what TensorFlow prints at its start from stderr.

  Its C++ parts write there whatever one sets, so the file descriptor is the
  only place to stop them; Python's own lines pass. Who has imported TensorFlow
  before has heard it, or has chosen what to hear.
  """
  if 'tensorflow' in sys.modules:
    yield
    return
  os.environ.setdefault(_LEVEL, '3')
  logger = logging.getLogger('tensorflow')
  if logger.level == logging.NOTSET:
    logger.setLevel(logging.ERROR)
  try:
    os.fstat(2)
  except OSError:  # A program without a terminal may have closed it.
    yield
    return
  with _python_still_heard():
    kept, silence = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 2)
    os.close(silence)
    try:
      yield
    finally:
      os.dup2(kept, 2)
      os.close(kept)


@contextlib.contextmanager
def _python_still_heard() -> Iterator[None]:
  """Gives Python's stderr a descriptor of its own, if it has that of C."""
  terminal = sys.stderr
  try:
    shared = terminal.fileno() == 2
  except (AttributeError, OSError, ValueError):  # None, of a notebook, closed.
    shared = False
  if not shared:
    yield
    return
  terminal.flush()
  # It stays open: the loggers of TensorFlow keep the stream that they find.
  own = os.fdopen(os.dup(2), 'w', buffering=1)
  _streams.append(own)
  sys.stderr = own
  try:
    yield
  finally:
    if sys.stderr is own:
      sys.stderr = terminal
