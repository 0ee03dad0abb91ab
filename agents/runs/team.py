"""Who does the updates of a run: one learner, or several that act as one.

Several devices of a machine are replicas of one process (MirroredStrategy). Of
several processes, on one machine or many, each has a share of the batch
(MultiWorkerMirroredStrategy). What an update does on each replica is the
update of one learner, see worldmodels/replicas.py.
"""

import contextlib
import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import keras
import ml_collections
import numpy as np
import tensorflow as tf

from worldmodels import states
from worldmodels.agents.runs import team_place
from worldmodels.data.store import Store
from worldmodels.spec import Spec
from worldmodels.states import Tensor

if TYPE_CHECKING:
  from worldmodels.agents.learning_agent import LearningAgent

Batch = dict[str, np.ndarray]
Update = Callable[[Batch, Tensor], dict[str, Tensor]]


class Alone:
  """One learner.

  Attributes:
    leads: whether this process is the one that writes.
    count: of replicas.
    fixed: whether all updates of a stretch are from the episodes that there
      were at its beginning: other processes do not see those that come.
  """

  leads, count, fixed = True, 1, False

  def devices(self) -> list[str]:
    """Names what TensorFlow computes on."""
    listed = map(tf.config.list_logical_devices, ('GPU', 'CPU'))
    return [device.name for device in next(filter(None, listed))]

  def scope(self) -> contextlib.AbstractContextManager:
    """Returns the scope in which agents that learn are made."""
    return contextlib.nullcontext()

  def rows(self, batch: int) -> slice:
    """Returns which rows of a batch of so many this process learns from."""
    return slice(0, batch)

  def update_of(self, agent: 'LearningAgent') -> Update:
    """Returns the function that does an update on those rows."""
    return lambda batch, seed: agent.train(states.tensors(batch), seed)

  def copies(self, variable: keras.Variable) -> Sequence[tf.Variable]:
    """Returns the copies of a variable that this process has."""
    return [variable.value]

  def lead(self, config: ml_collections.ConfigDict, spec: Spec) -> None:
    """Tells the other processes of a run what it is."""

  def begin(
    self,
    updates: int,
    until: int,
    store: Store,
    limit: int | None,
    variables: Sequence[keras.Variable],
  ) -> None:
    """Tells them of the next updates, see `Learning.learn`.

    Args:
      updates: that have been done.
      until: how many there are to be.
      store: of the episodes to learn from.
      limit: how many of the episodes, from the first, may be learned from.
      variables: of who learns.
    """

  def end(self) -> None:
    """Tells them that there is nothing more to learn."""

  def explained(self) -> contextlib.AbstractContextManager:
    """Returns a context in which the end of another process is one line."""
    return contextlib.nullcontext()


class Mirrored(Alone):
  """Several replicas in this process, each on a device.

  Args:
    count: of replicas.

  Raises:
    PlaceError: there are not so many devices.
  """

  def __init__(self, count: int):
    kind = 'GPU' if tf.config.list_physical_devices('GPU') else 'CPU'
    devices = tf.config.list_logical_devices(kind)[:count]
    if len(devices) < count:
      raise team_place.PlaceError(
        f'--learners={count}, but TensorFlow finds {len(devices)} {kind} here'
      )
    self._set(tf.distribute.MirroredStrategy(devices), count, count, 0)

  def _set(
    self, strategy: tf.distribute.Strategy, count: int, local: int, first: int
  ) -> None:
    """Sets the strategy, and which of its replicas are of this process."""
    self._strategy, self.count = strategy, count
    self._local, self._first = local, first

  def scope(self) -> contextlib.AbstractContextManager:
    """Returns the scope in which agents that learn are made."""
    return self._strategy.scope()

  def devices(self) -> list[str]:
    """Names what TensorFlow computes on."""
    here = self._strategy.extended.worker_devices
    return [f'{self.count} learners', *here]

  def rows(self, batch: int) -> slice:
    """Returns which rows of a batch of so many this process learns from."""
    each = batch // self.count
    return slice(self._first * each, (self._first + self._local) * each)

  def update_of(self, agent: 'LearningAgent') -> Update:
    """Returns the function that does an update on those rows."""
    # Inside of a function of its own replicas could not meet.
    train = type(agent).train
    train = getattr(train, 'python_function', train)
    update = functools.partial(train, agent)

    @tf.function(autograph=False)
    def step(shares: dict[str, Tensor], seed: Tensor) -> dict[str, Tensor]:
      found = self._strategy.run(update, (shares, seed))
      return {key: self._local_results(x)[0] for key, x in found.items()}

    return lambda batch, seed: step(self._shared(batch), seed)

  def copies(self, variable: keras.Variable) -> Sequence[tf.Variable]:
    """Returns the copies of a variable that this process has."""
    return self._local_results(variable.value)

  def _local_results(self, value: object) -> Sequence:
    return self._strategy.experimental_local_results(value)

  def _shared(self, batch: Batch) -> dict[str, Tensor]:
    """Gives each replica of this process its rows of a batch."""
    if self._local == 1:
      return states.tensors(batch)

    def of(
      context: tf.distribute.experimental.ValueContext,
    ) -> dict[str, Tensor]:
      place = int(context.replica_id_in_sync_group) - self._first
      return {
        key: tf.convert_to_tensor(np.split(value, self._local)[place])
        for key, value in batch.items()
      }

    return self._strategy.experimental_distribute_values_from_function(of)
