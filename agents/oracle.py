"""Plans in the simulator itself: what a planner gets where its model is exact.

The oracle of a task: what it gets, beside what an agent with the same planner
gets, says whether the agent lacks a model. It learns nothing and has no critic.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import tensorflow as tf

from worldmodels import errors
from worldmodels.agents.planner import Planner
from worldmodels.known_model import KnownModel
from worldmodels.spec import Spec
from worldmodels.states import State
from worldmodels.states import Tensor
from worldmodels.world_model import Batch
from worldmodels.world_model import Options


class Simulator(Protocol):
  """A task in the middle of an episode, where actions can be tried."""

  def simulate(self, sequences: np.ndarray) -> None:
    """Starts to try actions [N, H, A]."""

  def simulated(self) -> tuple[np.ndarray, np.ndarray]:
    """Waits for their (rewards, discounts) [N, H]."""


class Model(KnownModel):
  """Simulators as a model: a state says which episode it is of.

  Args:
    spec: of the task.
    simulators: of B episodes side by side.
  """

  def __init__(self, spec: Spec, simulators: Sequence[Simulator]):
    super().__init__(_one_step, actions=spec.actions, discrete=spec.discrete)
    self._simulators = simulators

  def now(self, count: int | Tensor) -> State:
    """Returns the states of the first B episodes as they are, [B, ...]."""
    return self.start(tf.range(count))

  def imagine(
    self, state: State, action: Tensor, seed: Tensor | None = None
  ) -> State:
    """Tries actions [N, H, A] from states [N, ...]: states [N, H, ...]."""
    del seed  # It is what it is.
    episode, action = state['state'].numpy(), action.numpy()
    rows = [np.flatnonzero(episode == x) for x in range(len(self._simulators))]
    there = [pair for pair in zip(self._simulators, rows) if pair[1].size]
    for simulator, members in there:
      simulator.simulate(action[members])
    found = np.zeros([2, *action.shape[:2]], np.float32)
    for simulator, members in there:
      found[:, members] = simulator.simulated()
    return {
      'state': tf.repeat(state['state'][:, None], action.shape[1], 1),
      'reward': tf.constant(found[0]),
      'discount': tf.constant(found[1]),
    }


class Oracle:
  """Plans at every step in the simulators of the episodes it plays.

  Args:
    spec: of the task.
    planner: keyword values of `Planner`.
    simulators: the environments of the episodes, B of them.
  """

  def __init__(
    self, *, spec: Spec, planner: Options, simulators: Sequence[Simulator]
  ):
    self.spec = spec
    with errors.group('planner'):
      self.planner = Planner(spec, **planner)
    self._model = Model(spec, simulators)

  def initial(self, count: int | Tensor) -> State:
    """Returns the state of `policy` before the first step, [count, ...]."""
    action = tf.zeros([count, self.spec.actions])
    return {'action': action} | self.planner.initial(count)

  def policy(
    self, observation: Batch, state: State, explore: Tensor, seed: Tensor
  ) -> tuple[Tensor, State]:
    """Plans from where the episodes are: (actions [B, A], state)."""
    del explore
    seeds = tf.random.split(seed, 2)
    is_first = observation['is_first']
    now = self._model.now(tf.shape(is_first)[0])
    action, kept = self.planner.follow(
      state,
      is_first,
      lambda **warm: self.planner.plan(self._model, now, seeds, **warm).actions,
    )
    return action, {'action': action} | kept


def _one_step(state: Tensor, action: Tensor) -> tuple:
  """Refuses single steps: a simulator is put back after whole sequences."""
  del state, action
  raise errors.OptionError(
    'planner.kind',
    'takes single steps of the model; the simulator is asked about whole '
    'sequences of actions, as cem, icem, mppi and random_shooting do',
  )
