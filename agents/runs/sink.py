"""Sinks: where the figures of a run go beside its own files.

Off by default. A sink is a file of the folder sinks, or `module:name` of the
user's, with a class `Sink` and {module: what pip calls it} of what it imports:

  PACKAGES = {'wandb': 'wandb'}

What goes wrong there does not stop a run.
"""

import contextlib
import hashlib
import importlib
import importlib.util
import pathlib
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from worldmodels import errors
from worldmodels import kinds
from worldmodels.agents.runs import animation
from worldmodels.data import atomic

_FOLDER = 'worldmodels.agents.runs.sinks'


class Sink:
  """Takes the figures of one run; base of all kinds.

  Args:
    directory: of the run.
    config: of the run, {key: value or group}.
  """

  def __init__(self, directory: pathlib.Path, config: dict[str, Any]):
    """Begins a run there, or goes on with it."""

  @staticmethod
  def errors() -> tuple[type[Exception], ...]:
    """Returns what it may raise, beside OSError, without being at fault."""
    return ()

  def write(self, env_steps: int, figures: dict[str, float]) -> None:
    """Takes figures, as TensorBoard names them: `return/return`."""
    raise NotImplementedError

  def film(
    self, env_steps: int, name: str, frames: np.ndarray, fps: float
  ) -> None:
    """Takes a film, frames uint8 [T, H, W, 3]; by default leaves it."""

  def close(self) -> None:
    """Is told that the run has ended, or was stopped."""


class Sinks:
  """The sinks of a run; one that fails is given up with a line.

  Args:
    names: of the kinds.
    directory: of the run.
    config: of the run.
    log: called with a line of text.

  Raises:
    OptionError: one of them cannot be begun.
  """

  def __init__(
    self,
    names: Sequence[str] = (),
    directory: pathlib.Path = pathlib.Path(),
    config: dict[str, Any] | None = None,
    log: Callable[[str], Any] = print,
  ):
    self._log = log
    self._sinks: dict[str, Sink] = {}
    for name in dict.fromkeys(names):
      found = kinds.find(_FOLDER, name, 'Sink')
      try:
        self._sinks[name] = found(directory, config or {})
      except ImportError as error:  # Installed in part.
        raise errors.OptionError('--sinks', f'is {name!r}: {error}') from error
      except (OSError, *found.errors()) as error:
        text = ' '.join(str(error).split())
        raise errors.OptionError('--sinks', f'is {name!r}: {text}') from error

  def write(self, env_steps: int, figures: dict[str, float]) -> None:
    """Hands figures on to all."""
    self._each(lambda sink: sink.write(env_steps, figures))

  def film(
    self, env_steps: int, name: str, frames: np.ndarray, fps: float
  ) -> None:
    """Hands a film on to all."""
    self._each(lambda sink: sink.film(env_steps, name, frames, fps))

  def close(self) -> None:
    """Ends all."""
    self._each(lambda sink: sink.close())
    self._sinks.clear()

  def _each(self, act: Callable[[Sink], None]) -> None:
    for name, sink in list(self._sinks.items()):
      try:
        act(sink)
      except (OSError, errors.UserError, *sink.errors()) as error:
        text = ' '.join(str(error).split())
        self._log(f'no figures for {name} from here on: {text}')
        del self._sinks[name]


def check(option: str, names: Sequence[str]) -> None:
  """Raises OptionError for sinks that are not there or lack a package.

  Args:
    option: the flag that names them.
    names: of kinds.
  """
  with errors.group(option):
    for name in names:
      try:
        found = kinds.find(_FOLDER, name, 'Sink')
      except errors.OptionError as error:
        raise errors.OptionError('', error.problem) from error
      needed = getattr(
        importlib.import_module(found.__module__), 'PACKAGES', {}
      )
      for module, package in needed.items():
        if importlib.util.find_spec(module) is None:
          raise errors.OptionError(
            '',
            f'is {name!r}, which needs {package}: pip install {package}',
          )


def identity(directory: pathlib.Path) -> str:
  """Returns what a run is known by elsewhere, the same when it goes on."""
  path = str(directory.resolve()).encode('utf-8', 'surrogateescape')
  name = re.sub(r'[^A-Za-z0-9_-]', '-', directory.resolve().name)[:40]
  return f'{name}-{hashlib.sha256(path).hexdigest()[:12]}'


@contextlib.contextmanager
def film_file(frames: np.ndarray, fps: float) -> Iterator[pathlib.Path]:
  """Makes a GIF of frames for the time of a `with` statement."""
  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / 'film.gif'
    atomic.write_bytes(path, animation.encode(frames, '.gif', fps))
    yield path
