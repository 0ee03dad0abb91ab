"""A model that is known: the user's own step, in the place of a learned one.

Of `WorldModel` it offers what a `Problem` calls. The reward and the discount of
a step are part of the state that it led to, so that whoever sees states sees
them.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from worldmodels import errors
from worldmodels import states
from worldmodels.spec import Spec
from worldmodels.states import State
from worldmodels.states import Tensor

# (state [N, ...], action [N, A]) -> (state, reward [N], discount [N])
Step = Callable[[Any, Tensor], tuple[Any, Tensor, Tensor]]


class StepError(errors.UserError, ValueError):
  """A step that returns something else than it should; one line."""


class KnownModel:
  """The user's step as a model.

  Attributes:
    spec: its actions.

  Args:
    step: function of a state, any nest of tensors [N, ...], and actions
      [N, A] that returns (state, reward [N], discount [N]); a number counts
      for all. With NumPy it works where nothing is traced, and has no gradient.
    actions: A.
    discrete: whether actions are one-hot; else they are in [-1, 1].
  """

  def __init__(self, step: Step, *, actions: int, discrete: bool = False):
    self.spec = Spec(actions=actions, discrete=discrete, image=None)
    self._step = step

  def start(self, state: Any) -> State:  # noqa: ANN401 (any nest of tensors)
    """Makes a state of this model of the user's, [N, ...].

    Raises:
      StepError: its tensors are not of as many members.
    """
    state = tf.nest.map_structure(tf.convert_to_tensor, state)
    tensors = tf.nest.flatten(state)
    if not tensors or any(x.shape.rank == 0 for x in tensors):
      raise StepError(
        'a state is a nest of tensors [N, ...], N states side by side'
      )
    counts = {x.shape[0] for x in tensors if x.shape.rank}
    if len(counts - {None}) > 1:
      shapes = ', '.join(str(tuple(x.shape)) for x in tensors)
      raise StepError(
        f'the tensors of a state have {shapes} as shapes; the first axis of '
        'all is that of the states'
      )
    count = states.size(state)
    return {
      'state': state,
      'reward': tf.zeros([count]),
      'discount': tf.ones([count]),
    }

  def step(
    self, state: State, action: Tensor, seed: Tensor | None = None
  ) -> State:
    """Takes one step: state [N, ...], action [N, A] -> state [N, ...]."""
    del seed  # It is what it is.
    before = state['state']
    returned = self._step(before, action)
    if not isinstance(returned, tuple) or len(returned) != 3:
      raise StepError(
        f'step returned {type(returned).__name__}; it returns (state, reward, '
        'discount)'
      )
    after, reward, discount = returned
    try:
      tf.nest.assert_same_structure(before, after)
    except (TypeError, ValueError) as error:
      raise StepError(
        'step returned a state of another structure than it was given'
      ) from error
    return {
      'state': tf.nest.map_structure(_alike, before, after),
      'reward': _of_each('reward', reward, state['reward']),
      'discount': _of_each('discount', discount, state['discount']),
    }

  def imagine(
    self, state: State, action: Tensor, seed: Tensor | None = None
  ) -> State:
    """Takes steps: state [N, ...], action [N, H, A] -> states [N, H, ...]."""
    del seed

    def step(carry: State, now: State) -> State:
      return self.step(carry, now['action'])

    inputs = {'action': states.swap(action)}
    return states.swap(states.scan(step, inputs, state))

  def particles(
    self, state: State, count: int, seed: Tensor | None = None
  ) -> State:
    """Repeats each state, which has one member: [N, ...] -> [N P, ...]."""
    del seed
    return states.repeat(state, count)

  def spread(self, state: State) -> Tensor:
    """Returns 0 for each state: what is known is not disagreed about."""
    return tf.zeros_like(state['reward'])

  def reward(self, state: State) -> Tensor:
    """Returns the reward of the step that led to each state, [...]."""
    return state['reward']

  def discount(self, state: State) -> Tensor:
    """Returns the discount of the step that led to each state, [...]."""
    return state['discount']


def inside(
  function: Callable[[Any], Tensor] | None,
) -> Callable[[State], Tensor] | None:
  """Makes a function of the user's states one of states of the model."""
  if function is None:
    return None
  return lambda state: function(state['state'])


def _alike(before: Tensor, after: Tensor) -> Tensor:
  """Returns a part of the state, of the dtype and shape that it had."""
  after = tf.convert_to_tensor(after)
  if after.dtype != before.dtype:  # NumPy's numbers become float64.
    after = tf.cast(after, before.dtype)
  if not after.shape.is_compatible_with(before.shape):
    raise StepError(
      f'step returned a part of the state of shape {tuple(after.shape)} for '
      f'one of {tuple(before.shape)}'
    )
  return tf.ensure_shape(after, before.shape)


def _of_each(name: str, value: Tensor, before: Tensor) -> Tensor:
  """Returns the reward or the discount of each state, float32 [N]."""
  value = tf.cast(value, tf.float32)
  if value.shape.rank == 0:
    value = tf.fill(tf.shape(before), value)
  if not value.shape.is_compatible_with(before.shape):
    raise StepError(
      f'step returned a {name} of shape {tuple(value.shape)}; it is '
      f'{tuple(before.shape)}, one for each state, or a number'
    )
  return tf.ensure_shape(value, before.shape)
