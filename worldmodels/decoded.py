"""What states look like, decoded when it is asked for.

A mapping of the keys that a model has a head for, in the units in which the
task shows them, so that an objective and a picture speak of the same numbers.
"""

from collections.abc import Iterator, Mapping

import tensorflow as tf

from worldmodels import disagreement
from worldmodels.states import State
from worldmodels.states import Tensor
from worldmodels.world_model import WorldModel

FEATURES = 'features'  # Of the states: what heads and learners read.
DISAGREEMENT = 'disagreement'  # Of several members, about the step to a state.
REWARD_DISAGREEMENT = 'reward_disagreement'  # The same, of its reward.
ALWAYS = ('reward', 'discount')


class Decoded(Mapping[str, Tensor]):
  """The expected value of every key, float32 [..., *shape], as a mapping.

  `image` goes from 0 to 255 and is not rounded, so that it has a gradient;
  `features` are those of the states, [..., F]; `discount` is 1 without a head.
  An ensemble has `disagreement` and `reward_disagreement` as well, see
  `WorldModel.spread` and worldmodels/disagreement.py.
  A key is decoded when it is first asked for: an image costs a hundred times
  what the step to its state does.

  Args:
    model: a WorldModel.
    state: states [...].
    known: {key: [..., *shape]} of what need not be decoded, such as what was
      really observed.
  """

  def __init__(
    self,
    model: WorldModel,
    state: State,
    known: Mapping[str, Tensor] | None = None,
  ):
    self._model, self._state = model, state
    self._found = {
      key: tf.cast(value, tf.float32) for key, value in (known or {}).items()
    }
    self._keys = tuple(dict.fromkeys([*keys(model), *self._found]))

  def __getitem__(self, key: str) -> Tensor:
    if key not in self._keys:
      raise KeyError(
        f'{key!r} is not decoded by this model; it has {", ".join(self._keys)}'
      )
    if key not in self._found:
      self._found[key] = self._decode(key)
    return self._found[key]

  def __contains__(self, key: object) -> bool:
    return key in self._keys  # That of a Mapping would decode it.

  def __iter__(self) -> Iterator[str]:
    return iter(self._keys)

  def __len__(self) -> int:
    return len(self._keys)

  def _decode(self, key: str) -> Tensor:
    if key == FEATURES:
      return self._model.features(self._state)
    if key == DISAGREEMENT:
      return self._model.spread(self._state)
    if key == REWARD_DISAGREEMENT:
      return disagreement.about_reward(self._model, self._state)
    if key == 'reward':
      return self._model.reward(self._state)
    if key == 'discount':
      return self._model.discount(self._state)
    if key == 'image':
      return 255.0 * (self._model.image(self._state) + 0.5)
    head = self._model.head(key)
    return head.mean(self._model.features(self._state))


def keys(model: WorldModel) -> tuple[str, ...]:
  """Returns the keys that states of a model are decoded to."""
  several = disagreement.members_of(model) > 1
  more = [DISAGREEMENT] if several else []
  if several and hasattr(model.dynamics, 'beliefs'):  # Else users' dynamics.
    more.append(REWARD_DISAGREEMENT)
  return tuple(dict.fromkeys([*model.keys, *ALWAYS, FEATURES, *more]))
