import numpy as np
import pytest
import tensorflow as tf

from worldmodels import rssm

E, A, D, S, HIDDEN = 3, 2, 4, 2, 5
KEYS = ('deter', 'stoch', 'mean', 'std')
# Every kind and both cells.
MODELS = {
  'recurrent': dict(),
  'layer norm': dict(cell='layer_norm_gru', activation='elu'),
  'deterministic': dict(kind='deterministic', activation='elu'),
  'stochastic': dict(kind='stochastic', activation='elu'),
}


def make(name='recurrent', **options):
  """An RSSM whose weights are a sine, so that anyone can write them down."""
  options = dict(deter=D, stoch=S, hidden=HIDDEN) | MODELS[name] | options
  model = rssm.RSSM(embed=E, actions=A, **options)
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


def state_of(model, batch=3, seed=1):
  random = np.random.default_rng(seed)
  sizes = {'deter': model.deter, 'stoch': S, 'mean': S, 'std': S}
  return {
    key: tf.constant(random.normal(size=[batch, sizes[key]]), tf.float32)
    for key in KEYS
  }


def observe(model, chunk, **options):
  chunk = {key: tf.constant(value) for key, value in chunk.items()}
  return model.observe(**chunk, **options)


def at(states, index):
  return {key: value[:, index] for key, value in states.items()}


def assert_same(found, golden, atol=1e-5):
  assert found.keys() == golden.keys() == set(KEYS)
  for key in KEYS:
    np.testing.assert_allclose(found[key], golden[key], atol=atol, err_msg=key)


def assert_batched(found, alone, atol=1e-5):
  """The members of a batch are those of batches of one."""
  for key in KEYS:
    joined = np.concatenate([x[key] for x in alone])
    np.testing.assert_allclose(found[key], joined, atol=atol, err_msg=key)
    assert np.ptp(found[key], 0).max() > 1e-3 or key == 'std', key


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
  kind = MODELS[name].get('kind', 'recurrent')

  def linear(layer, x):
    return x @ w[f'{layer}/kernel'] + w.get(f'{layer}/bias', 0)

  def draw(deter, statistics):
    mean, std = np.split(statistics, 2, -1)
    std = np.log1p(np.exp(std)) + 0.1
    std = np.ones_like(std) if kind == 'deterministic' else std
    return {'deter': deter, 'stoch': mean, 'mean': mean, 'std': std}

  keep = 1 - is_first[:, None].astype(float)
  stoch, deter = state['stoch'] * keep, state['deter'] * keep
  x = linear('from_stoch', stoch) + linear('from_action', action * keep)
  x = act(x, activation)
  if kind == 'stochastic':
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
    'deter': tf.fill([1, model.deter], 0.2),
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


def test_gru_is_tensorflows_block_cell():
  cell = rssm.GRU(HIDDEN, D)
  w = {variable.path: variable for variable in cell.variables}
  np.testing.assert_array_equal(w['gates/bias'], np.ones(2 * D))
  np.testing.assert_array_equal(w['candidate/bias'], np.zeros(D))
  random = np.random.default_rng(0)
  x = random.normal(size=[3, HIDDEN]).astype(np.float32)
  deter = random.normal(size=[3, D]).astype(np.float32)
  block = tf.raw_ops.GRUBlockCell(
    x=x,
    h_prev=deter,
    w_ru=w['gates/kernel'].value,
    w_c=w['candidate/kernel'].value,
    b_ru=w['gates/bias'].value,
    b_c=w['candidate/bias'].value,
  )
  np.testing.assert_allclose(cell(x, deter), block.h, atol=1e-6)


# ------------------------------------------------------------------- time ----


@pytest.mark.parametrize('name', MODELS)
def test_action_t_led_to_image_t(name):
  """What is changed at t changes t and later, and nothing before."""
  # ELU: a closed ReLU would hide a change.
  model, chunk = make(name, activation='elu'), inputs()
  posterior, prior = observe(model, chunk)
  for t in range(1, 6):
    for key in ('action', 'embed'):
      changed = {**chunk, key: chunk[key].copy()}
      changed[key][:, t] += [2.0, -1.0, 0.5][: changed[key].shape[-1]]
      posterior_, prior_ = observe(model, changed)
      for before, after, first in (
        (posterior, posterior_, t),
        # The prior of t knows the action that led there, not the image.
        (prior, prior_, t if key == 'action' else t + 1),
      ):
        moved = np.abs(after['mean'] - before['mean']).max(-1)
        assert moved[:, :first].max() < 1e-7, (key, t)
        if first < 6:
          assert moved[:, first].min() > 1e-5, (key, t)


@pytest.mark.parametrize('name', MODELS)
def test_a_reset_cuts_the_past_and_its_action(name):
  model, chunk = make(name), inputs()
  chunk['is_first'][1, 3] = True
  whole = observe(model, chunk)
  changed = {key: value.copy() for key, value in chunk.items()}
  changed['embed'][:, :3] += 1
  changed['action'][:, :4] = 7  # That of the reset is not one.
  for before, after in zip(whole, observe(model, changed)):
    for key in KEYS:
      moved = np.abs(after[key] - before[key])
      assert moved[1, 3:].max() < 1e-6, key
      if (name, key) != ('deterministic', 'std'):
        assert moved[[0, 2], 3:].max() > 1e-4, key
  # It is as if the chunk began there.
  rest = {key: value[1:2, 3:] for key, value in chunk.items()}
  for before, after in zip(whole, observe(model, rest)):
    assert_same({k: v[1:2, 3:] for k, v in before.items()}, after)


def test_a_chunk_begins_with_the_state_before_it_or_with_a_reset():
  model, chunk = make(), inputs()
  for first in (False, True):
    chunk['is_first'][:, 0] = first
    given = observe(model, chunk, state=state_of(model))
    initial = observe(model, chunk)
    for one, other in zip(given, initial):
      moved = np.abs(one['mean'] - other['mean'])
      assert (moved[:, 0].max() > 1e-3) == (not first)
      assert (moved.max() < 1e-7) == first


def test_gradients_reach_back_in_time_and_never_forward():
  model, chunk = make('layer norm'), inputs()
  chunk = {key: tf.constant(value) for key, value in chunk.items()}
  action = chunk['action']
  with tf.GradientTape() as tape:
    tape.watch(action)
    _, prior = model.observe(**chunk)
    loss = tf.reduce_sum(prior['mean'][:, 3])
  by = np.abs(tape.gradient(loss, action)).max((0, 2))
  assert by[0] == 0  # The reset's.
  assert by[1:4].min() > 1e-6
  assert by[4:].max() == 0


# ---------------------------------------------- observe, imagine and steps ----


@pytest.mark.parametrize('name', MODELS)
def test_observe_is_a_chain_of_steps(name):
  model, chunk = make(name), inputs()
  chunk['is_first'][1, 2] = True
  state, found = model.initial(3), observe(model, chunk)
  for t in range(6):
    steps = {key: tf.constant(value[:, t]) for key, value in chunk.items()}
    state, prior = model.observe_step(state, **steps)
    assert_same(at(found[0], t), state)
    assert_same(at(found[1], t), prior)


@pytest.mark.parametrize('name', MODELS)
def test_imagine_continues_what_observe_saw(name):
  model, chunk = make(name), inputs()
  seen = {key: value[:, :3] for key, value in chunk.items()}
  last = at(observe(model, seen)[0], -1)
  imagined = model.imagine(last, tf.constant(chunk['action'][:, 3:]))
  # The same by steps, from the first image on.
  state = model.initial(3)
  for t in range(6):
    steps = {key: tf.constant(value[:, t]) for key, value in chunk.items()}
    if t < 3:
      state, _ = model.observe_step(state, **steps)
    else:
      state = model.imagine_step(state, steps['action'])
      assert_same(at(imagined, t - 3), state)
  # What is imagined one step ahead is the prior of the next observation.
  _, prior = observe(model, chunk)
  assert_same(at(imagined, 0), at(prior, 3))


@pytest.mark.parametrize('name', MODELS)
def test_observe_goes_on_where_it_stopped(name):
  model, chunk = make(name), inputs()
  whole = observe(model, chunk)
  head = {key: value[:, :4] for key, value in chunk.items()}
  tail = {key: value[:, 4:] for key, value in chunk.items()}
  state = at(observe(model, head)[0], -1)
  for found, golden in zip(observe(model, tail, state=state), whole):
    assert_same(found, {k: v[:, 4:] for k, v in golden.items()})


@pytest.mark.parametrize('name', MODELS)
def test_unlike_members_are_three_batches_of_one(name):
  model, chunk = make(name), inputs()
  chunk['is_first'][2, 3] = True
  state = state_of(model)
  members = [
    {key: value[i : i + 1] for key, value in chunk.items()} for i in range(3)
  ]
  states = [{k: v[i : i + 1] for k, v in state.items()} for i in range(3)]
  together = observe(model, chunk, state=state)
  alone = [observe(model, x, state=y) for x, y in zip(members, states)]
  assert_batched(together[0], [x[0] for x in alone])
  assert_batched(together[1], [x[1] for x in alone])
  actions = tf.constant(chunk['action'])
  together = model.imagine(state, actions)
  alone = [model.imagine(y, actions[i : i + 1]) for i, y in enumerate(states)]
  assert_batched(together, alone)


def test_works_in_a_graph_of_unknown_batch_and_length():
  model = make()

  @tf.function(
    input_signature=[
      tf.TensorSpec([None, None, E]),
      tf.TensorSpec([None, None, A]),
      tf.TensorSpec([None, None], tf.bool),
    ]
  )
  def graph(embed, action, is_first):
    return model.observe(embed, action, is_first)

  for batch, steps in ((1, 4), (3, 1)):
    chunk = inputs(batch, steps)
    for found, golden in zip(graph(*chunk.values()), observe(model, chunk)):
      assert_same(found, golden)


# -------------------------------------------------------- states and kinds ----


@pytest.mark.parametrize('name', MODELS)
def test_initial_and_features(name):
  model = make(name)
  state = model.initial(3)
  assert set(state) == set(KEYS)
  assert not any(np.any(value) for value in state.values())
  state = state_of(model)
  assert (
    model.size == model.deter + model.stoch == model.features(state).shape[1]
  )
  features = np.concatenate([state['deter'], state['stoch']], -1)
  np.testing.assert_array_equal(model.features(state), features)
  assert model.deter == (HIDDEN if name == 'stochastic' else D)


def test_without_a_seed_the_mean_is_taken():
  for states in observe(make(), inputs()):
    np.testing.assert_array_equal(states['stoch'], states['mean'])


def test_samples_are_of_the_distribution_they_say():
  model = make(min_std=0.3)
  chunk = inputs(40, 30)
  states = observe(model, chunk, seed=tf.constant([1, 2]))
  imagined = model.imagine(
    model.initial(40), tf.constant(chunk['action']), tf.constant([3, 4])
  )
  noises = []
  for state in (*states, imagined):
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
  assert_same(states[0], again[0], 0)
  assert np.abs(states[0]['stoch'] - other[0]['stoch']).max() > 0.1
  step = [tf.constant(value[:, 0]) for value in chunk.values()]
  posterior, prior = model.observe_step(
    model.initial(40), *step, tf.constant([1, 2])
  )
  for state in (
    posterior,
    prior,
    model.imagine_step(prior, step[1], tf.constant([1, 2])),
  ):
    noise = (state['stoch'] - state['mean']) / state['std']
    assert np.std(noise) == pytest.approx(1, abs=0.3)


def test_deterministic_does_not_draw():
  model, seed = make('deterministic'), tf.constant([1, 2])
  chunk = inputs()
  for states in (
    *observe(model, chunk, seed=seed),
    model.imagine(state_of(model), tf.constant(chunk['action']), seed),
  ):
    np.testing.assert_array_equal(states['stoch'], states['mean'])
    np.testing.assert_array_equal(states['std'], np.ones_like(states['std']))


def test_stochastic_has_no_memory_but_its_sample():
  chunk = inputs()
  action = tf.constant(chunk['action'][:, 0])
  for name, remembers in (('stochastic', False), ('recurrent', True)):
    model = make(name)
    state = state_of(model)
    other = {**state, 'deter': state['deter'] + 1}
    moved = np.abs(
      model.imagine_step(state, action)['mean']
      - model.imagine_step(other, action)['mean']
    )
    assert (moved.max() > 1e-4) == remembers
    other = {**state, 'stoch': state['stoch'] + 1}
    moved = np.abs(
      model.imagine_step(state, action)['mean']
      - model.imagine_step(other, action)['mean']
    )
    assert moved.max() > 1e-4


@pytest.mark.parametrize('name', MODELS)
def test_every_variable_gets_a_gradient(name):
  model = make(name)
  for variable in model.variables:  # ReLUs that are shut hide a variable.
    variable.assign(np.abs(variable) + 0.01)
  variables = model.trainable_variables
  assert len(variables) == len(model.variables)
  with tf.GradientTape() as tape:
    states = observe(model, inputs(), seed=tf.constant([1, 2]))
    loss = sum(
      tf.reduce_sum(tf.square(state[key] + 1))
      for state in states
      for key in ('mean', 'std')
    )
  gradients = tape.gradient(loss, [x.value for x in variables])
  for variable, by in zip(variables, gradients, strict=True):
    assert by is not None and np.abs(by).max() > 0, variable.path


def test_unknown_kinds_and_cells_are_named():
  options = dict(embed=E, actions=A)
  with pytest.raises(ValueError, match="rssm.kind is 'ssm'; one of recurrent,"):
    rssm.RSSM(kind='ssm', **options)
  with pytest.raises(ValueError, match="rssm.cell is 'lstm'; one of gru, lay"):
    rssm.RSSM(cell='lstm', **options)


def test_scan_adds_up():
  found = rssm.scan(
    lambda carry, now: {'sum': carry['sum'] + now['x'] * now['y']},
    {'x': tf.constant([[1.0], [2.0], [3.0]]), 'y': tf.fill([3, 1], 10.0)},
    {'sum': tf.constant([5.0])},
  )
  np.testing.assert_array_equal(found['sum'], [[15], [35], [65]])


def test_sizes_that_are_known_stay_known():
  # Who works in blocks has to know how much there is.
  model, shapes = make(), []

  @tf.function
  def run(embed, action, is_first):
    posterior, _ = model.observe(embed, action, is_first)
    start = {key: value[:, -1] for key, value in posterior.items()}
    shapes.append(posterior['deter'].shape)
    shapes.append(model.imagine(start, action)['stoch'].shape)

  run(**{key: tf.constant(value) for key, value in inputs().items()})
  assert shapes == [(3, 6, D), (3, 6, S)]


@pytest.mark.parametrize('name', ['layer norm', 'stochastic'])
def test_the_steps_are_optimized_by_tensorflow(name, capfd):
  """A sum of two layers with a bias, and an ELU after it: see `_linear`."""
  model, chunk = make(name), inputs()
  step = tf.function(model.observe_step)
  step(state_of(model), chunk['embed'][:, 0], chunk['action'][:, 0],
       chunk['is_first'][:, 0])
  tf.function(model.imagine_step)(state_of(model), chunk['action'][:, 0])
  assert 'does not specify an operation' not in capfd.readouterr().err


@pytest.mark.parametrize('name', MODELS)
def test_products_in_bfloat16_make_nearly_the_same_float32_states(name):
  full, half = make(name), make(name, precision='mixed_bfloat16')
  data = inputs()
  for states, rough in zip(observe(full, data), observe(half, data)):
    for key, value in states.items():
      assert rough[key].dtype == tf.float32
      np.testing.assert_allclose(rough[key], value, atol=0.05, err_msg=key)
  rough, exact = observe(half, data)[0], observe(full, data)[0]
  moved = np.abs(rough['deter'] - exact['deter'])
  assert moved.max() > 1e-5  # It does make a difference.
  assert all(x.dtype == 'float32' for x in half.variables)
  state, action = state_of(full), data['action'][:, 0]
  for key, value in full.imagine_step(state, action).items():
    np.testing.assert_allclose(
      half.imagine_step(state, action)[key], value, atol=0.05, err_msg=key
    )
