"""Adam with a clipped global norm that survives a bad batch.

Beside the trained weights it keeps, if asked to, a running average of them
(Polyak and Juditsky, 1992): from one update to the next a world model swings
about what it has learned, and acting with the latest weights is noisier.

A single NaN in one gradient makes, through the global norm, every weight NaN.
So an update whose norm is not finite is skipped and counted.
"""

from collections.abc import Sequence

import keras
import tensorflow as tf

from worldmodels import errors
from worldmodels import replicas
from worldmodels.states import Tensor


class Optimizer(keras.layers.Layer):
  """Adam over a fixed list of variables.

  Args:
    variables: every variable that is trained.
    rate: learning rate.
    epsilon: of Adam.
    clip: largest global norm of the gradient; longer ones are shortened.
    warmup: updates over which the rate rises linearly from 0.
    average: decay of the running average, which forgets after about
      1 / (1 - decay) updates; 0 keeps none.
  """

  def __init__(
    self,
    variables: Sequence[keras.Variable],
    *,
    rate: float,
    epsilon: float,
    clip: float,
    warmup: int = 0,
    average: float = 0.0,
    name: str,
  ):
    super().__init__(name=name)
    self._targets = list(variables)
    self._clip = clip
    if warmup:
      rate = keras.optimizers.schedules.PolynomialDecay(
        rate / warmup, warmup, rate
      )
    # Named, or the names of its slots would count the optimizers of a process.
    self._adam = keras.optimizers.Adam(rate, epsilon=epsilon, name='adam')
    self._adam.build(self._targets)
    if not 0.0 <= average < 1.0:
      raise errors.OptionError(
        'average', f'is {average}; it is a decay from 0 to below 1'
      )
    self._decay = average
    self._averages = [
      self.add_weight(
        shape=target.shape,
        dtype=target.dtype,
        trainable=False,
        initializer='zeros',
        name=f'average_{target.path.replace("/", ".")}',
      )
      for target in (self._targets if average else ())
    ]
    for mean, target in zip(self._averages, self._targets):
      mean.assign(target)
    self.skipped = self.add_weight(
      shape=(),
      dtype='int32',
      initializer='zeros',
      trainable=False,
      name='skipped',
    )
    # How many of the last updates in a row were skipped.
    self.skipped_run = self.add_weight(
      shape=(),
      dtype='int32',
      initializer='zeros',
      trainable=False,
      name='skipped_run',
    )
    self.built = True

  @property
  def slots(self) -> list[keras.Variable]:
    """Variables to be kept with the trained ones in a checkpoint."""
    return (
      list(self._adam.variables)
      + self._averages
      + [self.skipped, self.skipped_run]
    )

  @property
  def keeps_average(self) -> bool:
    """Whether there are averages beside the variables."""
    return bool(self._averages)

  @property
  def averages(self) -> list[keras.Variable]:
    """The averages of the variables; themselves where none are kept."""
    return self._averages or self._targets

  def minimize(
    self, loss: Tensor, tape: tf.GradientTape, enabled: Tensor | bool = True
  ) -> Tensor:
    """Applies the gradient of the scalar `loss`; returns its global norm.

    Args:
      loss: scalar.
      tape: that recorded it.
      enabled: bool scalar; where false nothing is changed and nothing counted.
    """
    gradients = tape.gradient(loss, [v.value for v in self._targets])
    # Of the common batch: first the mean over replicas, then the norm.
    loss, *gradients = replicas.mean([loss, *gradients])
    gradients, norm = tf.clip_by_global_norm(gradients, self._clip)
    finite = tf.math.is_finite(norm) & tf.math.is_finite(loss)

    def apply() -> int:
      self._step(gradients)
      self._update_averages()
      self.skipped_run.assign(0)
      return 0

    def skip() -> int:
      missed = tf.cast(enabled, tf.int32)
      self.skipped.assign_add(missed)
      self.skipped_run.assign_add(missed)
      return 0

    tf.cond(finite & enabled, apply, skip)
    return norm

  def _step(self, gradients: Sequence[Tensor | None]) -> None:
    """Does a step of Adam, to the bit as Keras does.

    `apply` of Keras would sum the gradients of replicas once more, and finds
    anew for each variable what all share: a tenth of the time in which an
    update is built. Each replica has copies of its own.
    """
    adam = self._adam
    count = tf.cast(replicas.own(adam.iterations) + 1, tf.float32)
    rate = tf.cast(adam.learning_rate, tf.float32)
    rate = rate * tf.sqrt(1.0 - adam.beta_2**count) / (1.0 - adam.beta_1**count)
    slots = zip(adam._momentums, adam._velocities)
    for gradient, target, (mean, square) in zip(
      gradients, self._targets, slots
    ):
      if gradient is None:
        continue
      mean, square = replicas.own(mean), replicas.own(square)
      mean.assign_add((gradient - mean) * (1.0 - adam.beta_1))
      square.assign_add((tf.square(gradient) - square) * (1.0 - adam.beta_2))
      replicas.own(target).assign_sub(
        mean * rate / (tf.sqrt(square) + adam.epsilon)
      )
    replicas.own(adam.iterations).assign_add(1)

  def _update_averages(self) -> None:
    """Moves the averages towards the variables, fast at first."""
    count = tf.cast(self._adam.iterations, tf.float32)
    # As tf.train.ExponentialMovingAverage: the first weights are soon gone.
    pull = 1.0 - tf.minimum(self._decay, (1.0 + count) / (10.0 + count))
    for mean, target in zip(self._averages, self._targets):
      mean.assign_add(tf.cast(pull, mean.dtype) * (target.value - mean.value))
