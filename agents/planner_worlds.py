"""Worlds whose best plan is known by hand, to check planners in.

Their actions are within [-1, 1] or one-hot. planner_checks.py is what is asked
in them. Each says what a whole sequence of actions earns, so that many plans
are made in a second, and what a single step does, for those who search.
"""

from typing import Any

import numpy as np
import tensorflow as tf

from worldmodels import states
from worldmodels.problem import Problem
from worldmodels.spec import Spec
from worldmodels.states import State
from worldmodels.states import Tensor

# Members of a batch, steps, and the size of an action (of choices: how many).
B, H, SIZE, CHOICES = 3, 3, 2, 4


class World:
  """Base of worlds; of `WorldModel` it offers what a `Problem` calls.

  Attributes:
    start: the states that plans start from, [B, ...].

  Args:
    discrete: whether actions are one-hot.
    start: states [B, ...], with what `reward` and `discount` look for.
  """

  def __init__(self, discrete: bool, start: State):
    size = CHOICES if discrete else SIZE
    self.spec = Spec(actions=size, discrete=discrete, image=None)
    self._discrete = discrete
    zeros = tf.zeros(tf.shape(tf.nest.flatten(start)[0])[:1])
    self.start = {'reward': zeros, 'discount': zeros + 1.0} | start

  def problem(self, horizon: int = H, **options: Any) -> 'Recorder':
    """Makes a problem that keeps what it is asked about."""
    return Recorder(self, self.start, horizon=horizon, **options)

  def reward(self, state: State) -> Tensor:
    """Returns what the step to each state earned."""
    return state['reward']

  def discount(self, state: State) -> Tensor:
    """Returns how much what comes after each state counts."""
    return state['discount']

  def side(self, action: Tensor) -> Tensor:
    """Returns which way an action [..., A] goes, from -1 to 1: [...]."""
    return action[..., 0] - action[..., 1] if self._discrete else action[..., 0]


class Goals(World):
  """Rewards actions that are near the goal of their step.

  Args:
    discrete: whether actions are one-hot.
    goals: [B, H, A].
  """

  def __init__(self, discrete: bool, goals: Tensor):
    super().__init__(discrete, {'goals': goals})

  def step(
    self, state: State, action: Tensor, seed: Tensor | None = None
  ) -> State:
    """Takes a step; the next goal is then the first."""
    del seed
    goals = state['goals']
    reward = self._worth(action, goals[:, 0])
    return dict(state, goals=tf.roll(goals, -1, 1), reward=reward)

  def imagine(
    self, state: State, action: Tensor, seed: Tensor | None = None
  ) -> State:
    """Takes the steps of a sequence."""
    del seed
    reward = self._worth(action, state['goals'])
    return {'reward': reward, 'discount': tf.ones_like(reward)}

  def particles(
    self, state: State, count: int, seed: Tensor | None = None
  ) -> State:
    """Commits states to two members; in the mean both have the goals."""
    del seed
    state = states.repeat(state, count)
    sign = 1.0 - 2.0 * tf.cast(tf.range(states.size(state)) % 2, tf.float32)
    apart = sign[:, None, None] * tf.one_hot(0, self.spec.actions)
    return dict(state, goals=state['goals'] + apart)

  def _worth(self, action: Tensor, goal: Tensor) -> Tensor:
    if self._discrete:
      return tf.reduce_sum(action * goal, -1)
    return -tf.reduce_sum(tf.square(action - goal), -1)


class Debt(World):
  """Rewards the first action, and takes back half as much more at the last.

  Args:
    discrete: whether actions are one-hot.
    going: the discount of every step of each member, [B].
  """

  def __init__(self, discrete: bool, going: Tensor):
    start = {'going': going, 'time': tf.zeros([B]), 'first': tf.zeros([B])}
    super().__init__(discrete, start)

  def step(
    self, state: State, action: Tensor, seed: Tensor | None = None
  ) -> State:
    """Takes a step; the first is remembered."""
    del seed
    time, now = state['time'], self.side(action)
    first = tf.where(time == 0, now, state['first'])
    return dict(
      state,
      time=time + 1,
      first=first,
      reward=tf.where(time == 0, now, tf.where(time == H - 1, -1.5 * first, 0)),
      discount=state['going'],
    )

  def imagine(
    self, state: State, action: Tensor, seed: Tensor | None = None
  ) -> State:
    """Takes the steps of a sequence."""
    del seed
    first = self.side(action[:, 0])
    reward = tf.stack([first, 0.0 * first, -1.5 * first], 1)
    discount = tf.repeat(state['going'][:, None], H, 1)
    return {'reward': reward, 'discount': discount}


class Idle(World):
  """Rewards nothing, and remembers the action for a value or an objective.

  Args:
    discrete: whether actions are one-hot.
    sign: which way is the right one of each member, [B].
  """

  def __init__(self, discrete: bool, sign: Tensor):
    action = tf.zeros([B, CHOICES if discrete else SIZE])
    super().__init__(discrete, {'sign': sign, 'action': action})

  def worth(self, state: State) -> Tensor:
    """Returns how far the action to each state went the right way."""
    return state['sign'] * self.side(state['action'])

  def step(
    self, state: State, action: Tensor, seed: Tensor | None = None
  ) -> State:
    """Takes a step."""
    del seed
    return dict(state, action=action)

  def imagine(
    self, state: State, action: Tensor, seed: Tensor | None = None
  ) -> State:
    """Takes the steps of a sequence."""
    del seed
    zeros = tf.zeros_like(action[..., 0])
    sign = tf.repeat(state['sign'][:, None], H, 1)
    return dict(reward=zeros, discount=zeros + 1.0, sign=sign, action=action)


class Recorder(Problem):
  """A problem that keeps the actions it is asked about; in a graph none.

  Attributes:
    asked: arrays [..., A].
  """

  def __init__(self, model: World, state: State, **options: Any):
    super().__init__(model, state, **options)
    self.asked = []

  def score(self, actions: Tensor, draw: Tensor | None = None) -> Tensor:
    """Returns what Problem.score does."""
    if tf.executing_eagerly():
      self.asked.append(np.array(actions))
    return super().score(actions, draw)

  def step(
    self, state: State, action: Tensor, seed: Tensor | None = None
  ) -> tuple[State, Tensor, Tensor]:
    """Returns what Problem.step does."""
    if tf.executing_eagerly():
      self.asked.append(np.array(action))
    return super().step(state, action, seed)


def optimum(discrete: bool) -> Tensor:
  """Returns the best plan of each member, [B, H, A]; no two are alike."""
  if discrete:
    return tf.one_hot([[3, 0, 1], [2, 1, 1], [0, 2, 3]], CHOICES)
  return tf.constant(
    [
      [[0.7, -0.1], [-0.4, 0.65], [0.2, 0.3]],
      [[-0.65, 0.5], [0.7, 0.0], [-0.2, -0.7]],
      [[0.1, -0.7], [-0.7, -0.3], [0.65, 0.6]],
    ]
  )
