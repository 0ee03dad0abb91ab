import keras
import numpy as np
import pytest
import tensorflow as tf
from dynamics_test import SEED
from dynamics_test import A
from dynamics_test import B
from dynamics_test import E
from dynamics_test import T
from dynamics_test import assert_same
from dynamics_test import inputs
from dynamics_test import make
from dynamics_test import observe
from dynamics_test import state_of

from worldmodels import kinds
from worldmodels import latent_dynamics
from worldmodels import nets
from worldmodels import problem
from worldmodels import states
from worldmodels.spec import Spec
from worldmodels.world_model import WorldModel


class Leaky(latent_dynamics.Dynamics):
  """A place that leaks, is pushed by actions and corrected by what is seen.

  As much as a user has to write: states are nested, and there is no loop.
  """

  def __init__(self, *, embed, actions, size=3, leak=0.8):
    super().__init__(name='dynamics')
    self.features_size, self._leak = size, leak
    self._push = nets.dense(size, actions, name='push')
    self._look = nets.dense(size, embed, name='look')
    self.built = True

  def initial(self, count):
    zeros = tf.zeros([count, self.features_size])
    return {'place': zeros, 'from': {'mean': zeros}}

  def features(self, state):
    return state['place']

  def observe_step(self, state, embed, action, is_first, seed=None):
    keep = 1.0 - tf.cast(is_first, tf.float32)[:, None]
    prior = self.step(
      {'place': state['place'] * keep, 'from': state['from']},
      action * keep,
      seed,
    )
    return self._draw(prior['from']['mean'] + self._look(embed), seed), prior

  def step(self, state, action, seed=None):
    return self._draw(self._leak * state['place'] + self._push(action), seed)

  def divergence(self, posterior, prior):
    distance = posterior['from']['mean'] - prior['from']['mean']
    return 0.5 * tf.reduce_sum(tf.square(distance), -1)

  def _draw(self, mean, seed):
    noise = 0.0
    if seed is not None:
      noise = tf.random.stateless_normal(tf.shape(mean), seed)
    return {'place': mean + noise, 'from': {'mean': mean}}


# ------------------------------------------------- the loops of the base ----

RSSMS = [
  'rssm',
  'rssm with layer norm',
  'rssm that draws nothing',
  'rssm without recurrence',
  'rssm of categoricals',
]


@pytest.mark.parametrize('name', RSSMS)
def test_the_loops_of_the_base_are_those_that_are_faster(name):
  made, chunk = make(name), inputs()
  chunk['is_first'][1, 3] = True
  chunk = {key: tf.constant(value) for key, value in chunk.items()}
  state, base = state_of(made), latent_dynamics.Dynamics
  assert type(made).observe is not base.observe
  assert type(made).imagine is not base.imagine
  assert_same(base.observe(made, **chunk), made.observe(**chunk))
  assert_same(
    base.observe(made, **chunk, state=state),
    made.observe(**chunk, state=state),
  )
  assert_same(
    base.imagine(made, state, chunk['action']),
    made.imagine(state, chunk['action']),
  )


@pytest.mark.parametrize('seed', [None, SEED])
def test_the_loops_of_the_base_hand_on_state_and_inputs(seed):
  """By hand: place = 0.5 place + action, then the embedding is added."""
  made = Leaky(embed=2, actions=2, size=2, leak=0.5)
  for variable in made.variables:
    identity = np.eye(2) if 'kernel' in variable.path else np.zeros(2)
    variable.assign(identity)
  embed = np.array([[[1, 0], [0, 10], [2, 0]], [[4, 0], [0, 8], [0, 2]]], 'f')
  action = np.array([[[9, 9], [2, 0], [0, 4]], [[9, 9], [1, 1], [1, 1]]], 'f')
  first = np.array([[1, 0, 0], [1, 0, 1]], bool)
  posterior, prior = made.observe(
    *map(tf.constant, (embed, action, first)), seed=seed
  )
  if seed is None:
    np.testing.assert_allclose(
      prior['place'], [[[0, 0], [2.5, 0], [1.25, 9]], [[0, 0], [3, 1], [0, 0]]]
    )
    np.testing.assert_allclose(
      posterior['place'],
      [[[1, 0], [2.5, 10], [3.25, 9]], [[4, 0], [3, 9], [0, 2]]],
    )
    start = states.at(posterior, -1)
    found = made.imagine(start, tf.constant(action[:, 1:]))
    np.testing.assert_allclose(
      found['place'], [[[3.625, 4.5], [1.8125, 6.25]], [[1, 2], [1.5, 2]]]
    )
    return
  # Each mean is made of the place that was drawn before it.
  place, mean = posterior['place'].numpy(), posterior['from']['mean'].numpy()
  golden = 0.5 * place[0, :2] + action[0, 1:] + embed[0, 1:]
  np.testing.assert_allclose(mean[0, 1:], golden, rtol=1e-5)
  noise = (place - mean).ravel()
  assert len(np.unique(np.round(noise, 5))) == noise.size


def test_the_noise_of_the_loops_is_normal_and_of_each_step():
  made = make('latent_dynamics_test:Leaky')
  chunk = inputs(40, 30)
  posterior, prior = observe(made, chunk, seed=SEED)
  action = tf.constant(chunk['action'])
  imagined = made.imagine(made.initial(40), action, SEED)
  for found in (posterior, prior, imagined):
    noise = (found['place'] - found['from']['mean']).numpy()
    assert abs(noise.mean()) < 0.08
    assert noise.std() == pytest.approx(1, abs=0.08)
    assert len(np.unique(np.round(noise, 4))) > 0.9 * noise.size
    # No step has the noise of the one before.
    before, after = noise[:, :-1].ravel(), noise[:, 1:].ravel()
    assert abs(np.corrcoef(before, after)[0, 1]) < 0.08


def test_what_a_kind_has_to_define_is_not_there_else():
  base = latent_dynamics.Dynamics()
  for call in (
    lambda: base.initial(1),
    lambda: base.features({}),
    lambda: base.observe_step({}, None, None, None),
    lambda: base.step({}, None),
    lambda: base.divergence({}, {}),
  ):
    with pytest.raises(NotImplementedError):
      call()


def test_one_model_does_not_disagree_with_itself():
  made = make('latent_dynamics_test:Leaky')
  found = made.disagreement(state_of(made), tf.zeros([B, A]))
  np.testing.assert_array_equal(found, np.zeros(B))


# ------------------------------------------------------- in a world model ----


def test_dynamics_of_the_users_are_learned_and_planned_with():
  """All that a world model does, without a word about what is in a state."""
  keras.utils.set_random_seed(0)
  model = WorldModel(
    spec=Spec(actions=A, image=None, vectors={'seen': E}),
    encoder=dict(vector_units=6),
    dynamics=dict(kind='latent_dynamics_test:Leaky', size=4, deter=200),
    heads={
      'reward': dict(kind='normal', scale=1.0, units=6, layers=1),
      'seen': dict(kind='normal', scale=1.0, units=6, layers=1),
    },
    kl=dict(scale=0.1, free_nats=0.0),
    overshooting=dict(steps=2, kl=0.1, reward=1.0, image=0.0),
  )
  assert model.features_size == 4
  chunk = {key: tf.constant(value) for key, value in inputs().items()}
  batch = {
    'seen': chunk['embed'],
    'action': chunk['action'],
    'is_first': chunk['is_first'],
    'reward': chunk['action'][..., 0],
    'discount': tf.ones([B, T]),
    'mask': tf.ones([B, T]),
  }
  variables = model.trainable_variables
  adam = keras.optimizers.Adam(0.02)
  adam.build(variables)

  @tf.function
  def update(seed):
    with tf.GradientTape() as tape:
      terms, _ = model.loss(batch, seed)
      loss = model.total(terms, batch['mask'])
    by = tape.gradient(loss, [variable.value for variable in variables])
    adam.apply(by, variables)
    return loss

  losses = [float(update(tf.constant([0, index]))) for index in range(60)]
  assert np.mean(losses[-10:]) < 0.8 * np.mean(losses[:10])
  # And a plan is scored by what was learned, with a gradient.
  posterior, _ = model.observe(batch)
  posed = problem.Problem(model, states.at(posterior, -1), horizon=4)
  actions = tf.random.stateless_uniform([B, 5, 4, A], [0, 1], -1.0, 1.0)
  with tf.GradientTape() as tape:
    tape.watch(actions)
    score = posed.score(actions)
  assert score.shape == [B, 5]
  assert np.abs(tape.gradient(score, actions)).min() > 0
  observation = {
    key: batch[key][:, 0] for key in ('seen', 'is_first', 'action')
  }
  state = model.observe_step(
    model.initial(B), observation, batch['action'][:, 0]
  )
  assert_same(state, states.at(posterior, 0))


def test_options_of_other_kinds_are_left_aside():
  options = dict(kind='latent_dynamics_test:Leaky', leak=0.5, deter=200)
  made = kinds.make(
    'worldmodels.dynamics', 'Dynamics', options, embed=E, actions=A
  )
  state = {'place': tf.ones([B, 3]), 'from': {'mean': tf.zeros([B, 3])}}
  found = made.step(state, tf.zeros([B, A]))
  np.testing.assert_allclose(found['place'], np.full([B, 3], 0.5))
