"""A trained run in a program of one's own: arrays in, arrays out.

Made by `worldmodels.load`. Images are uint8 as the task shows them, actions
float32 within [-1, 1] (of a choice one-hot, or its number), and the time rule
is that of all episodes here: action[t] led to image[t].

Without a seed a call gives the mean, with a seed one draw; who wants an
expectation averages over seeds.
"""

import contextlib
import functools
import logging
from collections.abc import Iterator, Mapping, Sequence

import keras
import ml_collections
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from worldmodels import states
from worldmodels.agents import goals
from worldmodels.agents import objectives
from worldmodels.agents.learning_agent import LearningAgent
from worldmodels.agents.runs import inputs
from worldmodels.agents.runs import model_needed
from worldmodels.agents.runs import planning
from worldmodels.agents.runs import restore
from worldmodels.agents.runs.policy import Policy
from worldmodels.agents.runs.recorded import Episodes
from worldmodels.agents.runs.run_directory import RunDirectory
from worldmodels.agents.runs.state_arrays import States
from worldmodels.problem import Plan
from worldmodels.spec import Spec
from worldmodels.world_model import WorldModel


class Run:
  """A trained run.

  Attributes:
    path: of its directory.
    config: as it was trained.
    spec: what its task shows and takes.
    counters: of the checkpoint: updates, and wall_seconds unless exported.
    agent: who acts, with its model.

  Args:
    directory: of the run.
    config: of it.
    spec: of its task.
    updates: of the checkpoint; None for the newest that is whole.
  """

  def __init__(
    self,
    directory: RunDirectory,
    config: ml_collections.ConfigDict,
    spec: Spec,
    updates: int | None,
  ):
    self.path = directory.path
    self.config = config
    self.spec = spec
    self.agent: LearningAgent
    with _float32():
      self.agent, self.counters = restore.agent(
        directory, config, spec, updates, _log
      )
    self._directory = directory
    self._planners = planning.Planners(self.agent, config)

  @property
  def model(self) -> WorldModel:
    """The world model, which maps tensors: worldmodels/world_model.py."""
    model_needed.check(
      self.config, self.path, '`policy` acts, and nothing observes or imagines'
    )
    return self.agent.model

  @property
  def updates(self) -> int:
    """Updates of the checkpoint."""
    return self.counters['updates']

  @functools.cached_property
  def episodes(self) -> Episodes:
    """The episodes that it was trained on, by index."""
    return Episodes(self._directory.episodes, _log)

  @functools.cached_property
  def heldout(self) -> Episodes:
    """Those that it was never trained on: random ones, then the policy's."""
    return Episodes(self._directory.heldout, _log)

  def observe(
    self,
    images: npt.ArrayLike | None,
    actions: npt.ArrayLike | None = None,
    *,
    vectors: Mapping[str, npt.ArrayLike] | None = None,
    state: States | None = None,
    every_step: bool = False,
    seed: int | None = None,
  ) -> States:
    """Filters what was seen; returns the state after the last image.

    Args:
      images: uint8 [T, h, w, c], or [B, T, h, w, c] of several at once; None
        if the task shows none.
      actions: [T, A], each of which led to its image (that of a first image
        counts for nothing), or the [T - 1, A] between the images; with B in
        front if the images have it. None for a first image alone.
      vectors: {key: [T, V]} of those that the model observes; others are left
        aside, so that an episode will do.
      state: that came before; None if the first image begins an episode.
      every_step: the states of all steps are returned, [T] or [B, T].
      seed: of draws; None for the means.

    Returns:
      States [] or [B].

    Raises:
      InputError: an array is not what this run takes.
    """
    if state is not None:
      self._check(state)
    lead, batch = inputs.batch(
      self.spec, images, actions, vectors or {}, begins=state is None
    )
    before = None
    if state is not None:
      inputs.check_lead('state', state.shape, lead)
      before = state.tensors
    found, _ = self.model.observe(states.tensors(batch), before, _seed(seed))
    if every_step:
      length = batch['action'].shape[1]
      return States(self.model, states.flatten(found), (*lead, length))
    return States(self.model, states.at(found, -1), lead)

  def imagine(
    self, state: States, actions: npt.ArrayLike, *, seed: int | None = None
  ) -> States:
    """Predicts what actions lead to, without images.

    Args:
      state: where they start, [...].
      actions: [..., H, A]; from a single state also [N, H, A], each from it.
      seed: of a draw; None for the mean.

    Returns:
      States [..., H], whose `image`, `reward` and `discount` are decoded when
      they are asked for.

    Raises:
      InputError: the actions are not what this run takes.
    """
    self._check(state)
    rank = len(state.shape) or None  # From one state, [H] or [N, H].
    action = inputs.actions(self.spec, actions, 'imagine', rank)
    lead = action.shape[:-2]
    start = state
    if not state.shape and lead:
      start = state[np.newaxis][np.zeros(int(np.prod(lead)), int)]
    else:
      inputs.check_lead('actions', lead, state.shape)
    flat = tf.constant(action.reshape(-1, *action.shape[-2:]))
    found = self.model.imagine(start.tensors, flat, _seed(seed))
    return States(self.model, states.flatten(found), (*lead, action.shape[-2]))

  def plan(
    self,
    state: States,
    *,
    objective: objectives.Objective | None = None,
    planner: planning.Choice | None = None,
    seed: int = 0,
  ) -> Plan:
    """Plans from states; the model alone is asked, no environment.

    Args:
      state: where plans start, [...].
      objective: function of (states, decoded) to reach in place of the reward:
        agents/objectives.py.
      planner: a kind such as `cem`, options such as dict(candidates=500), or a
        function `plan(problem, seed)`; what it leaves out is that of the run,
        else of the planner.
      seed: of the planner.

    Returns:
      a Plan of arrays: actions [..., H, A], value [...] or None, policy
      [..., A] or None.

    Raises:
      ConfigError: there is no such planner, or no such option of it.
      ObjectiveError: the objective raises, has another shape or is not finite.
    """
    self._check(state)
    found = self._planners.plan(state.tensors, planner, objective, seed)
    return Plan(
      *(
        None if x is None else x.reshape(state.shape + x.shape[1:])
        for x in found
      )
    )

  def policy(
    self,
    *,
    objective: objectives.Objective | None = None,
    planner: planning.Choice | None = None,
    explore: bool = False,
    seed: int = 0,
  ) -> Policy:
    """Returns who acts, for a control loop: an image in, an action out.

    Args:
      objective: as in `plan`; a planner then acts, also for a Dreamer.
      planner: as in `plan`; the same.
      explore: acts as where episodes are collected, with noise.
      seed: of all that is random.
    """
    if objective is None and planner is None:
      own = self._planners.own, self.agent.initial
      return Policy(self.agent, *own, explore, seed)
    made = self._planners.policy(planner, objective)
    return Policy(self.agent, *made, explore, seed, objective)

  def goal(
    self, image: npt.ArrayLike, distance: str = 'pixels'
  ) -> objectives.Objective:
    """Makes the objective to see an image; see goals.goal."""
    return goals.goal(self.model, np.asarray(image), distance)

  def linear(
    self, weights: Mapping[str, float | Sequence[float]]
  ) -> objectives.Objective:
    """Makes the objective of weighed vectors; see goals.linear."""
    return goals.linear(self.model, weights)

  def _check(self, state: States) -> None:
    """Raises InputError for what is no state of this run."""
    if not isinstance(state, States):
      raise inputs.InputError(
        f'the state is {type(state).__name__}: it is what observe or imagine '
        'returned'
      )
    if not state.is_of(self.model):
      raise inputs.InputError('the state is of another run, or load')

  def __repr__(self) -> str:
    return (
      f"Run('{self.path}': {self.config.agent.kind} on {self.config.task}, "
      f'{self.updates} updates)'
    )


@contextlib.contextmanager
def _float32() -> Iterator[None]:
  """Makes layers of float32, whatever Keras has been told to make."""
  policy, floats = keras.config.dtype_policy(), keras.config.floatx()
  keras.config.set_floatx('float32')
  keras.config.set_dtype_policy('float32')
  try:
    yield
  finally:
    keras.config.set_floatx(floats)
    keras.config.set_dtype_policy(policy)


def _seed(seed: int | None) -> tf.Tensor | None:
  if seed is None:
    return None
  inputs.check_seed(seed)
  return tf.constant([0, seed], tf.int32)


def _log(line: str) -> None:
  logging.getLogger('worldmodels').warning(line)
