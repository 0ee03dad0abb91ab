"""The task `exam`: fixed plans refuse it, whoever looks first accepts it.

The model is exact: nothing is to be learned of it, and what a planner or an
actor does follows from how it chooses. Plans are made by the planners of the
package, and the actor is learned by the learner of Dreamer.
"""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from worldmodels.agents.learner import load_learner
from worldmodels.agents.planner import Planner
from worldmodels.agents.runs import build
from worldmodels.configs import dreamer
from worldmodels.data import environments
from worldmodels.data.tasks import exam
from worldmodels.problem import Problem
from worldmodels.spec import Spec

N = exam.QUESTIONS
SPEC = Spec(actions=N, discrete=True, image=None, vectors={'phase': 3})
SEEDS = range(40)
PLANNING = tf.constant([[1, 2], [3, 4]])


@pytest.fixture(scope='module')
def env():
  return environments.make('exam', 0, vectors=['phase', 'question'])


def play(env, seed, choose):
  """The return of an episode; `choose` is a function of what is seen."""
  timestep, total = env.reset(seed), 0.0
  while not timestep.last():
    timestep = env.step(np.eye(N, dtype=np.float32)[choose(timestep)])
    total += timestep.reward
  return total


def fixed(env, seed, sequence):
  steps = iter(sequence)
  return play(env, seed, lambda _: next(steps))


def test_the_best_fixed_sequence_refuses(env):
  worth = {
    sequence: np.mean([fixed(env, seed, sequence) for seed in SEEDS])
    for sequence in itertools.product(range(N), repeat=2)
  }
  for sequence, mean in worth.items():
    if sequence[0] == exam.REFUSE:
      assert mean == 0.0
    else:
      assert -0.9 < mean < -0.1, sequence
  # Of all questions together, which are equally likely: a quarter is right.
  answered = [worth[1, answer] for answer in range(N)]
  assert np.mean(answered) == pytest.approx(-0.5)


def test_who_looks_at_the_picture_first_gets_all_of_them_right(env):
  """The lit quarter is where the image is brightest."""

  def look(timestep):
    image = timestep.observation['image'].astype(int)
    quarters = image.reshape(2, 32, 2, 32, 3).mean((1, 3, 4)).ravel()
    shown = np.ptp(quarters) > 10
    asked = timestep.observation['question'].any()
    assert shown == asked
    return int(quarters.argmax()) if shown else 1

  assert [play(env, seed, look) for seed in SEEDS] == [1.0] * len(SEEDS)
  blind = [play(env, seed, lambda _: 1) for seed in SEEDS]
  assert {*blind} == {-1.0, 1.0}


def test_what_is_seen_at_the_end_says_how_it_went(env):
  images = {}
  for choices in ((0,), (1, 0), (1, 1)):
    timestep = env.reset(0)
    for choice in choices:
      timestep = env.step(np.eye(N, dtype=np.float32)[choice])
    assert timestep.last() and timestep.discount == 0.0
    np.testing.assert_array_equal(timestep.observation['phase'], [0, 0, 1])
    assert not timestep.observation['question'].any()
    images[timestep.reward] = timestep.observation['image']
  assert len({image.tobytes() for image in images.values()}) == len(images) > 1


# ---------------------------------------------------------- an exact model ---


class Model:
  """The exam itself: `step` draws the question, or believes in all alike.

  With a seed a question is drawn. Without one the state is the belief of who
  has not looked yet: each question is as likely as the others, and the reward
  is the expected one.
  """

  spec = SPEC

  def start(self, count, phase=0, question=None):
    shown = tf.zeros([count, N])
    if question is not None:
      shown = tf.one_hot(question, N)
    phase = tf.repeat(tf.one_hot([phase], 3), count, 0)
    zeros = tf.zeros([count])
    return dict(phase=phase, shown=shown, reward=zeros, discount=zeros + 1)

  def step(self, state, action, seed=None):
    offered, asked, _ = tf.unstack(state['phase'], axis=-1)
    right = tf.reduce_sum(action * state['shown'], -1)
    going = offered * (1.0 - action[:, exam.REFUSE])
    drawn = tf.fill(tf.shape(action), 1.0 / N)
    if seed is not None:
      count = tf.shape(action)[:1]
      number = tf.random.stateless_uniform(count, seed, 0, N, tf.int32)
      drawn = tf.one_hot(number, N)
    return dict(
      phase=tf.stack([0.0 * going, going, 1.0 - going], -1),
      shown=drawn * going[:, None],
      reward=asked * (2.0 * right - 1.0),
      discount=going,
    )

  def imagine(self, state, action, seed=None):
    steps = []
    for index in range(action.shape[1]):
      state = self.step(state, action[:, index], seed)
      steps.append(state)
    return {key: tf.stack([x[key] for x in steps], 1) for key in state}

  def reward(self, state):
    return state['reward']

  def discount(self, state):
    return state['discount']

  def features(self, state):
    return tf.concat([state['phase'], state['shown']], -1)


def planner(horizon, **options):
  return Planner(
    SPEC,
    kind='categorical_cem',
    horizon=horizon,
    sample=False,
    iterations=4,
    candidates=64,
    elites=8,
    **options,
  )


def as_state(timestep):
  """The exact state of what is seen."""
  observation = timestep.observation
  state = Model().start(1)
  state['phase'] = tf.constant(observation['phase'][None])
  state['shown'] = tf.constant(observation['question'][None])
  return state


def test_a_planner_that_commits_to_its_first_plan_refuses(env):
  plan = planner(2).plan(Model(), Model().start(1), PLANNING)
  first, *rest = plan.actions[0].numpy().argmax(-1)
  assert first == exam.REFUSE
  returns = [fixed(env, seed, (first, *rest)) for seed in SEEDS]
  assert returns == [0.0] * len(SEEDS)
  # It knows what accepting is worth to it, and that it is not worth it.
  actions = tf.one_hot([[[[1, 2], [0, 2]]]][0], N)
  score = Problem(Model(), Model().start(1), horizon=2).score(actions)
  np.testing.assert_allclose(score[0], [-0.5, 0.0], atol=1e-6)


def test_planning_anew_at_each_step_does_not_help_by_itself(env):
  """The plan at the first step is a fixed sequence all the same."""
  made = planner(2)

  def choose(timestep):
    plan = made.plan(Model(), as_state(timestep), PLANNING)
    return int(plan.actions[0, 0].numpy().argmax())

  assert [play(env, seed, choose) for seed in SEEDS[:4]] == [0.0] * 4
  # Once it is asked, the same planner answers.
  timestep = env.reset(3)
  timestep = env.step(np.eye(N, dtype=np.float32)[1])
  assert env.step(np.eye(N, dtype=np.float32)[choose(timestep)]).reward == 1.0


def test_a_planner_accepts_that_counts_the_value_of_seeing(env):
  """Horizon 1, and what a policy gets of a question that it sees: 1."""
  made = planner(1, value=True)

  def choose(timestep):
    plan = made.plan(
      Model(),
      as_state(timestep),
      PLANNING,
      value=lambda state: state['phase'][..., 1],
    )
    return int(plan.actions[0, 0].numpy().argmax())

  assert [play(env, seed, choose) for seed in SEEDS[:8]] == [1.0] * 8


def test_an_actor_that_is_learned_in_the_model_accepts_and_answers(env):
  config = dreamer.get_config('debug')
  config.learner.update(
    horizon=2, starts=0, gamma=0.99, gradient='reinforce', entropy=1e-3
  )
  config.learner.actor.optimizer.update(rate=0.01, average=0.0)
  config.learner.critic.optimizer.update(rate=0.01)
  options = build.chosen(config, SPEC).learner.to_dict()
  keras.utils.set_random_seed(0)
  learner = load_learner(options, 3 + N, SPEC)
  model, count = Model(), 64
  start = tf.nest.map_structure(
    lambda *parts: tf.concat(parts, 0)[None],
    model.start(count),
    model.start(count, 1, tf.range(count) % N),
  )
  ones = tf.ones([1, 2 * count])
  batch = {'mask': ones, 'discount': ones}
  update = tf.function(
    lambda number: learner.update(model, batch, start, tf.stack([7, number]))
  )
  for number in range(150):
    update(tf.constant(number))

  def choose(timestep):
    features = model.features(as_state(timestep))
    action = learner.act(features, tf.constant([0, 0]), explore=False)
    return int(action[0].numpy().argmax())

  assert [play(env, seed, choose) for seed in SEEDS] == [1.0] * len(SEEDS)
