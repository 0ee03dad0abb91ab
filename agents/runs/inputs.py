"""Reads the arrays that users give to a trained run, and says what is wrong."""

import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from worldmodels import errors
from worldmodels.spec import Spec

Batch = dict[str, np.ndarray]

# Above 1, of an action: what a conversion of dtypes may add.
_ROUNDING = 1e-5


class InputError(errors.UserError, ValueError):
  """An array that is not what a run takes; the message is one line."""


def batch(
  spec: Spec,
  images: npt.ArrayLike | None,
  given_actions: npt.ArrayLike | None,
  vectors: Mapping[str, npt.ArrayLike],
  begins: bool,
) -> tuple[tuple[int, ...], Batch]:
  """Makes a batch of what was seen.

  Args:
    spec: of the task.
    images: uint8 [T, h, w, c] or [B, T, h, w, c]; None where there are none.
    given_actions: [T, A], or the [T - 1, A] between, or with B in front; None
      for a first image alone.
    vectors: {key: [T, V]} or with B in front.
    begins: whether the first row is that of a reset.

  Returns:
    ((B,) or (), {key: [B, T, ...]}).

  Raises:
    InputError: an array is not what the task shows or takes.
  """
  seen = _observed(spec, images, vectors, 'images')
  rank, rows = next(
    (value.ndim - len(spec.shape(key)), value.shape)
    for key, value in seen.items()
  )
  if rank not in (1, 2):
    first = next(iter(seen))
    raise InputError(
      f'{first} has shape {list(rows)}: it is [T, ...], or [B, T, ...] of '
      'several at once'
    )
  lead, length = rows[: rank - 1], rows[rank - 1]
  for key, value in seen.items():
    if value.shape[:rank] != rows[:rank]:
      raise InputError(
        f'{key} has shape {list(value.shape)}; the others have '
        f'{list(rows[:rank])} in front'
      )
  if not length:
    raise InputError('there is no image to observe')
  action = _led(spec, given_actions, lead, length, begins)
  found = {key: _with_batch(value, rank) for key, value in seen.items()}
  found['action'] = _with_batch(action, rank)
  is_first = np.zeros(found['action'].shape[:2], bool)
  is_first[:, 0] = begins
  return lead, found | {'is_first': is_first}


def observation(
  spec: Spec,
  image: npt.ArrayLike | None,
  vectors: Mapping[str, npt.ArrayLike],
) -> tuple[tuple[int, ...], Batch]:
  """Makes an observation of what is seen now.

  Returns:
    ((B,) or (), {key: [B, ...]}).

  Raises:
    InputError: an array is not what the task shows.
  """
  seen = _observed(spec, image, vectors, 'image')
  leads = {
    value.shape[: value.ndim - len(spec.shape(key))]
    for key, value in seen.items()
  }
  lead = leads.pop()
  if leads or len(lead) > 1:
    shapes = ', '.join(f'{key} {list(x.shape)}' for key, x in seen.items())
    raise InputError(
      f'{shapes}: each is one step, or [B, ...] of B episodes side by side'
    )
  return lead, {
    key: _with_batch(value, len(lead) + 1) if not lead else value
    for key, value in seen.items()
  }


def actions(
  spec: Spec, given: npt.ArrayLike, what: str, lead: int | None = None
) -> np.ndarray:
  """Returns actions float32 [..., H, A]; a choice may be given by its number.

  Args:
    spec: of the task.
    given: [..., H, A], or choices [..., H] in whole numbers.
    what: what they are of, for the message.
    lead: how many axes are in front of H; None if that is not known. Whole
      numbers in which every row has one 1 beside zeros are one-hot then.

  Raises:
    InputError: they are not what the task takes.
  """
  found = np.asarray(given)
  if found.dtype.kind not in 'biuf':
    raise InputError(f'the actions of {what} are {found.dtype}, not numbers')
  if spec.discrete and _numbers_choices(found, spec.actions, lead):
    if found.size and not 0 <= found.min() <= found.max() < spec.actions:
      wrong = found[(found < 0) | (found >= spec.actions)][0]
      raise InputError(
        f'a choice is {wrong}: it is from 0 to {spec.actions - 1}'
      )
    found = np.eye(spec.actions, dtype=np.float32)[found]
  found = found.astype(np.float32)
  if found.ndim < 2 or found.shape[-1] != spec.actions:
    raise InputError(
      f'the actions of {what} have shape {list(found.shape)}: it is [..., H, '
      f'{spec.actions}], as an action of this run has {spec.actions} numbers'
    )
  if not found.size:
    raise InputError(f'{what} was given no action')
  if not np.isfinite(found).all():
    raise InputError(f'an action of {what} is not finite')
  if spec.discrete:  # A reset has none.
    ones = np.isclose(found, 1, rtol=0, atol=_ROUNDING).sum(-1)
    others = (np.abs(found) > _ROUNDING).sum(-1) - ones
    wrong = found[(ones > 1) | (others > 0)]
    if len(wrong):
      raise InputError(
        f'an action of {what} is {wrong[0].tolist()}: a choice is one-hot, or '
        'its number'
      )
  largest = np.abs(found).max(initial=0.0)
  if largest > 1 + _ROUNDING:
    raise InputError(
      f'an action of {what} is {largest:g}: they lie in [-1, 1], where -1 and '
      '1 are the bounds of the task'
    )
  return found


def _numbers_choices(found: np.ndarray, size: int, lead: int | None) -> bool:
  """Returns whether actions are numbers of choices, and not one-hot."""
  if found.dtype.kind not in 'iu':
    return False
  if lead is not None:
    return found.ndim == lead + 1
  if found.ndim < 2 or found.shape[-1] != size:
    return True
  return not ((found.max(-1) == 1) & (np.abs(found).sum(-1) == 1)).all()


def check_lead(
  what: str, shape: tuple[int, ...], expected: tuple[int, ...]
) -> None:
  """Raises InputError if what stands before the axes of a step differs."""
  if tuple(shape) != tuple(expected):
    raise InputError(
      f'the {what} have {list(shape)} in front, where {list(expected)} belongs'
    )


def check_seed(seed: int) -> None:
  """Raises InputError for what is no seed."""
  if not isinstance(seed, int | np.integer) or not 0 <= seed < 2**31:
    raise InputError(
      f'seed is {seed!r}; it is a whole number from 0 below 2**31'
    )


def name_of(function: Callable[..., Any], strict: bool = False) -> str:
  """Returns `module:name` of a function of the user's.

  Args:
    function: of the user's.
    strict: whether it has to be found again by that name.

  Raises:
    InputError: it cannot be.
  """
  inner = getattr(function, 'func', function)  # of functools.partial
  module = getattr(inner, '__module__', None) or '?'
  name = getattr(inner, '__qualname__', type(inner).__name__)
  found = getattr(sys.modules.get(module), name, None)
  if strict and found is not function:
    raise InputError(
      f'{name} is no function that {module} has by that name: define it at the '
      'top of a module'
    )
  return f'{module}:{name}'


def _observed(
  spec: Spec,
  image: npt.ArrayLike | None,
  vectors: Mapping[str, npt.ArrayLike],
  called: str,
) -> Batch:
  """Returns what the model observes, uint8 images and float32 vectors."""
  seen = {}
  if spec.image is not None:
    found = np.asarray(image) if image is not None else None
    if (
      found is None
      or found.dtype != np.uint8
      or (found.shape[-3:] != spec.image)
    ):
      shown = 'none' if found is None else f'{found.dtype} {list(found.shape)}'
      raise InputError(
        f'{called}: {shown}; those of this run are uint8 [..., '
        f'{", ".join(map(str, spec.image))}], from 0 to 255'
      )
    seen['image'] = found
  elif image is not None:
    raise InputError(f'{called} are given, but the task of this run has none')
  for key, size in spec.vectors.items():
    if key not in vectors:
      raise InputError(
        f'the model observes {key!r}: give vectors={{{key!r}: ...}}'
      )
    found = np.asarray(vectors[key])
    if found.dtype.kind not in 'biuf' or found.shape[-1:] != (size,):
      raise InputError(
        f'{key} is {found.dtype} {list(found.shape)}; it is [..., {size}]'
      )
    found = found.astype(np.float32)
    if not np.isfinite(found).all():
      raise InputError(f'{key} is not finite')
    seen[key] = found
  return seen


def _led(
  spec: Spec,
  given: npt.ArrayLike | None,
  lead: tuple[int, ...],
  length: int,
  begins: bool,
) -> np.ndarray:
  """Returns the actions [*lead, T, A] that led to the images."""
  none = np.zeros((*lead, 1, spec.actions), np.float32)
  if begins and length == 1 and (given is None or np.size(given) == 0):
    return none
  if given is None:
    raise InputError(
      'observe needs the actions that led to the images, or those between them'
    )
  found = actions(spec, given, 'observe', len(lead))
  check_lead('actions', found.shape[:-2], lead)
  if begins and found.shape[-2] == length - 1:
    return np.concatenate([none, found], -2)
  if found.shape[-2] != length:
    between = f', or the {length - 1} between them' if begins else ''
    raise InputError(
      f'{length} images and {found.shape[-2]} actions: one led to each of '
      f'them{between}'
    )
  return found


def _with_batch(value: np.ndarray, rank: int) -> np.ndarray:
  return value if rank == 2 else value[None]
