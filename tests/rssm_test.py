"""The numbers of the RSSM; dynamics_test has what holds of all dynamics."""

import numpy as np
import pytest
import tensorflow as tf

from worldmodels import errors
from worldmodels import states
from worldmodels.dynamics import rssm

E, A, D, S, HIDDEN = 3, 2, 4, 2, 5
KEYS = ('deter', 'stoch', 'mean', 'std')
# PlaNet's ablation, and both cells.
MODELS = {
  'recurrent': dict(),
  'layer norm': dict(cell='layer_norm_gru', activation='elu'),
  'deterministic': dict(latent='deterministic', activation='elu'),
  'stochastic': dict(recurrent=False, activation='elu'),
}


def make(name='recurrent', **options):
  """An RSSM whose weights are a sine, so that anyone can write them down."""
  options = dict(deter=D, stoch=S, hidden=HIDDEN) | MODELS[name] | options
  model = rssm.Dynamics(embed=E, actions=A, **options)
  for index, variable in enumerate(model.variables):
    size = np.prod(variable.shape, dtype=int)
    values = 0.6 * np.sin(0.7 * np.arange(size) + index)
    variable.assign(values.reshape(variable.shape))
  return model


def inputs(batch=3, steps=6, seed=0):
  """Unlike members: embed, action, is_first of a chunk, the reset in row 0."""
  random = np.random.default_rng(seed)
  first = np.zeros([batch, steps], bool)
  first[:, 0] = True
  return {
    'embed': random.normal(size=[batch, steps, E]).astype(np.float32),
    'action': random.uniform(-1, 1, [batch, steps, A]).astype(np.float32),
    'is_first': first,
  }


def deter_of(model):
  """D, the size of what the recurrence carries."""
  return model.features_size - S


def state_of(model, batch=3, seed=1):
  random = np.random.default_rng(seed)
  sizes = {'deter': deter_of(model), 'stoch': S, 'mean': S, 'std': S}
  return {
    key: tf.constant(random.normal(size=[batch, sizes[key]]), tf.float32)
    for key in KEYS
  }


def observe(model, chunk, **options):
  chunk = {key: tf.constant(value) for key, value in chunk.items()}
  return model.observe(**chunk, **options)


def assert_same(found, golden, atol=1e-5):
  assert found.keys() == golden.keys() == set(KEYS)
  for key in KEYS:
    np.testing.assert_allclose(found[key], golden[key], atol=atol, err_msg=key)


# ------------------------------------------------------ the step, in numpy ----


def sigmoid(x):
  return 1 / (1 + np.exp(-x))


def act(x, name):
  if name == 'elu':
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))
  return np.maximum(x, 0)


def twin(model, name, state, embed, action, is_first):
  """observe_step without a seed, written down a second time."""
  w = {x.path: x.numpy().astype(np.float64) for x in model.variables}
  activation = MODELS[name].get('activation', 'relu')

  def linear(layer, x):
    return x @ w[f'{layer}/kernel'] + w.get(f'{layer}/bias', 0)

  def draw(deter, statistics):
    mean, std = np.split(statistics, 2, -1)
    std = np.log1p(np.exp(std)) + 0.1
    std = np.ones_like(std) if name == 'deterministic' else std
    return {'deter': deter, 'stoch': mean, 'mean': mean, 'std': std}

  keep = 1 - is_first[:, None].astype(float)
  stoch, deter = state['stoch'] * keep, state['deter'] * keep
  x = linear('from_stoch', stoch) + linear('from_action', action * keep)
  x = act(x, activation)
  if name == 'stochastic':
    deter = x
  elif 'layer norm' == name:
    parts = np.concatenate([x, deter], -1) @ w['all/kernel']
    mean, variance = parts.mean(-1, keepdims=True), parts.var(-1, keepdims=True)
    parts = (parts - mean) / np.sqrt(variance + 1e-3) * w['norm/scale']
    reset, new, update = np.split(parts + w['norm/offset'], 3, -1)
    update = sigmoid(update - 1)
    deter = update * np.tanh(sigmoid(reset) * new) + (1 - update) * deter
  else:
    reset, update = np.split(
      sigmoid(linear('gates', np.concatenate([x, deter], -1))), 2, -1
    )
    new = linear('candidate', np.concatenate([x, reset * deter], -1))
    deter = update * deter + (1 - update) * np.tanh(new)
  hidden = act(linear('prior_hidden', deter), activation)
  prior = draw(deter, linear('prior_out', hidden))
  hidden = linear('from_deter', deter) + linear('from_embed', embed)
  hidden = act(hidden, activation)
  return draw(deter, linear('posterior_out', hidden)), prior


@pytest.mark.parametrize('name', MODELS)
def test_step_is_that_of_numpy(name):
  model, chunk = make(name), inputs()
  state = state_of(model)
  first = np.array([False, True, False])
  step = chunk['embed'][:, 0], chunk['action'][:, 0], first
  found = model.observe_step(state, *map(tf.constant, step))
  golden = twin(model, name, {k: v.numpy() for k, v in state.items()}, *step)
  assert_same(found[0], golden[0])
  assert_same(found[1], golden[1])


# deter, then mean and std of the posterior, then of the prior; so that model
# and twin cannot change together.
GOLDEN = {
  'recurrent': [
    *(-0.291718, 0.149791, 0.273143, 0.270999),
    *(0.434191, -0.016096, 0.589827, 0.507940),
    *(-0.300381, -0.646783, 0.506852, 0.610148),
  ],
  'layer norm': [
    *(0.180967, 0.194264, 0.234122, 0.160645),
    *(0.305081, 0.253507, 0.835354, 0.731664),
    *(0.262929, -0.235098, 0.529554, 0.497507),
  ],
  'deterministic': [
    *(-0.245959, 0.228053, 0.262982, 0.254256),
    *(0.436305, -0.065298, 1.0, 1.0),
    *(-0.387457, -0.733098, 1.0, 1.0),
  ],
  'stochastic': [
    *(1.468726, 1.409138, 0.686810, -0.301301, -0.709240),
    *(-0.857782, -0.695409, 0.695454, 1.001288),
    *(-0.235172, 0.182062, 1.082608, 1.139872),
  ],
}


@pytest.mark.parametrize('name', MODELS)
def test_golden_numbers_of_the_step(name):
  model = make(name)
  # Round numbers: these do not hang on numpy's generator.
  state = {
    'deter': tf.fill([1, deter_of(model)], 0.2),
    'stoch': tf.constant([[0.3, -0.4]]),
  }
  embed, action = tf.constant([[0.1, -0.2, 0.3]]), tf.constant([[0.5, -1.0]])
  first = tf.constant([False])
  posterior, prior = model.observe_step(state, embed, action, first)
  found = np.concatenate(
    [
      posterior['deter'],
      posterior['mean'],
      posterior['std'],
      prior['mean'],
      prior['std'],
    ],
    -1,
  )
  np.testing.assert_allclose(found[0], GOLDEN[name], atol=1e-5)


# -------------------------------------------------------- states and kinds ----


@pytest.mark.parametrize('name', MODELS)
def test_initial_and_features(name):
  model = make(name)
  state = model.initial(3)
  assert set(state) == set(KEYS)
  assert not any(np.any(value) for value in state.values())
  state = state_of(model)
  assert model.features_size == model.features(state).shape[1]
  features = np.concatenate([state['deter'], state['stoch']], -1)
  np.testing.assert_array_equal(model.features(state), features)
  assert state['deter'].shape[1] == (HIDDEN if name == 'stochastic' else D)


def test_without_a_seed_the_mean_is_taken():
  for state in observe(make(), inputs()):
    np.testing.assert_array_equal(state['stoch'], state['mean'])


def test_samples_are_of_the_distribution_they_say():
  model = make(min_std=0.3)
  chunk = inputs(40, 30)
  found = observe(model, chunk, seed=tf.constant([1, 2]))
  imagined = model.imagine(
    model.initial(40), tf.constant(chunk['action']), tf.constant([3, 4])
  )
  noises = []
  for state in (*found, imagined):
    assert np.min(state['std']) >= 0.3
    noise = ((state['stoch'] - state['mean']) / state['std']).numpy()
    assert abs(noise.mean()) < 0.08
    assert noise.std() == pytest.approx(1, abs=0.08)
    noises.append(noise.ravel())
    # No member, step or number has another's noise.
    assert len(np.unique(np.round(noise, 4))) > 0.9 * noise.size
  assert np.abs(np.corrcoef(noises) - np.eye(3)).max() < 0.08
  again = observe(model, chunk, seed=tf.constant([1, 2]))
  other = observe(model, chunk, seed=tf.constant([1, 3]))
  assert_same(found[0], again[0], 0)
  assert np.abs(found[0]['stoch'] - other[0]['stoch']).max() > 0.1
  step = [tf.constant(value[:, 0]) for value in chunk.values()]
  posterior, prior = model.observe_step(
    model.initial(40), *step, tf.constant([1, 2])
  )
  for state in (
    posterior,
    prior,
    model.step(prior, step[1], tf.constant([1, 2])),
  ):
    noise = (state['stoch'] - state['mean']) / state['std']
    assert np.std(noise) == pytest.approx(1, abs=0.3)


def test_deterministic_does_not_draw():
  model, seed = make('deterministic'), tf.constant([1, 2])
  chunk = inputs()
  for state in (
    *observe(model, chunk, seed=seed),
    model.imagine(state_of(model), tf.constant(chunk['action']), seed),
  ):
    np.testing.assert_array_equal(state['stoch'], state['mean'])
    np.testing.assert_array_equal(state['std'], np.ones_like(state['std']))


def test_stochastic_has_no_memory_but_its_sample():
  chunk = inputs()
  action = tf.constant(chunk['action'][:, 0])
  for name, remembers in (('stochastic', False), ('recurrent', True)):
    model = make(name)
    state = state_of(model)
    other = {**state, 'deter': state['deter'] + 1}
    moved = np.abs(
      model.step(state, action)['mean'] - model.step(other, action)['mean']
    )
    assert (moved.max() > 1e-4) == remembers
    other = {**state, 'stoch': state['stoch'] + 1}
    moved = np.abs(
      model.step(state, action)['mean'] - model.step(other, action)['mean']
    )
    assert moved.max() > 1e-4


@pytest.mark.parametrize(
  'fans,inputs',
  [
    ('layer', dict(stoch=36, action=36, deter=1224, embed=1224)),
    ('part', dict(stoch=30, action=6, deter=200, embed=1024)),
  ],
)
def test_kernels_start_by_the_inputs_of_their_layer_or_part(fans, inputs):
  """PlaNet has one layer over sample and action, one over memory and image."""
  model = rssm.Dynamics(embed=1024, actions=6, fans=fans)
  kernels = {
    x.path.split('/')[-2]: x for x in model.variables if x.path.endswith('nel')
  }
  for name, count in inputs.items():
    found = np.std(kernels[f'from_{name}'])
    golden = np.sqrt(2.0 / (count + 200))
    assert found == pytest.approx(golden, rel=0.06), name


def test_unknown_latents_and_cells_are_named():
  options = dict(embed=E, actions=A)
  with pytest.raises(
    errors.OptionError, match="^latent is 'gauss'; it is one of gaussian, det"
  ):
    rssm.Dynamics(latent='gauss', **options)
  with pytest.raises(
    errors.OptionError, match="^cell is 'lstm'; it is one of gru, lay"
  ):
    rssm.Dynamics(cell='lstm', **options)
  with pytest.raises(errors.OptionError, match="^fans is 'all'; it is one of"):
    rssm.Dynamics(fans='all', **options)


@pytest.mark.parametrize('name', ['layer norm', 'stochastic'])
def test_the_steps_are_optimized_by_tensorflow(name, capfd):
  """A sum of two layers with a bias, and an ELU after it: see `nets.linear`."""
  model, chunk = make(name), inputs()
  step = tf.function(model.observe_step)
  step(
    state_of(model),
    chunk['embed'][:, 0],
    chunk['action'][:, 0],
    chunk['is_first'][:, 0],
  )
  tf.function(model.step)(state_of(model), chunk['action'][:, 0])
  assert 'does not specify an operation' not in capfd.readouterr().err


@pytest.mark.parametrize('name', MODELS)
def test_products_in_bfloat16_make_nearly_the_same_float32_states(name):
  full, half = make(name), make(name, precision='mixed_bfloat16')
  data = inputs()
  for exact, rough in zip(observe(full, data), observe(half, data)):
    for key, value in exact.items():
      assert rough[key].dtype == tf.float32
      np.testing.assert_allclose(rough[key], value, atol=0.05, err_msg=key)
  rough, exact = observe(half, data)[0], observe(full, data)[0]
  moved = np.abs(rough['deter'] - exact['deter'])
  assert moved.max() > 1e-5  # It does make a difference.
  assert all(x.dtype == 'float32' for x in half.variables)
  state, action = state_of(full), data['action'][:, 0]
  for key, value in full.step(state, action).items():
    np.testing.assert_allclose(
      half.step(state, action)[key], value, atol=0.05, err_msg=key
    )


# ------------------------------------------------------------ categoricals ----

CLASSES = 3


def categorical():
  return rssm.Dynamics(
    embed=E,
    actions=A,
    deter=D,
    stoch=S,
    classes=CLASSES,
    hidden=HIDDEN,
    latent='categorical',
    cell='layer_norm_gru',
    activation='elu',
  )


def test_a_state_of_categoricals_has_logits_and_one_hot_vectors():
  model, chunk = categorical(), inputs()
  state = model.initial(3)
  assert state.keys() == {'deter', 'stoch', 'logits'}
  assert state['logits'].shape == [3, S, CLASSES]
  assert model.features_size == D + S * CLASSES
  for found in observe(model, chunk, seed=tf.constant([1, 2])):
    assert found.keys() == state.keys()
    assert model.features(found).shape == [3, 6, model.features_size]
    chosen = tf.reshape(found['stoch'], [3, 6, S, CLASSES])
    np.testing.assert_allclose(tf.reduce_max(chosen, -1), 1, atol=1e-6)
    np.testing.assert_allclose(tf.reduce_sum(chosen, -1), 1, atol=1e-6)
    sums = tf.reduce_sum(tf.exp(found['logits']), -1)
    np.testing.assert_allclose(sums, np.ones_like(sums), atol=1e-5)


def test_categoricals_observe_and_imagine_as_chains_of_steps():
  """With weights as they start; dynamics_test has others."""
  model, chunk = categorical(), inputs()
  chunk['is_first'][1, 3] = True
  posterior, prior = observe(model, chunk)
  state = model.initial(3)
  for t in range(6):
    now = {key: tf.constant(value[:, t]) for key, value in chunk.items()}
    state, before = model.observe_step(state, **now)
    for key in state:
      np.testing.assert_allclose(posterior[key][:, t], state[key], atol=1e-5)
      np.testing.assert_allclose(prior[key][:, t], before[key], atol=1e-5)
  now = states.at(posterior, 2)
  imagined = model.imagine(now, tf.constant(chunk['action'][:, 3:]))
  for t in range(3):
    now = model.step(now, tf.constant(chunk['action'][:, 3 + t]))
    for key in now:
      np.testing.assert_allclose(imagined[key][:, t], now[key], atol=1e-5)


def test_every_variable_of_categoricals_trains():
  model = categorical()
  with tf.GradientTape() as tape:
    posterior, prior = observe(model, inputs(), seed=tf.constant([1, 2]))
    loss = tf.reduce_sum(model.divergence(posterior, prior)) + tf.reduce_sum(
      tf.square(model.features(posterior) + 0.3)
    )
  variables = model.trainable_variables
  for variable, gradient in zip(
    variables, tape.gradient(loss, [x.value for x in variables])
  ):
    assert np.abs(gradient).max() > 0, variable.path
