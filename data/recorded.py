"""Makes recorded episodes of any format alike: what rows.py says.

Images become uint8 [L, h, w, 3] of one size, actions lie in [-1, 1] or are
one-hot, and what is no number of each row is left out.
"""

import contextlib
import pathlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from worldmodels.data import archive
from worldmodels.data import pictures
from worldmodels.data import recordings
from worldmodels.data import rows
from worldmodels.data.recordings import Episode
from worldmodels.data.recordings import RecordingError
from worldmodels.data.recordings import Recordings

# A bound from here on counts as none, as in actions.py.
_UNBOUNDED = 1e9
# Choices of one action: more are no choice but a number.
_MOST_CHOICES = 4096
_COLUMNS = (*rows.COLUMNS, rows.COUNT)
_KEPT = ('image', 'action', *_COLUMNS)


class Recorded:
  """Episodes of recordings, by rows.py.

  Attributes:
    path: where they are.
    format: name of their format.
    names: of the episodes.
    discrete: whether actions are one-hot.
    actions: A, size of an action; 0 for recordings without actions.
    low, high: [A] what -1 and 1 stand for, where actions were scaled.
    facts: metadata of a store, as far as they are known.

  Args:
    source: where they come from.
    path: of that, for messages.
    size: pixels of a square image; 0 leaves images as they are.
    bounds: what -1 and 1 stand for; None for those that the source names, else
      the range in the data where some lie beyond [-1, 1].
    log: takes a line of text.

  Raises:
    RecordingError: the actions of all episodes do not go together.
    OSError: a file cannot be read.
  """

  def __init__(
    self,
    source: Recordings,
    path: pathlib.Path,
    *,
    size: int = 0,
    bounds: Sequence[float] | None = None,
    log: Callable[[str], object] = print,
  ):
    self.path = path
    self.format = source.format
    self.names = source.names
    self.facts = dict(source.facts)
    self.low = self.high = None
    self._source = source
    self._size = size
    self._log = log
    self._shapes: dict[str, tuple[int, ...]] | None = None
    self._left_out: set[str] = set()
    self._choices = source.choices
    self._named = bounds is not None or source.low is not None
    self._has_clipped = False
    self._scan(bounds)

  def __len__(self) -> int:
    return len(self.names)

  def __iter__(self) -> Iterator[Episode]:
    return map(self.episode, range(len(self)))

  def episode(self, position: int) -> Episode:
    """Reads the episode at a position, {key: [L, ...]} by rows.py.

    Raises:
      RecordingError: it is damaged or breaks the convention; the message names
        it.
      OSError: it cannot be read.
    """
    with self._naming(position):
      episode = self._source.load(position, self._size)
      if 'image' not in episode:
        raise RecordingError('it has no images')
      episode['image'] = pictures.shaped(episode['image'], self._size)
      episode['action'] = self._scaled(episode['action'])
      episode.setdefault('reward', np.zeros(len(episode['image']), np.float32))
      recordings.check_lengths(episode)
      episode = rows.complete(self._chosen(episode))
      self._check_shapes(episode)
      return episode

  @contextlib.contextmanager
  def _naming(self, position: int) -> Iterator[None]:
    """Puts the path and the name of an episode before messages."""
    try:
      yield
    except (RecordingError, rows.RowsError, archive.DamagedError) as error:
      name = self.names[position]
      damaged = isinstance(error, archive.DamagedError)
      raise RecordingError(
        f'{self.path}, {name}: {"damaged: " if damaged else ""}{error}'
      ) from error

  def _scan(self, bounds: Sequence[float] | None) -> None:
    """Reads all actions: their size, kind and range."""
    sizes, whole, flat, one_hot = set(), True, True, True
    low, high = np.inf, -np.inf
    for position in range(len(self)):
      with self._naming(position):
        action = self._source.actions(position)
        if action.dtype.kind not in rows.NUMBERS or action.ndim not in (1, 2):
          raise RecordingError(
            f'its actions are {action.dtype} {list(action.shape)}, not numbers '
            '[L, A]'
          )
        if not np.isfinite(action).all():
          raise RecordingError('its actions are not all finite')
        whole &= _single(action).ndim == 1
        flat &= action.ndim == 1
        action = action.reshape(len(action), -1)
        sizes.add(action.shape[1])
        if len(sizes) > 1:
          raise RecordingError(
            f'its actions have {action.shape[1]} parts, those before it '
            f'{min(sizes - {action.shape[1]})}'
          )
      taken = action[1:]
      ones = (taken == 1).sum(1) == 1
      one_hot &= bool((ones & ((taken != 0).sum(1) == 1)).all())
      if taken.size:
        low = np.minimum(low, taken.min(0))
        high = np.maximum(high, taken.max(0))
    self.actions = sizes.pop()
    # A column [L, 1] with bounds, or with values below 0, is of numbers.
    numbers = self._named or (np.ndim(low) and low[0] < 0)
    if whole and (flat or not numbers):
      self._count_choices(low, high)
    else:
      self.discrete = one_hot and self.actions > 1 and np.ndim(low) > 0
      if not self.discrete and self.actions:
        self._choose_bounds(low, high, bounds)

  def _count_choices(self, low: np.ndarray, high: np.ndarray) -> None:
    """Finds from how many choices actions are, which are whole numbers."""
    if np.ndim(low) and low[0] < 0:
      raise RecordingError(f'{self.path}: a choice is {low[0]}, below 0')
    most = int(high[0]) + 1 if np.ndim(high) else 1
    if self._choices and most > self._choices:
      raise RecordingError(
        f'{self.path}: a choice is {most - 1}, of {self._choices} from 0'
      )
    self._choices = self._choices or most
    if self._choices > _MOST_CHOICES:
      raise RecordingError(
        f'{self.path}: a choice is {most - 1}; of at most {_MOST_CHOICES} '
        'something can be learned'
      )
    self.discrete, self.actions = True, max(2, self._choices)

  def _choose_bounds(
    self, low: np.ndarray, high: np.ndarray, asked: Sequence[float] | None
  ) -> None:
    """Chooses what -1 and 1 stand for; `low` and `high` are of the data."""
    named = self._source.low, self._source.high
    if asked is not None:
      bounds, why = asked, 'as --action_bounds says'
    elif named[0] is not None:
      bounds, why = named, 'its bounds'
    elif np.ndim(low) and np.abs([low, high]).max() > 1 + rows.ROUNDING:
      bounds, why = (low, high), 'the range in the data, which names no bounds'
    else:
      return
    sizes = {np.size(bound) for bound in bounds} - {1, self.actions}
    if sizes:
      raise RecordingError(
        f'{self.path}: its actions have {self.actions} parts, {why} have '
        f'{sizes.pop()}'
      )
    first, last = (
      np.broadcast_to(np.asarray(bound, np.float64), (self.actions,))
      for bound in bounds
    )
    # A part without bounds, or with one value alone, is passed on as it is.
    bound = (np.abs(first) < _UNBOUNDED) & (np.abs(last) < _UNBOUNDED)
    bound &= first < last
    if not bound.all() and np.ndim(low):
      beyond = (np.maximum(np.abs(low), np.abs(high)) > 1) & ~bound
      first = np.where(beyond, np.minimum(low, high - 1e-6), first)
      last = np.where(beyond, high, last)
      bound |= beyond & (first < last)
    self.low = np.where(bound, first, -1.0)
    self.high = np.where(bound, last, 1.0)
    if (self.low == -1).all() and (self.high == 1).all():
      self.low = self.high = None
      return
    self._log(
      f'actions    {_listed(self.low)} to {_listed(self.high)} become -1 to 1: '
      f'{why}'
    )

  def _scaled(self, action: np.ndarray) -> np.ndarray:
    """Returns actions in [-1, 1] or one-hot; in row 0 they stay zero."""
    if self.discrete and (choices := _single(action)).ndim == 1:
      if choices[0] not in (0, -1):
        raise RecordingError(
          f'its choice in row 0 is {choices[0]}: row 0 is the reset, which no '
          'action led to; move all one row down'
        )
      chosen = np.zeros([len(choices), self.actions], np.float32)
      chosen[np.arange(1, len(choices)), choices[1:]] = 1
      return chosen
    action = action.reshape(len(action), -1)
    if action[:1].any():
      return action  # rows.py says what is wrong.
    if self.low is None:
      return self._clipped(action)
    width = self.high - self.low
    scaled = 2 * (action.astype(np.float64) - self.low) / width - 1
    scaled[0] = 0
    return self._clipped(scaled).astype(np.float32)

  def _clipped(self, action: np.ndarray) -> np.ndarray:
    """Cuts actions to bounds that were named, as most environments do."""
    if self._named and np.abs(action).max(initial=0) > 1 + 1e-5:
      if not self._has_clipped:
        self._log('actions    some lie beyond their bounds: cut to them')
      self._has_clipped = True
      return np.clip(action, -1, 1)
    return action

  def _chosen(self, episode: Episode) -> Episode:
    """Keeps images, actions, what the convention names, and vectors."""
    kept = {}
    for key, value in episode.items():
      name = _name(key)
      if key in _KEPT:
        # Some write columns of single numbers as [L, 1].
        single = key in _COLUMNS and value.shape[1:] == (1,)
        kept[key] = value[:, 0] if single else value
      elif value.dtype.kind not in rows.NUMBERS or value.ndim > 2 or not name:
        if key not in self._left_out:
          self._left_out.add(key)
          self._log(f'left out   {key!r}: no vector of numbers in each row')
      elif name in kept:
        raise RecordingError(f'two vectors would be called {name!r}')
      else:
        kept[name] = value.reshape(len(value), -1)
    return kept

  def _check_shapes(self, episode: Episode) -> None:
    """Raises RecordingError where episodes are of unlike shapes."""
    shapes = {
      key: value.shape[1:]
      for key, value in episode.items()
      if key != rows.COUNT  # Which files of others need not have.
    }
    first = self._shapes = self._shapes or shapes
    for key in sorted(first.keys() | shapes.keys()):
      if first.get(key) != shapes.get(key):
        mine, others = (
          'absent' if key not in x else f'of shape {list(x[key])}'
          for x in (shapes, first)
        )
        hint = ': --size=64 brings them to one' if key == 'image' else ''
        raise RecordingError(
          f'{key} is {mine}, in the episodes before it {others}{hint}'
        )


def _single(action: np.ndarray) -> np.ndarray:
  """Returns whole numbers [L] or [L, 1] as int64 [L]; others as [L, A]."""
  if action.dtype.kind not in 'iub' or action.shape[1:] not in ((), (1,)):
    return action.reshape(len(action), -1)
  return action.reshape(-1).astype(np.int64)


def _name(key: str) -> str:
  """Returns a name that a vector can have; empty where there is none."""
  name = key.replace('/', '_').replace('.', '_').replace(' ', '_')
  return name if name.isprintable() and name not in rows.RESERVED else ''


def _listed(numbers: np.ndarray) -> str:
  """Returns numbers in a few characters; one that all are once."""
  if len(set(numbers.tolist())) == 1:
    return f'{numbers[0]:g}'
  shown = ', '.join(f'{number:g}' for number in numbers[:6])
  return f'[{shown}{", ..." if len(numbers) > 6 else ""}]'
