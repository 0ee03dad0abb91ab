"""What parts of a user's are held to: shapes, dtypes, bounds, and no errors.

Whatever is wrong is an OptionError of one line, whose option is the `kind` that
names the part.
"""

import contextlib
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import ml_collections
import numpy as np
import tensorflow as tf

from worldmodels import errors
from worldmodels import users
from worldmodels.spec import Spec
from worldmodels.states import State

_ROUNDING = 1e-5  # of actions that are within [-1, 1]


class Parts:
  """The parts of an agent that are a user's.

  Attributes:
    kinds: {option: kind}, such as {planner.kind: my_lab.mppi:plan}.

  Args:
    config: of an agent.
    spec: of its task.
  """

  def __init__(self, config: ml_collections.ConfigDict, spec: Spec):
    self.kinds, self._spec = dict(_kinds(config.to_dict())), spec

  def check_state(
    self,
    option: str,
    what: str,
    found: State,
    like: State,
    count: int | None = None,
  ) -> None:
    """Raises OptionError unless a state has the parts of another one."""
    unlike = _difference(found, like)
    if unlike:
      raise self.error(
        option, f'whose {what} returns another state than initial: {unlike}'
      )
    leads = {tuple(value.shape[:1]) for value in tf.nest.flatten(found)}
    if count is not None and leads != {(count,)}:
      raise self.error(
        option,
        f'whose {what} returns for {count} members a state that is not of '
        f'tensors [{count}, ...]',
      )

  def check_action(
    self, option: str, what: str, found: object, count: int
  ) -> None:
    """Raises OptionError unless something is actions of the task."""
    self.check(option, what, found, [count, self._spec.actions])
    if self._spec.discrete:
      values = np.asarray(found)
      if not (np.isin(values, (0, 1)).all() and (values.sum(-1) == 1).all()):
        raise self.error(option, f'whose {what} is not one-hot: {values[0]}')
    elif np.abs(found).max() > 1 + _ROUNDING:
      raise self.error(
        option,
        f'whose {what} is {np.abs(found).max():.3g}: actions are in [-1, 1]',
      )

  def check_signature(
    self, option: str, name: str, function: Callable[..., Any], count: int
  ) -> None:
    """Raises OptionError unless a function takes so many arguments."""
    function = getattr(function, 'python_function', function)
    try:
      inspect.signature(function).bind(*range(count))
    except TypeError as error:
      if option in self.kinds:
        raise self.error(
          option, f'whose {name} takes other arguments: {error}'
        ) from error

  def check(
    self, option: str, what: str, found: object, shape: list[int]
  ) -> None:
    """Raises OptionError unless something is finite float32 of a shape."""
    expected = f'float32 {shape}'
    if _described(found) != expected:
      raise self.error(
        option, f'whose {what} is {_described(found)}; it is {expected}'
      )
    if not np.isfinite(found).all():
      raise self.error(option, f'whose {what} has numbers that are not finite')

  @contextlib.contextmanager
  def explained(self, *options: str) -> Iterator[None]:
    """Turns what a part of the user's raises into one line.

    Args:
      *options: that may be to blame, by default all. The part in whose file it
        was is, else the first that is the user's; without any of a user's it
        stays what it is.
    """
    options = options or tuple(self.kinds)
    mine = [option for option in options if option in self.kinds]
    if not mine:
      yield
      return
    try:
      with users.explained('', 'which'):
        yield
    except errors.OptionError as error:
      if error.option:
        raise
      option = self._owner(error.__cause__) or mine[0]
      raise self.error(option, error.problem) from error.__cause__

  def _owner(self, error: BaseException) -> str | None:
    """Returns the option whose kind is in the file that raised, if any is."""
    found = users.innermost(error)
    for option, kind in self.kinds.items():
      module = sys.modules.get(kind.partition(':')[0])
      if found and module and inspect.getsourcefile(module) == found[0]:
        return option
    return None

  def error(self, option: str, problem: str) -> errors.OptionError:
    return errors.OptionError(option, f'is {self.kinds[option]!r}, {problem}')


def _kinds(
  groups: Mapping[str, Any], prefix: str = ''
) -> Iterator[tuple[str, str]]:
  """Yields (option, kind) of the user's kinds in a config."""
  for key, value in groups.items():
    if isinstance(value, Mapping):
      yield from _kinds(value, f'{prefix}{key}.')
    elif key == 'kind' and ':' in str(value):
      yield f'{prefix}{key}', str(value)


def _difference(found: object, like: object, name: str = 'it') -> str:
  """Returns how a state differs from another one, or nothing."""
  if not isinstance(like, Mapping):
    this, that = _described(found), _described(like)
    return '' if this == that else f'{name} is {this}, not {that}'
  if not isinstance(found, Mapping):
    return f'{name} is a {type(found).__name__}, not a dict'
  if found.keys() != like.keys():
    key = sorted(found.keys() ^ like.keys(), key=str)[0]
    return f'{name} {"has an unknown" if key in found else "lacks"} {key!r}'
  parts = (_difference(found[key], like[key], f'its {key!r}') for key in like)
  return next(filter(None, parts), '')


def _described(value: object) -> str:
  """Returns dtype and shape of an array, else the name of its type."""
  if isinstance(value, tf.Tensor | np.ndarray | np.generic):
    dtype = tf.as_dtype(value.dtype).name
    return f'{dtype} {list(value.shape)}'
  return type(value).__name__
