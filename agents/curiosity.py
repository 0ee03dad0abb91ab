"""Disagreement: how unlike several models of one step predict what comes.

Planning to Explore via Self-Supervised World Models (Sekar et al., 2020),
section 3.2. Models with different first weights learn the same: the features of
the next state, from those of a state and an action. Where there are data they
agree, for what is left to chance has one mean; where there are none they do
not. So the variance of their means asks for what can be learned, and not for
noise.

The paper predicts the embedding of the next image; here it is the features of
the filtered state, which hold it and which any dynamics have.
"""

from collections.abc import Callable

import keras
import tensorflow as tf

from worldmodels import states
from worldmodels.states import State
from worldmodels.states import Tensor
from worldmodels.world_model import WorldModel

# (states [N, ...], actions [N, A]) -> [N]
Disagreement = Callable[[State, Tensor], Tensor]


class Ensemble(keras.layers.Layer):
  """K networks side by side, of one product a layer.

  Args:
    features_size: F.
    actions: A.
    members: K, at least 2.
    units: of each hidden layer.
    layers: hidden ones.
    activation: of those.
    initializer: of the weights of each.
    outputs: numbers that each predicts; None for the next features, F.
  """

  def __init__(
    self,
    features_size: int,
    *,
    actions: int,
    members: int,
    units: int,
    layers: int,
    activation: str,
    initializer: str,
    outputs: int | None = None,
  ):
    super().__init__(name='ensemble')
    self._activation = keras.activations.get(activation)
    sizes = [
      features_size + actions,
      *[units] * layers,
      outputs or features_size,
    ]
    # An attribute each: Keras follows those.
    self._count = len(sizes) - 1
    for index, (before, after) in enumerate(zip(sizes, sizes[1:])):
      weights = [keras.initializers.get(initializer) for _ in range(members)]

      def make(
        shape: tuple[int, ...],
        dtype: str | None = None,
        weights: list[keras.Initializer] = weights,
      ) -> Tensor:
        return tf.stack([each.clone()(shape[1:], dtype) for each in weights])

      kernel = self.add_weight(
        shape=(members, before, after), initializer=make, name=f'kernel_{index}'
      )
      bias = self.add_weight(
        shape=(members, 1, after), initializer='zeros', name=f'bias_{index}'
      )
      setattr(self, f'_kernel_{index}', kernel)
      setattr(self, f'_bias_{index}', bias)
    self.built = True

  def call(self, features: Tensor, action: Tensor) -> Tensor:
    """Maps features [N, F] and actions [N, A] -> predictions [K, N, F]."""
    values = tf.concat([features, action], -1)[None]
    for index in range(self._count):
      kernel = getattr(self, f'_kernel_{index}')
      values = tf.matmul(values, kernel) + getattr(self, f'_bias_{index}')
      if index < self._count - 1:
        values = self._activation(values)
    return values

  def loss(self, features: Tensor, action: Tensor, after: Tensor) -> Tensor:
    """Returns half the squared error of all members, [N].

    Args:
      features: of states, [N, F].
      action: [N, A].
      after: features of the states that they led to, [N, F].
    """
    error = tf.square(self(features, action) - after)
    return 0.5 * tf.reduce_sum(tf.reduce_mean(error, -1), 0)

  def disagreement(self, features: Tensor, action: Tensor) -> Tensor:
    """Returns the variance of the members' predictions, [N]: its mean over F.

    Args:
      features: of states, [N, F].
      action: [N, A].
    """
    return tf.reduce_mean(
      tf.math.reduce_variance(self(features, action), 0), -1
    )


class CuriousModel:
  """A model whose reward is what its ensemble does not agree about.

  What a `Problem` calls of a WorldModel, so that any planner plans for it. The
  reward of a step is that of the state before and of the action, and is kept in
  the state that these lead to.

  Attributes:
    spec: of the task.

  Args:
    model: a WorldModel.
    disagreement: function of states [N, ...] and actions [N, A] -> [N].
  """

  def __init__(self, model: WorldModel, disagreement: Disagreement):
    self.spec = model.spec
    self._model, self._disagreement = model, disagreement

  def start(self, state: State) -> State:
    """Makes a state of this model of one of the WorldModel, [N, ...]."""
    return {'model': state, 'reward': tf.zeros([states.size(state)])}

  def particles(
    self, state: State, count: int, seed: Tensor | None = None
  ) -> State:
    """Commits `count` copies of each state to members evenly: [N P, ...]."""
    return {
      'model': self._model.particles(state['model'], count, seed),
      'reward': tf.repeat(state['reward'], count),
    }

  def spread(self, state: State) -> Tensor:
    """Returns the dynamics' disagreement about the step to each state, [...].

    It is that of their own members, not what is sought.
    """
    return self._model.spread(state['model'])

  def step(
    self, state: State, action: Tensor, seed: Tensor | None = None
  ) -> State:
    """Predicts one step: state [N, ...], action [N, A] -> state [N, ...]."""
    return {
      'model': self._model.step(state['model'], action, seed),
      'reward': self._disagreement(state['model'], action),
    }

  def imagine(
    self, state: State, action: Tensor, seed: Tensor | None = None
  ) -> State:
    """Predicts: state [N, ...], action [N, H, A] -> states [N, H, ...]."""
    found = self._model.imagine(state['model'], action, seed)
    first = states.apply(lambda value: value[:, None], state['model'])
    before = states.join(first, states.between(found, None, -1))
    reward = self._disagreement(states.flatten(before), states.flatten(action))
    return {
      'model': found,
      'reward': tf.reshape(reward, tf.shape(action)[:2]),
    }

  def reward(self, state: State) -> Tensor:
    """Returns the disagreement about the step to each state, [...]."""
    return state['reward']

  def discount(self, state: State) -> Tensor:
    """Returns the expected discount of each state, [...]."""
    return self._model.discount(state['model'])
