"""Every file of worldmodels/dynamics is under these tests.

They look into no state: what holds of it has to hold of every tensor in it.
"""

import numpy as np
import pytest
import tensorflow as tf

from worldmodels import kinds
from worldmodels import states

E, A, B, T = 3, 2, 3, 6
SEED = tf.constant([1, 2])
SMALL = dict(deter=4, stoch=2, hidden=5, activation='elu')
# Small forms, and other forms of a kind; a kind that is not here is tried as it
# comes. The last is a user's, whose loops are those of the base class.
OPTIONS = {
  'rssm': SMALL,
  'rssm with layer norm': SMALL | dict(cell='layer_norm_gru'),
  'rssm that draws nothing': SMALL | dict(latent='deterministic'),
  'rssm without recurrence': SMALL | dict(recurrent=False),
  'rssm of categoricals': SMALL
  | dict(latent='categorical', classes=3, cell='layer_norm_gru'),
  'ensemble': SMALL | dict(members=3),
  'ensemble of categoricals': SMALL
  | dict(latent='categorical', classes=3, cell='layer_norm_gru', members=3),
  'latent_dynamics_test:Leaky': {},
}
KINDS = kinds.names('worldmodels.dynamics', 'Dynamics')
DYNAMICS = sorted({*KINDS, *OPTIONS})
DRAWING = [name for name in DYNAMICS if 'draws nothing' not in name]


def make(name, **options):
  """Dynamics whose weights are a sine: the same in every run."""
  made = kinds.make(
    'worldmodels.dynamics',
    'Dynamics',
    dict(kind=name.split()[0], **OPTIONS.get(name, {}) | options),
    embed=E,
    actions=A,
  )
  for index, variable in enumerate(made.variables):
    size = np.prod(variable.shape, dtype=int)
    values = 0.6 * np.sin(0.7 * np.arange(size) + index)
    variable.assign(values.reshape(variable.shape))
  return made


def inputs(batch=B, steps=T, seed=0):
  """Unlike members: embed, action, is_first of a chunk, the reset in row 0."""
  random = np.random.default_rng(seed)
  first = np.zeros([batch, steps], bool)
  first[:, 0] = True
  return {
    'embed': random.normal(size=[batch, steps, E]).astype(np.float32),
    'action': random.uniform(-1, 1, [batch, steps, A]).astype(np.float32),
    'is_first': first,
  }


def observe(made, chunk, **options):
  chunk = {key: tf.constant(value) for key, value in chunk.items()}
  return made.observe(**chunk, **options)


def state_of(made, batch=B):
  """Unlike states that the dynamics may be in."""
  return states.at(observe(made, inputs(batch, 3, seed=7))[0], -1)


def step_of(chunk, t):
  return {key: tf.constant(value[:, t]) for key, value in chunk.items()}


def assert_same(found, golden, atol=1e-5):
  tf.nest.assert_same_structure(found, golden)
  for one, other in zip(tf.nest.flatten(found), tf.nest.flatten(golden)):
    np.testing.assert_allclose(one, other, atol=atol)


def moved(before, after, lead=2):
  """How far states are apart at each of the first `lead` axes."""
  far = [
    np.abs(np.subtract(one, other, dtype=np.float64)).reshape(
      [*one.shape[:lead], -1]
    )
    for one, other in zip(tf.nest.flatten(before), tf.nest.flatten(after))
  ]
  return np.concatenate(far, -1).max(-1)


# ------------------------------------------------------------------ shapes ----


@pytest.mark.parametrize('name', DYNAMICS)
def test_states_are_alike_wherever_they_come_from(name):
  made, chunk = make(name), inputs()
  initial = made.initial(B)
  posterior, prior = observe(made, chunk, seed=SEED)
  after, before = made.observe_step(initial, **step_of(chunk, 0), seed=SEED)
  next_ = made.step(after, tf.constant(chunk['action'][:, 1]), SEED)
  imagined = made.imagine(after, tf.constant(chunk['action'][:, :4]), SEED)
  for found, lead in (
    (initial, [B]),
    (after, [B]),
    (before, [B]),
    (next_, [B]),
    (posterior, [B, T]),
    (prior, [B, T]),
    (imagined, [B, 4]),
  ):
    tf.nest.assert_same_structure(found, initial)
    for one, golden in zip(tf.nest.flatten(found), tf.nest.flatten(initial)):
      assert one.dtype == golden.dtype
      assert one.shape == [*lead, *golden.shape[1:]]
      assert np.all(np.isfinite(one))
    features = made.features(found)
    assert features.shape == [*lead, made.features_size]
    assert features.dtype == tf.float32


@pytest.mark.parametrize('name', DYNAMICS)
def test_every_member_begins_alike(name):
  made = make(name)
  assert_same(made.initial(3), states.repeat(made.initial(1), 3), 0)
  assert_same(made.initial(tf.constant(3)), made.initial(3), 0)


@pytest.mark.parametrize('name', DYNAMICS)
def test_works_in_a_graph_of_unknown_batch_and_length(name):
  made = make(name)

  @tf.function(
    input_signature=[
      tf.TensorSpec([None, None, E]),
      tf.TensorSpec([None, None, A]),
      tf.TensorSpec([None, None], tf.bool),
    ]
  )
  def graph(embed, action, is_first):
    posterior, prior = made.observe(embed, action, is_first)
    imagined = made.imagine(states.at(posterior, -1), action)
    return posterior, prior, imagined

  for batch, steps in ((1, 4), (3, 1)):
    chunk = inputs(batch, steps)
    posterior, prior, imagined = graph(*chunk.values())
    golden = observe(made, chunk)
    assert_same(posterior, golden[0])
    assert_same(prior, golden[1])
    assert_same(
      imagined,
      made.imagine(states.at(golden[0], -1), tf.constant(chunk['action'])),
    )


@pytest.mark.parametrize('name', DYNAMICS)
def test_sizes_that_are_known_stay_known(name):
  # Who works in blocks has to know how much there is.
  made, shapes = make(name), []

  @tf.function
  def run(embed, action, is_first):
    posterior, _ = made.observe(embed, action, is_first, seed=SEED)
    imagined = made.imagine(states.at(posterior, -1), action, SEED)
    shapes.append(made.features(posterior).shape)
    shapes.append(made.features(imagined).shape)

  run(**{key: tf.constant(value) for key, value in inputs().items()})
  assert shapes == [(B, T, made.features_size)] * 2


# -------------------------------------------------------------------- time ----


@pytest.mark.parametrize('name', DYNAMICS)
def test_action_t_led_to_image_t(name):
  """What is changed at t changes t and later, and nothing before."""
  # A likeliest class that stays the likeliest hides a change of a member.
  some = np.max if 'categoricals' in name else np.min
  made, chunk = make(name), inputs()
  posterior, prior = observe(made, chunk)
  for t in range(1, T):
    for key in ('action', 'embed'):
      changed = {**chunk, key: chunk[key].copy()}
      changed[key][:, t] += [2.0, -1.0, 0.5][: changed[key].shape[-1]]
      posterior_, prior_ = observe(made, changed)
      for before, after, first in (
        (posterior, posterior_, t),
        # The prior of t knows the action that led there, not the image.
        (prior, prior_, t if key == 'action' else t + 1),
      ):
        far = moved(before, after)
        assert far[:, :first].max() < 1e-7, (key, t)
        if first < T:
          assert some(far[:, first]) > 1e-5, (key, t)


@pytest.mark.parametrize('name', DYNAMICS)
def test_a_reset_cuts_the_past_and_its_action(name):
  made, chunk = make(name), inputs()
  chunk['is_first'][1, 3] = True
  whole = observe(made, chunk)
  changed = {key: value.copy() for key, value in chunk.items()}
  changed['embed'][:, :3] += 1
  changed['action'][:, :4] = 7  # That of the reset is not one.
  for before, after in zip(whole, observe(made, changed)):
    far = moved(before, after)
    assert far[1, 3:].max() < 1e-6
    assert far[[0, 2], 3:].max(1).min() > 1e-4
  # It is as if the chunk began there.
  rest = {key: value[1:2, 3:] for key, value in chunk.items()}
  for before, after in zip(whole, observe(made, rest)):
    assert_same(states.apply(lambda value: value[1:2, 3:], before), after)


@pytest.mark.parametrize('name', DYNAMICS)
def test_a_reset_of_a_step_is_that_of_a_chunk(name):
  made, chunk = make(name), inputs()
  now = step_of(chunk, 1) | {'is_first': tf.constant([False, True, False])}
  state, fresh = state_of(made), made.initial(B)
  for one, other in zip(
    made.observe_step(state, **now),
    made.observe_step(fresh, **now | {'action': 0.0 * now['action']}),
  ):
    far = moved(one, other, 1)
    assert far[1] < 1e-6
    assert far[[0, 2]].min() > 1e-4


@pytest.mark.parametrize('name', DYNAMICS)
def test_a_chunk_begins_with_the_state_before_it_or_with_a_reset(name):
  made, chunk = make(name), inputs()
  for first in (False, True):
    chunk['is_first'][:, 0] = first
    given = observe(made, chunk, state=state_of(made))
    initial = observe(made, chunk)
    for one, other in zip(given, initial):
      far = moved(one, other)
      assert (far[:, 0].min() > 1e-4) == (not first)
      assert (far.max() < 1e-7) == first


@pytest.mark.parametrize('name', DYNAMICS)
def test_gradients_reach_back_in_time_and_never_forward(name):
  made = make(name)
  chunk = {key: tf.constant(value) for key, value in inputs().items()}
  action = chunk['action']
  with tf.GradientTape() as tape:
    tape.watch(action)
    _, prior = made.observe(**chunk)
    loss = tf.reduce_sum(made.features(prior)[:, 3] ** 2)
  by = np.abs(tape.gradient(loss, action)).max((0, 2))
  assert by[0] == 0  # The reset's.
  assert by[1:4].min() > 1e-7
  assert by[4:].max() == 0


@pytest.mark.parametrize('name', DYNAMICS)
def test_gradients_of_what_is_imagined_reach_its_own_actions(name):
  made = make(name)
  start, action = state_of(made), tf.constant(inputs()['action'])
  with tf.GradientTape() as tape:
    tape.watch(action)
    features = made.features(made.imagine(start, action, SEED))
    loss = tf.reduce_sum(features[1, 3] ** 2)
  by = np.abs(tape.gradient(loss, action)).max(-1)
  assert by[1, :4].min() > 1e-7
  by[1, :4] = 0
  assert by.max() == 0


# --------------------------------------------- loops, steps and batches ----


@pytest.mark.parametrize('name', DYNAMICS)
def test_observe_is_a_chain_of_steps(name):
  made, chunk = make(name), inputs()
  chunk['is_first'][1, 2] = True
  posterior, prior = observe(made, chunk)
  state = made.initial(B)
  for t in range(T):
    state, before = made.observe_step(state, **step_of(chunk, t))
    assert_same(states.at(posterior, t), state)
    assert_same(states.at(prior, t), before)


@pytest.mark.parametrize('name', DYNAMICS)
def test_imagine_continues_what_observe_saw(name):
  made, chunk = make(name), inputs()
  seen = {key: value[:, :3] for key, value in chunk.items()}
  last = states.at(observe(made, seen)[0], -1)
  imagined = made.imagine(last, tf.constant(chunk['action'][:, 3:]))
  # The same by steps, from the first image on.
  state = made.initial(B)
  for t in range(T):
    now = step_of(chunk, t)
    if t < 3:
      state, _ = made.observe_step(state, **now)
    else:
      state = made.step(state, now['action'])
      assert_same(states.at(imagined, t - 3), state)
  # What is imagined one step ahead is the prior of the next observation.
  _, prior = observe(made, chunk)
  assert_same(states.at(imagined, 0), states.at(prior, 3))


@pytest.mark.parametrize('name', DYNAMICS)
def test_observe_goes_on_where_it_stopped(name):
  made, chunk = make(name), inputs()
  whole = observe(made, chunk)
  head = {key: value[:, :4] for key, value in chunk.items()}
  tail = {key: value[:, 4:] for key, value in chunk.items()}
  state = states.at(observe(made, head)[0], -1)
  for found, golden in zip(observe(made, tail, state=state), whole):
    assert_same(found, states.between(golden, 4, None))


@pytest.mark.parametrize('name', DYNAMICS)
def test_unlike_members_are_three_batches_of_one(name):
  made, chunk = make(name), inputs()
  chunk['is_first'][2, 3] = True
  state, action = state_of(made), tf.constant(chunk['action'])

  def member(index):
    return lambda value: value[index : index + 1]

  posterior, prior = observe(made, chunk, state=state)
  imagined = made.imagine(state, action)
  stepped = made.step(state, action[:, 0])
  for i in range(B):
    one = states.apply(member(i), state)
    alone = observe(made, tf.nest.map_structure(member(i), chunk), state=one)
    assert_same(states.apply(member(i), posterior), alone[0])
    assert_same(states.apply(member(i), prior), alone[1])
    alone = made.imagine(one, action[i : i + 1])
    assert_same(states.apply(member(i), imagined), alone)
    alone = made.step(one, action[i : i + 1, 0])
    assert_same(states.apply(member(i), stepped), alone)
  for found in (posterior, prior, imagined):
    assert np.ptp(made.features(found), 0).max() > 1e-3


# --------------------------------------------- draws ----


def draws(made, seed):
  """All that can be drawn, as features."""
  chunk, state = inputs(), state_of(made)
  action = tf.constant(chunk['action'])
  posterior, prior = observe(made, chunk, seed=seed)
  after, before = made.observe_step(state, **step_of(chunk, 1), seed=seed)
  return {
    'posterior': made.features(posterior),
    'prior': made.features(prior),
    'after': made.features(after),
    'before': made.features(before),
    'step': made.features(made.step(state, action[:, 0], seed)),
    'imagine': made.features(made.imagine(state, action, seed)),
  }


@pytest.mark.parametrize('name', DYNAMICS)
def test_the_seed_decides(name):
  made = make(name)
  first, again = draws(made, SEED), draws(made, SEED)
  other, mean = draws(made, tf.constant([1, 3])), draws(made, None)
  for key, value in first.items():
    np.testing.assert_array_equal(value, again[key])
    for unlike in (other, mean):
      far = np.abs(value - unlike[key]).max()
      assert (far > 1e-3) == (name in DRAWING), key
  # Without a seed nothing is drawn.
  for key, value in draws(made, None).items():
    np.testing.assert_array_equal(value, mean[key])


@pytest.mark.parametrize('name', DRAWING)
def test_every_member_and_every_step_is_drawn_for_itself(name):
  made, count = make(name), 20
  start = states.repeat(made.initial(1), count)
  action = tf.zeros([count, 8, A])
  for features in (
    made.features(made.imagine(start, action, SEED)),
    made.features(
      made.observe(
        tf.zeros([count, 8, E]),
        action,
        tf.ones([count, 8], bool),  # So that every step is the first.
        seed=SEED,
      )[0]
    ),
  ):
    spread = np.std(features, 0).max(-1)  # [8]
    assert spread.min() > 1e-3
    over_time = np.std(features, 1).max(-1)  # [count]
    assert over_time.min() > 1e-3
  one = made.features(made.step(start, action[:, 0], SEED))
  assert np.std(one, 0).max() > 1e-3


# --------------------------------------------- training and more ----


@pytest.mark.parametrize('name', DYNAMICS)
def test_every_variable_gets_a_gradient(name):
  made = make(name)
  assert made.built
  paths = [variable.path for variable in made.variables]
  assert len(set(paths)) == len(paths)
  variables = made.trainable_variables
  with tf.GradientTape() as tape:
    posterior, prior = observe(made, inputs(), seed=SEED)
    loss = tf.reduce_sum(made.divergence(posterior, prior))
    for found in (posterior, prior):
      loss += tf.reduce_sum(tf.square(made.features(found) + 0.3))
  by = tape.gradient(loss, [variable.value for variable in variables])
  for variable, gradient in zip(variables, by, strict=True):
    assert gradient is not None, variable.path
    assert np.abs(gradient).max() > 0, variable.path
    assert np.all(np.isfinite(gradient)), variable.path
  # All there is was made by the constructor.
  assert [variable.path for variable in made.variables] == paths


@pytest.mark.parametrize('name', DYNAMICS)
def test_divergence_is_of_each_state_and_zero_of_the_same(name):
  made, chunk = make(name), inputs()
  posterior, prior = observe(made, chunk, seed=SEED)
  found = made.divergence(posterior, prior)
  assert found.shape == [B, T] and found.dtype == tf.float32
  assert np.min(found) >= -1e-6 and np.max(found) > 1e-3
  np.testing.assert_allclose(made.divergence(prior, prior), 0, atol=1e-5)
  alone = made.divergence(states.at(posterior, 2), states.at(prior, 2))
  np.testing.assert_allclose(found[:, 2], alone, atol=1e-6)
  # One chunk's images say nothing of another's divergence.
  chunk['embed'][1] += 1.0
  other = made.divergence(*observe(made, chunk, seed=SEED))
  far = np.abs(other - found).max(1)
  assert far[1] > 1e-4 and far[0] == far[2] == 0


@pytest.mark.parametrize('name', DYNAMICS)
def test_disagreement_is_a_number_of_each_member(name):
  made = make(name)
  action = tf.constant(inputs()['action'][:, 0])
  found = made.disagreement(state_of(made), action)
  assert found.shape == [B] and found.dtype == tf.float32
  assert np.min(found) >= 0 and np.all(np.isfinite(found))


@pytest.mark.parametrize('name', DYNAMICS)
def test_products_in_bfloat16_make_nearly_the_same_float32_states(name):
  # A kind that names no precision makes two that are the same.
  full, half = make(name), make(name, precision='mixed_bfloat16')
  assert all(variable.dtype == 'float32' for variable in half.variables)
  chunk, state = inputs(), state_of(full)
  action = tf.constant(chunk['action'])
  for exact, rough in (
    (observe(full, chunk), observe(half, chunk)),
    (full.step(state, action[:, 0]), half.step(state, action[:, 0])),
    (full.imagine(state, action), half.imagine(state, action)),
  ):
    for one, other in zip(tf.nest.flatten(exact), tf.nest.flatten(rough)):
      assert one.dtype == other.dtype
  if 'categoricals' in name:
    return  # A class that is nearly as likely as another changes it all.
  assert_same(observe(half, chunk), observe(full, chunk), 0.05)
  assert_same(
    half.step(state, action[:, 0]), full.step(state, action[:, 0]), 0.05
  )
