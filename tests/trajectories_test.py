"""Particles and risks in the scores of plans: by hand, and of all planners."""

import sys

import numpy as np
import pytest
import tensorflow as tf
import worlds

from worldmodels import cores
from worldmodels import errors
from worldmodels import kinds
from worldmodels import states
from worldmodels.agents.planner import Planner
from worldmodels.dynamics import ensemble
from worldmodels.problem import Problem
from worldmodels.spec import Spec
from worldmodels.trajectories import Sampling

PACKAGE = 'worldmodels.agents.planners'
B, H = 2, 8
SEED, SEEDS = tf.constant([1, 2]), tf.constant([[1, 2], [3, 4]])


class Believers(worlds.World):
  """Two members; each believes that another thing comes of the actions.

  The reward of a step is `gain` times the action and, if that is positive, what
  the member believes: `belief` or its opposite. Of no member it is the mean.
  """

  def __init__(self, gain=0.5, belief=3.0, discrete=False):
    size = 2 if discrete else 1
    self.spec = Spec(actions=size, discrete=discrete, image=None)
    self._gain, self._belief = gain, belief

  def start(self, count=B):
    zeros = tf.zeros([count])
    return {'reward': zeros, 'member': zeros - 1, 'apart': zeros}

  def particles(self, state, count, seed=None):
    state = states.repeat(state, count)
    size = states.size(state)
    member = tf.range(size) % 2
    if seed is not None:  # Of two in a row, each is another one.
      flip = tf.random.stateless_uniform([(size + 1) // 2], seed) < 0.5
      member = (member + tf.repeat(tf.cast(flip, tf.int32), 2)[:size]) % 2
    return dict(state, member=tf.cast(member, tf.float32))

  def step(self, state, action, seed=None):
    del seed
    side = action[:, 0] - action[:, 1] if self.spec.discrete else action[:, 0]
    sign = tf.where(state['member'] < 0, 0.0, 2 * state['member'] - 1)
    bold = tf.nn.relu(side)
    return dict(
      state,
      reward=self._gain * side + self._belief * sign * bold,
      apart=self._belief * bold,
    )

  def spread(self, state):
    return state['apart']

  def reward(self, state):
    return state['reward']


def score(world=None, actions=None, draw=None, **options):
  world = world or Believers()
  if actions is None:
    actions = tf.constant([1.0, -1.0])[None, :, None, None] * tf.ones(
      [B, 2, H, 1]
    )
  problem = Problem(
    world, world.start(), horizon=H, sampling=Sampling(**options)
  )
  return problem.score(actions, draw).numpy()


# ------------------------------------------------------------------ scores ----


def test_the_mean_of_particles_is_what_one_of_no_member_gets():
  golden = [[0.5 * H, -0.5 * H]] * B
  np.testing.assert_allclose(score(), golden)
  for propagation in ('expectation', 'ts1', 'tsinf'):
    found = score(particles=4, propagation=propagation, seed=SEED)
    np.testing.assert_allclose(found, golden, atol=1e-5)


def test_kept_members_lie_as_far_apart_as_their_beliefs():
  """Each has belief * H or its opposite, and that is the deviation."""
  for risk, sign in (('optimism', 1), ('pessimism', -1)):
    found = score(
      particles=4, propagation='tsinf', risk=risk, weight=0.5, seed=SEED
    )
    golden = [[0.5 * H + sign * 0.5 * 3.0 * H, -0.5 * H]] * B
    np.testing.assert_allclose(found, golden, rtol=1e-5)


def test_members_that_change_at_every_step_are_like_noise():
  """A random walk: its deviation is belief * root of H."""
  found = (
    score(particles=2000, propagation='ts1', risk='optimism', seed=SEED)
    - score()
  )
  np.testing.assert_allclose(found[:, 0], 3.0 * H**0.5, rtol=0.1)
  np.testing.assert_allclose(found[:, 1], 0.0, atol=1e-4)


def test_disagreement_is_taken_off_the_reward_of_each_step():
  found = score(risk='disagreement', weight=0.25)
  np.testing.assert_allclose(found, [[(0.5 - 0.75) * H, -0.5 * H]] * B)


def test_particles_of_one_candidate_never_meet_anothers():
  random = np.random.default_rng(0)
  actions = tf.constant(random.uniform(-1, 1, [B, 3, H, 1]), tf.float32)
  options = dict(particles=2, propagation='tsinf', risk='pessimism')
  whole = score(actions=actions, **options)
  for n in range(3):
    alone = score(actions=actions[:, n : n + 1], **options)
    np.testing.assert_allclose(whole[:, n : n + 1], alone, rtol=1e-5)


def test_each_draw_has_members_of_its_own():
  options = dict(particles=3, propagation='tsinf', seed=SEED)
  found = [score(draw=draw, **options) for draw in range(8)]
  assert (
    np.ptp(found, 0)[:, 0].max() > 1.0
  )  # Two of three agree, or two others.
  np.testing.assert_array_equal(found[3], score(draw=3, **options))


@pytest.mark.parametrize('propagation', ['expectation', 'ts1', 'tsinf'])
def test_single_steps_are_judged_as_sequences_are(propagation):
  """As a search takes them: a state is that of all its particles."""
  world, random = Believers(), np.random.default_rng(0)
  options = dict(particles=4, propagation=propagation, risk='disagreement')
  problem = Problem(
    world,
    world.start(),
    horizon=H,
    gamma=0.9,
    value=lambda state: 7.0 + state['reward'],
    prior=lambda state: state['reward'][:, None],
    sampling=Sampling(seed=SEED, **options),
  )
  actions = tf.constant(random.uniform(-1, 1, [B, 1, H, 1]), tf.float32)
  state, golden, alive = problem.state, 0.0, 1.0
  assert state['reward'].shape == [B, 4]
  for step in range(H):
    state, reward, discount = problem.step(state, actions[:, 0, step])
    assert reward.shape == discount.shape == [B]
    golden += alive * reward
    alive *= discount
  assert problem.prior(state).shape == [B, 1]
  golden += alive * problem.value(state)
  np.testing.assert_allclose(problem.score(actions)[:, 0], golden, rtol=1e-4)


def test_a_gradient_comes_through_particles():
  world = Believers()
  sampling = Sampling(4, 'ts1', 'pessimism', 1.0, SEED)
  problem = Problem(world, world.start(), horizon=H, sampling=sampling)
  actions = tf.random.stateless_uniform([B, 3, H, 1], SEED, 0.1, 0.9)
  with tf.GradientTape() as tape:
    tape.watch(actions)
    found = problem.score(actions)
  assert np.abs(tape.gradient(found, actions)).max((2, 3)).min() > 0.01


@pytest.mark.parametrize(
  'options,message',
  [
    (dict(propagation='ts2'), "^propagation is 'ts2'; it is one of"),
    (dict(risk='none'), "^risk is 'none'; it is one of"),
    (dict(risk='pessimism'), '^particles is 1; pessimism needs at least 2'),
  ],
)
def test_what_cannot_be_is_named(options, message):
  with pytest.raises(errors.OptionError, match=message):
    Planner(Spec(actions=1), kind='cem', horizon=2, sample=False, **options)


# ---------------------------------------------------------- every planner ----

NAMES = kinds.names(PACKAGE, 'plan')
FEW = dict(iterations=4, candidates=48, elites=6)


def side_of(name, risk):
  """Which way the first action of a planner goes, [B]."""
  plan = kinds.find(PACKAGE, name, 'plan')
  discrete = getattr(sys.modules[plan.__module__], 'DISCRETE', False)
  world = Believers(discrete=discrete)
  made = Planner(
    world.spec,
    kind=name,
    horizon=1,
    sample=False,
    particles=2,
    propagation='tsinf',
    risk=risk,
    **kinds.named(plan, FEW),
  )
  first = tf.function(
    lambda: made.plan(world, world.start(), SEEDS).actions[:, 0]
  )
  action = first().numpy()
  return action[:, 0] - action[:, 1] if discrete else action[:, 0]


@pytest.mark.parametrize('name', NAMES)
def test_every_planner_plans_by_the_risk(name):
  """Members do not agree about what is bold."""
  assert (side_of(name, 'optimism') > 0.3).all()
  assert (side_of(name, 'pessimism') < 0.3).all()


class Members(worlds.World):
  """A model whose dynamics are those of an ensemble: the real ones, tiny."""

  def __init__(self, discrete=False):
    self.spec = Spec(actions=2, discrete=discrete, image=None)
    self.dynamics = ensemble.Dynamics(
      members=3, embed=2, actions=2, deter=4, stoch=2, hidden=6,
      activation='elu',
    )  # fmt: skip
    for name in ('particles', 'spread', 'step', 'imagine'):
      setattr(self, name, getattr(self.dynamics, name))

  def reward(self, state):
    return tf.reduce_sum(self.dynamics.features(state), -1)


@pytest.mark.parametrize('propagation', ['expectation', 'ts1', 'tsinf'])
def test_candidates_that_are_equal_score_equally_by_common_draws(
  propagation, monkeypatch
):
  """Their particles meet the same noise and are of the same members."""
  monkeypatch.setattr(cores, 'split', lambda count, least: [count // 2] * 2)
  world = Members()
  actions = tf.repeat(tf.random.stateless_normal([B, 1, 4, 2], SEED), 6, 1)

  def score(common):
    problem = Problem(
      world,
      world.dynamics.initial(B),
      horizon=4,
      seed=SEED,
      sampling=Sampling(
        particles=2, propagation=propagation, seed=SEED + 1, common=common
      ),
    )
    return problem.score(actions, tf.constant(3)).numpy()

  found = score(common=True)
  np.testing.assert_allclose(found, found[:, :1] + np.zeros(6), rtol=1e-5)
  assert abs(found[0, 0] - found[1, 0]) > 1e-3
  assert np.ptp(score(common=False), 1).min() > 1e-3


@pytest.mark.parametrize('name', NAMES)
def test_every_planner_plans_in_an_ensemble(name):
  plan = kinds.find(PACKAGE, name, 'plan')
  discrete = getattr(sys.modules[plan.__module__], 'DISCRETE', False)
  world = Members(discrete)
  made = Planner(
    world.spec,
    kind=name,
    horizon=3,
    sample=True,
    particles=3,
    propagation='tsinf',
    risk='disagreement',
    **kinds.named(plan, dict(iterations=2, candidates=8, elites=2)),
  )
  found = made.plan(world, world.dynamics.initial(B), SEEDS).actions
  assert found.shape == (B, 3, 2) and np.isfinite(found).all()


@pytest.mark.parametrize('risk,bold', [('mean', True), ('disagreement', False)])
def test_what_is_worth_it_in_the_mean_may_not_be_agreed_about(risk, bold):
  side = side_of('cem', risk)
  assert ((side > 0.3) == bold).all()
