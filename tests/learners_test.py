"""Every file in agents/learners is under these tests as soon as it exists.

The options of all kinds are those of the group `learner` in configs/dreamer.py.
"""

import pathlib

import batches
import numpy as np
import pytest
import tensorflow as tf

from worldmodels import kinds
from worldmodels.agents import learner
from worldmodels.agents import learners
from worldmodels.configs import dreamer
from worldmodels.spec import Spec
from worldmodels.world_model import WorldModel

PACKAGE = learners.__name__
NAMES = kinds.names(PACKAGE, 'Learner')
B, T, N = 3, 8, 5
SEED = tf.constant([1, 2])
HEAD = dict(scale=1.0, units=6, layers=1, activation='elu')

ways = pytest.mark.parametrize(
  'name,discrete',
  [(name, discrete) for name in NAMES for discrete in (False, True)],
)


def spec_of(discrete):
  vectors = {'speed': 3}
  return Spec(3 if discrete else 2, discrete, image=None, vectors=vectors)


def model_of(discrete):
  made = WorldModel(
    spec=spec_of(discrete),
    encoder={},
    dynamics=dict(kind='rssm', deter=6, stoch=3, hidden=6, activation='elu'),
    heads={
      'reward': dict(kind='normal', **HEAD),
      'discount': dict(kind='bernoulli', **HEAD),
    },
    kl=dict(scale=1.0),
    overshooting=dict(steps=0, kl=0.0, reward=0.0, image=0.0),
  )
  # Its heads start at zero, which would reward nothing.
  random = np.random.default_rng(0)
  for variable in made.trainable_variables:
    variable.assign(random.normal(scale=0.5, size=variable.shape))
  return made


MODELS = {discrete: model_of(discrete) for discrete in (False, True)}
F = MODELS[False].features_size


def make(name, discrete, **options):
  group = dreamer.get_config('debug').learner
  if discrete:
    group.actor.kind = 'one_hot'
  group.update(kind=name, **options)
  return learner.load_learner(group.to_dict(), F, spec_of(discrete))


def features(seed=0):
  random = np.random.default_rng(seed)
  return tf.constant(random.normal(size=[N, F]), tf.float32)


def lived(discrete, seed=0):
  """A batch and the posterior of the model, as an update is given them."""
  batch = batches.chunks(spec_of(discrete), B, T, seed)
  return batch, MODELS[discrete].observe(batch)[0]


def update(made, discrete, seed=SEED, enabled=True, data=None):
  batch, posterior = data or lived(discrete)
  return made.update(MODELS[discrete], batch, posterior, seed, enabled)


def variables_of(made):
  trained = [x for layer, _ in made.optimized for x in layer.variables]
  slots = [x for _, optimizer in made.optimized for x in optimizer.slots]
  return [*trained, *slots, *made.extra_variables]


def values(variables):
  return {x.path: x.numpy() for x in variables}


def same_as(made, twin):
  """Gives a twin the variables of a learner."""
  for mine, its in zip(variables_of(twin), variables_of(made), strict=True):
    assert mine.path == its.path
    mine.assign(its)
  return twin


def assert_equal(found, golden):
  assert found.keys() == golden.keys()
  for path, value in found.items():
    np.testing.assert_array_equal(value, golden[path], err_msg=path)


def test_the_learners_found_are_the_files_that_are_there():
  assert 'actor_critic' in NAMES
  files = pathlib.Path(learners.__file__).parent.glob('*.py')
  assert NAMES == sorted({path.stem for path in files} - {'__init__'})


# ----------------------------------------------------------------- acting ----


@ways
def test_it_acts_within_bounds_and_as_the_seed_decides(name, discrete):
  made = make(name, discrete)
  assert isinstance(made, learner.Learner)
  assert 0.0 < made.gamma <= 1.0
  for explore in (True, False):
    action = made.act(features(), SEED, explore)
    assert action.shape == [N, spec_of(discrete).actions]
    assert action.dtype == tf.float32
    again = made.act(features(), SEED, explore)
    np.testing.assert_array_equal(action, again)
    if discrete:
      hot = np.sort(action)
      np.testing.assert_allclose(hot, [[0, 0, 1]] * N, atol=1e-6)
    else:
      assert np.abs(action).max() <= 1
  many = tf.repeat(features(), 20, axis=0)
  draws = [made.act(many, SEED + number) for number in (0, 1)]
  assert np.abs(draws[0] - draws[1]).max() > 0


@ways
def test_values_and_priors_are_those_of_each_state(name, discrete):
  # A critic's bins reach to thousands else, whose rounding is beyond the bound.
  made = make(name, discrete, critic=dict(limit=2.0))
  for number in range(3):  # At the start they may say nothing.
    update(made, discrete, SEED + number)
  x = features()
  value, prior = made.value(x), made.prior(x)
  assert value.shape == [N]
  assert prior.shape == [N, spec_of(discrete).actions]
  for found in (value, prior):
    assert np.isfinite(found).all()
  # Unlike members are treated unlike, and like batches of one.
  assert np.ptp(prior, 0).max() > 0
  for index in range(N):
    one = x[index : index + 1]
    np.testing.assert_allclose(made.value(one)[0], value[index], atol=1e-5)
    np.testing.assert_allclose(made.prior(one)[0], prior[index], atol=1e-5)
  # Of states [B, T, ...] as well.
  chunk = tf.reshape(tf.repeat(x, 2, axis=0), [N, 2, F])
  np.testing.assert_allclose(made.value(chunk)[:, 1], value, atol=1e-5)


# --------------------------------------------------------------- learning ----


@ways
def test_every_variable_is_held_under_its_own_name(name, discrete):
  made = make(name, discrete)
  held = variables_of(made)
  assert len({x.path for x in held}) == len(held) == len({id(x) for x in held})
  assert {id(x) for x in made.variables} <= {id(x) for x in held}
  trained = [
    x for layer, _ in made.optimized for x in layer.trainable_variables
  ]
  assert {id(x) for x in trained} == {id(x) for x in made.trainable_variables}


@ways
def test_it_learns_with_every_variable_and_leaves_the_model_alone(
  name, discrete
):
  made, model = make(name, discrete), MODELS[discrete]
  before, untouched = values(variables_of(made)), values(model.variables)
  for number in range(3):
    metrics = update(made, discrete, SEED + number)
    for key, value in metrics.items():
      assert value.shape == [] and np.isfinite(value), key
  after = values(variables_of(made))
  for variable in made.trainable_variables:
    path = variable.path
    assert not np.array_equal(before[path], after[path]), path
    assert np.isfinite(after[path]).all(), path
  assert_equal(values(model.variables), untouched)


@ways
def test_the_seed_decides_what_is_learned(name, discrete):
  made = make(name, discrete)
  for number in range(2):
    update(made, discrete, SEED + number)
  twin, other = (same_as(made, make(name, discrete)) for _ in range(2))
  update(made, discrete)
  tf.random.set_seed(7)  # No other source of randomness.
  update(twin, discrete)
  update(other, discrete, SEED + 5)
  assert_equal(values(variables_of(twin)), values(variables_of(made)))
  moved = values(other.trainable_variables)
  assert any(
    not np.array_equal(value, moved[path])
    for path, value in values(made.trainable_variables).items()
  )


@ways
@pytest.mark.parametrize('starts', [0, 8])
def test_padding_teaches_nothing(name, discrete, starts):
  made = make(name, discrete, starts=starts)
  twin = same_as(made, make(name, discrete, starts=starts))
  batch, posterior = lived(discrete)
  update(made, discrete, data=(batch, posterior))
  padding = 1.0 - batch['mask']
  assert np.sum(padding) == 2
  noisy = {
    key: value + 9.0 * padding[..., None] for key, value in posterior.items()
  }
  wrong = batch | {'reward': batch['reward'] + 9.0 * padding}
  update(twin, discrete, data=(wrong, noisy))
  golden = values(variables_of(made))
  for path, value in values(variables_of(twin)).items():
    np.testing.assert_allclose(value, golden[path], atol=1e-6, err_msg=path)


@ways
def test_nothing_changes_where_an_update_is_not_enabled(name, discrete):
  made = make(name, discrete)
  update(made, discrete)
  before = values(variables_of(made))
  update(made, discrete, SEED + 1, enabled=tf.constant(False))
  assert_equal(values(variables_of(made)), before)


@ways
def test_states_that_are_not_finite_teach_nothing_and_are_counted(
  name, discrete
):
  made = make(name, discrete, starts=0)
  update(made, discrete)
  before = values(made.trainable_variables)
  batch, posterior = lived(discrete)
  posterior = {key: value * np.nan for key, value in posterior.items()}
  update(made, discrete, data=(batch, posterior))
  assert_equal(values(made.trainable_variables), before)
  for _, optimizer in made.optimized:
    assert int(optimizer.skipped) == int(optimizer.skipped_run) == 1
  metrics = update(made, discrete, SEED + 1)
  assert all(np.isfinite(x) for x in metrics.values())
  for path, value in values(made.trainable_variables).items():
    assert not np.array_equal(value, before[path]), path


@ways
def test_works_in_a_graph(name, discrete):
  made = make(name, discrete)
  for number in range(2):
    update(made, discrete, SEED + number)
  twin = same_as(made, make(name, discrete))
  plain = update(made, discrete)
  graph = tf.function(
    lambda data, seed: update(twin, discrete, seed, True, data)
  )
  found = graph(lived(discrete), SEED)
  assert found.keys() == plain.keys()
  for key, value in plain.items():
    np.testing.assert_allclose(
      found[key], value, rtol=1e-3, atol=1e-4, err_msg=key
    )
