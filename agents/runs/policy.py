"""Who acts in a control loop of the user's: an image in, an action out."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from worldmodels import states
from worldmodels.agents import objectives
from worldmodels.agents.learning_agent import LearningAgent
from worldmodels.agents.runs import inputs
from worldmodels.agents.runs import planning
from worldmodels.agents.runs.state_arrays import States


class Policy:
  """An agent that acts, with the state that it has come to.

  The first image after `reset`, or of all, begins an episode.

  Args:
    agent: whose policy it is.
    policy: the function of (observation, state, explore, seed).
    initial: of counts, which returns the state that it begins in.
    explore: with noise, as where episodes are collected.
    seed: of all that is random.
    objective: that it plans for, if it is not the reward.
  """

  def __init__(
    self,
    agent: LearningAgent,
    policy: Callable[..., Any],
    initial: Callable[..., Any],
    explore: bool,
    seed: int,
    objective: objectives.Objective | None = None,
  ):
    inputs.check_seed(seed)
    self._agent, self._policy, self._seed = agent, policy, seed
    self._initial = initial
    self._explore = tf.constant(bool(explore))
    self._objective = objective
    self.reset()

  def reset(self, seed: int | None = None) -> None:
    """Begins another episode.

    Args:
      seed: of all that is random from here on; None for the one before, with
        which the same is drawn again.
    """
    if seed is not None:
      inputs.check_seed(seed)
      self._seed = seed
    self._state: Any = None
    self._lead: tuple[int, ...] = ()
    self._steps = 0

  def __call__(
    self,
    image: npt.ArrayLike | None = None,
    vectors: Mapping[str, npt.ArrayLike] | None = None,
  ) -> np.ndarray:
    """Returns the action for what is seen now.

    Args:
      image: uint8 [h, w, c], or [B, h, w, c] of several episodes side by side;
        None if the task shows none.
      vectors: {key: [V]} or [B, V] of those that the model observes.

    Returns:
      float32 [A] or [B, A], within [-1, 1], or one-hot.

    Raises:
      InputError: an array is not what this run takes.
    """
    lead, observation = inputs.observation(
      self._agent.spec, image, vectors or {}
    )
    if self._state is None:
      self._lead = lead
      self._state = self._initial(*(lead or (1,)))
    inputs.check_lead('image', lead, self._lead)
    count = len(next(iter(observation.values())))
    observation['is_first'] = np.full(count, self._steps == 0)
    with planning.explained(self._objective):
      action, self._state = self._policy(
        states.tensors(observation),
        self._state,
        self._explore,
        tf.constant([self._seed, self._steps], tf.int32),
      )
    self._steps += 1
    action = action.numpy()
    return action if lead else action[0]

  @property
  def state(self) -> States:
    """The state of the model after the last image, to imagine from."""
    if self._state is None:
      raise inputs.InputError('no image has been seen in this episode')
    if self._agent.model is None:
      raise inputs.InputError(
        f'the agent {self._agent.name!r} has no world model, and so no state '
        'to imagine from'
      )
    return States(self._agent.model, self._state['model'], self._lead)
