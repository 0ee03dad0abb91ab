"""Dreamer: a world model, and behavior learned inside it.

Hafner et al. (2020), Dream to Control: Learning Behaviors by Latent
Imagination, algorithm 1; with the values of its config, DreamerV2 (2021) and
DreamerV3 (2023).
"""

from typing import Any

import keras
import tensorflow as tf

from worldmodels import errors
from worldmodels import imagination
from worldmodels import states
from worldmodels.agents import agent
from worldmodels.agents import diagnosis
from worldmodels.agents import learning_agent
from worldmodels.agents.exploration import Noise
from worldmodels.agents.learner import figures
from worldmodels.agents.learner import load_learner
from worldmodels.agents.planner import Planner
from worldmodels.problem import Plan
from worldmodels.spec import Spec
from worldmodels.states import State
from worldmodels.states import Tensor
from worldmodels.world_model import Batch
from worldmodels.world_model import Options

# What its draws fold into their seed; no draw of a score has these numbers.
_PROPOSALS, _TURN = -1, -2

ACTING = ('policy', 'planner')
EXPLORING = (*ACTING, 'both')
DREAMING = ('trained', 'averaged')


class Agent(agent.WorldModelAgent):
  """Learns from batches, and from imagined rollouts after each of them.

  Args:
    spec: of the task.
    model: keyword values of `WorldModel`.
    optimizer: of the model, keyword values of `Optimizer`.
    learner: {kind, and keyword values of that learner}.
    acting: policy or planner: who acts. The planner does so with the learner's
      proposals and value, if its group says so.
    exploring: who acts where episodes are collected: policy, planner, or both,
      one of them from a reset to the next, either as likely as the other.
    dreaming: trained or averaged: the weights of the model that behavior is
      learned in. Where averages are kept it is they that act.
    planner: keyword values of `Planner`, without gamma.
    exploration: deviation of `exploration.Noise`.
    exploration_color: of it.
    sample_states: states are drawn while acting; else the means.
  """

  def __init__(
    self,
    *,
    spec: Spec,
    model: Options,
    optimizer: Options,
    learner: Options,
    acting: str,
    planner: Options,
    exploration: float,
    sample_states: bool,
    exploring: str = 'policy',
    dreaming: str = 'trained',
    exploration_color: str = 'white',
  ):
    super().__init__(
      spec=spec,
      model=model,
      optimizer=optimizer,
      sample_states=sample_states,
      name='dreamer',
    )
    self.acting = errors.choose('acting', acting, ACTING)
    self.exploring = errors.choose('exploring', exploring, EXPLORING)
    errors.choose('dreaming', dreaming, DREAMING)
    self._averages = dreaming == 'averaged' and self.optimizer.keeps_average
    with errors.group('learner'):
      self.learner = load_learner(learner, self.model.features_size, spec)
    if acting == 'planner' or exploring != 'policy':
      with errors.group('planner'):
        self.planner = self.make_planner(**planner)
    self.noise = Noise(exploration, exploration_color, spec)
    self.built = True

  def make_planner(self, **options: Any) -> Planner:
    """Makes a planner for this agent, with the discount of its learner."""
    if options.get('replan', 1) != 1:
      raise errors.OptionError(
        'replan', f'is {options["replan"]}; dreamer plans at every step (1)'
      )
    return super().make_planner(gamma=self.learner.gamma, **options)

  @property
  def optimized(self) -> learning_agent.Optimized:
    """Pairs of a trained layer and its optimizer."""
    return [*super().optimized, *self.learner.optimized]

  @property
  def extra_variables(self) -> list[keras.Variable]:
    """Variables beside the optimized ones that a checkpoint has to hold."""
    return self.learner.extra_variables

  def initial(self, count: int | Tensor) -> State:
    """Returns the state of `policy` before the first step, [count, ...]."""
    kept = self.planner.initial(count) if self.planner else {}
    if self.exploring == 'both':
      kept |= {'plans': tf.zeros([count], tf.bool)}
    return super().initial(count) | kept | self.noise.initial(count)

  @tf.function(autograph=False)
  def train(self, batch: Batch, seed: Tensor) -> dict[str, Tensor]:
    """Does one update on a batch [B, T, ...]: {name: scalar}."""
    # Dynamics: learn the world model from what was seen.
    model, model_seed = self.model, tf.random.split(seed, 3)[0]
    metrics, posterior, made = self.train_model(batch, model_seed)
    # Behavior: imagine from states of the batch, and learn from that.
    if self._averages:
      model, posterior = self.averaged(batch, model_seed)
    found = self.learner.update(model, batch, posterior, seed, enabled=made)
    return metrics | figures(found)

  @tf.function(autograph=False)
  def policy(
    self, observation: Batch, state: State, explore: Tensor, seed: Tensor
  ) -> tuple[Tensor, State]:
    """Filters the new image, then acts; see the base class."""
    seeds = tf.random.split(seed, 4)
    posterior = self.filter(observation, state, seeds[0])
    features = self.model.features(posterior)
    warm = {}
    if self.planner:
      warm = self.planner.warm(state, observation['is_first'])

    def planned() -> tuple[Tensor, State]:
      plan = self.plan(posterior, seeds[1:3], **warm).actions
      return plan[:, 0], self.planner.kept(plan)

    def learned(action: Tensor) -> tuple[Tensor, State]:
      # Nothing was planned: what was before is a step older.
      return action, self.planner.kept(warm['start']) if warm else {}

    turn = {}
    if self.exploring == 'both':
      turn = {'plans': self._turn(state['plans'], observation, seeds[0])}

    def explored() -> tuple[Tensor, State]:
      if self.exploring == 'planner':
        action, kept = planned()
      else:
        action, kept = learned(self.learner.act(features, seeds[2]))
      if turn:
        action, kept = tf.cond(
          tf.reduce_any(turn['plans']),
          lambda: _instead(planned(), action, turn['plans']),
          lambda: (action, kept),
        )
      noisy, noise = self.noise.add(
        action, state, observation['is_first'], seeds[3]
      )
      return noisy, kept | noise

    def done() -> tuple[Tensor, State]:
      if self.acting == 'planner':
        action, kept = planned()
      else:
        act = self.learner.act(features, seeds[1], explore=False)
        action, kept = learned(act)
      return action, kept | self.noise.kept(state)

    action, kept = tf.cond(explore, explored, done)
    return action, {'action': action, 'model': posterior} | kept | turn

  def _turn(self, before: Tensor, observation: Batch, seed: Tensor) -> Tensor:
    """Returns whose members plan in this episode: bool [B]."""
    seed = tf.random.experimental.stateless_fold_in(seed, _TURN)
    drawn = tf.random.stateless_uniform(tf.shape(before), seed) < 0.5
    return tf.where(observation['is_first'], drawn, before)

  def plan(
    self, state: State, seeds: Tensor, start: Tensor | None = None
  ) -> Plan:
    """Plans from states of the model [B, ...]; seeds int32 [2, 2].

    Args:
      state: of the model.
      seeds: of the imagined states and of the planner.
      start: actions [B, H, A] to start from; None for zeros.
    """
    planner = self.planner
    value = proposals = None
    if planner.value:
      value = self._value
    if planner.proposals:
      proposals = self._propose(
        state, tf.random.experimental.stateless_fold_in(seeds[0], _PROPOSALS)
      )
    return planner.plan(
      self.model,
      state,
      seeds,
      value=value,
      prior=self._prior,
      proposals=proposals,
      start=start,
    )

  def diagnose(
    self, batch: Batch, context: int, seed: Tensor
  ) -> tuple[dict[str, Tensor], State | None]:
    """Compares behavior and model with the world: see `diagnosis`."""
    if self.acting == 'planner':
      # Planned episodes say nothing about the learner.
      return {}, None
    return diagnosis.diagnose(self.model, self.learner, batch, context, seed)

  def _value(self, state: State) -> Tensor:
    """Returns the learner's value of states [N, ...]: [N]."""
    return self.learner.value(self.model.features(state))

  def _prior(self, state: State) -> Tensor:
    """Returns the learner's prior in states [N, ...]: [N, A]."""
    return self.learner.prior(self.model.features(state))

  def _propose(self, state: State, seed: Tensor) -> Tensor:
    """Draws sequences of the learner from states [B, ...]: [B, M, H, A]."""
    count, horizon = self.planner.proposals, self.planner.horizon

    def act(features: Tensor, seed: Tensor) -> tuple[Tensor, Tensor]:
      action = self.learner.act(features, seed)
      return action, action

    rollout = imagination.rollout(
      self.model, act, states.repeat(state, count), horizon, seed
    )
    return tf.reshape(rollout.action, [-1, count, horizon, self.spec.actions])


def _instead(
  planned: tuple[Tensor, State], action: Tensor, plans: Tensor
) -> tuple[Tensor, State]:
  """Takes what was planned for those members that plan, [B]."""
  chosen, kept = planned
  return tf.where(plans[:, None], chosen, action), kept
