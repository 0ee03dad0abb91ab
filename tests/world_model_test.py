import keras
import numpy as np
import pytest
import tensorflow as tf

from worldmodels import encoder
from worldmodels import errors
from worldmodels import states
from worldmodels.agents.runs import task_checks
from worldmodels.spec import Spec
from worldmodels.world_model import WorldModel

SEED = tf.constant([3, 4])
B, T, A = 3, 7, 2

IMAGE = dict(
  kind='convolutional',
  scale=1.0,
  start=4,
  linear=0,
  channels=(3, 2, 2, 2),
  activation='elu',
)
REWARD = dict(kind='normal', scale=10.0, units=4, layers=1, activation='elu')


def make(
  size=16,
  dynamics=(),
  kl=(),
  overshooting=(),
  image=(),
  vectors=(),
  weights=0.6,
  **options,
):
  """A tiny model; 16 pixels and no image head where no image is drawn."""
  heads = {'reward': REWARD}
  if size == 64:
    heads = {'image': IMAGE | dict(image), **heads}
  model = WorldModel(
    spec=Spec(A, image=(size, size, 3), vectors=dict(vectors)),
    encoder=options.pop('encoder', None)
    or dict(kind='spatial_softmax', channels=(2,), points=2, bits=8),
    dynamics=dict(kind='rssm', deter=4, stoch=2, hidden=5, activation='elu')
    | dict(dynamics),
    heads=heads | options.pop('heads', {}),
    kl=dict(scale=1.0, free_nats=0.0) | dict(kl),
    overshooting=dict(steps=0, kl=0.0, reward=0.0, image=0.0)
    | dict(overshooting),
    **options,
  )
  for index, variable in enumerate(model.trainable_variables):
    count = np.prod(variable.shape, dtype=int)
    values = weights * np.sin(0.7 * np.arange(count) + index)
    variable.assign(values.reshape(variable.shape))
  return model


def make_batch(size=16, batch=B, steps=T, seed=0):
  """Unlike members; one has a reset within it, the last is padded."""
  random = np.random.default_rng(seed)
  first = np.zeros([batch, steps], bool)
  first[:, 0] = True
  first[1:2, 3:4] = True
  mask = np.ones([batch, steps], np.float32)
  mask[-1, -2:] = 0
  shape = [batch, steps]
  return {
    'image': random.integers(0, 256, [*shape, size, size, 3], np.uint8),
    'action': random.uniform(-1, 1, [*shape, A]).astype(np.float32),
    'reward': random.normal(size=shape).astype(np.float32),
    'discount': random.integers(0, 2, shape).astype(np.float32),
    'speed': random.normal(size=[*shape, 3]).astype(np.float32),
    'height': random.normal(size=shape).astype(np.float32),
    'is_first': first,
    'mask': mask,
  }


def tensors(batch):
  return {key: tf.constant(value) for key, value in batch.items()}


def loss(model, batch, seed=SEED):
  terms, posterior = model.loss(tensors(batch), seed)
  return {key: value.numpy() for key, value in terms.items()}, posterior


def total(model, batch, seed=SEED):
  batch = tensors(batch)
  return float(model.total(model.loss(batch, seed)[0], batch['mask']))


def assert_same(found, golden, atol=1e-5):
  """States are the same, whatever is in them."""
  tf.nest.assert_same_structure(found, golden)
  for one, other in zip(tf.nest.flatten(found), tf.nest.flatten(golden)):
    np.testing.assert_allclose(one, other, atol=atol)


def variables_within(part, found=None):
  """Every variable that can be reached, whether Keras follows it or not."""
  found = {} if found is None else found
  if isinstance(part, keras.Variable):
    found[id(part)] = part
  elif isinstance(part, dict):
    for value in part.values():
      variables_within(value, found)
  elif isinstance(part, (list, tuple)):
    for value in part:
      variables_within(value, found)
  elif isinstance(part, keras.layers.Layer):
    variables_within(vars(part), found)
  return found


# ---------------------------------------------------------- every variable ----

VARIANTS = {
  'planet': dict(
    encoder=dict(channels=(2, 2, 2, 2), activation='elu', bits=5),
    image=dict(start=1, linear=3, channels=(3, 2, 2)),
    kl=dict(free_nats=0.1),
  ),
  'places': dict(
    encoder=dict(
      kind='spatial_softmax', channels=(2,), points=2, center=True, whiten=0.1
    ),
    dynamics=dict(cell='layer_norm_gru'),
    image=dict(share=0.5),
    kl=dict(posterior_scale=0.1, free='side'),
    overshooting=dict(steps=2, kl=1.0, reward=1.0, image=1.0),
  ),
  'more heads': dict(
    vectors={'speed': 3},
    heads={
      'discount': dict(kind='bernoulli', scale=1.0, units=4),
      'speed': dict(kind='normal', scale=1.0, units=4, normalization='layer'),
      'height': dict(kind='normal', scale=1.0, units=4, layers=1),
    },
    kl=dict(free='mean'),
  ),
  'deterministic': dict(dynamics=dict(latent='deterministic')),
  'stochastic': dict(dynamics=dict(recurrent=False)),
}


@pytest.mark.parametrize('name', VARIANTS)
def test_every_variable_is_known_named_and_gets_a_gradient(name):
  model = make(64, **VARIANTS[name])
  assert variables_within(model).keys() == {id(x) for x in model.variables}
  paths = [variable.path for variable in model.variables]
  assert len(set(paths)) == len(paths)
  frozen = {x.path for x in model.non_trainable_variables}
  assert {path.split('/')[-1] for path in frozen} == {
    'mean_image',
    'spread_image',
  }
  variables = model.trainable_variables
  batch = tensors(make_batch(64, steps=5))
  with tf.GradientTape() as tape:
    value = model.total(model.loss(batch, SEED)[0], batch['mask'])
  gradients = tape.gradient(value, [x.value for x in variables])
  for variable, by in zip(variables, gradients, strict=True):
    assert by is not None and np.abs(by).max() > 0, variable.path
    assert np.isfinite(by).all(), variable.path
  assert np.isfinite(value)


# --------------------------------------------------- losses and their time ----


def test_every_term_is_of_each_step():
  model = make(64, **VARIANTS['more heads'])
  assert model.keys == ('image', 'reward', 'discount', 'speed', 'height')
  terms, posterior = loss(model, make_batch(64))
  assert terms.keys() == {*model.keys, 'kl', 'divergence'}
  # No vector may be called as one that is of no head.
  for name in model._scales.keys() - {*model.keys}:
    assert task_checks._TERMS.fullmatch(name), name
  for name, value in terms.items():
    assert value.shape == (B, T), name
  assert model.features(posterior).shape == [B, T, model.features_size]


def test_heads_are_paired_with_the_step_they_describe():
  """features[:, t] against image, reward, discount, vector [:, t]."""
  model, batch = make(64, **VARIANTS['more heads']), make_batch(64)
  terms, posterior = loss(model, batch)
  features = model.features(posterior)
  means = {key: model.head(key).mean(features).numpy() for key in model.keys}
  truth = batch | {'image': batch['image'] / 255.0 - 0.5}

  def pair(key, shift=0):
    target = np.roll(truth[key], shift, 1)
    if key == 'discount':
      return -np.log(np.where(target == 1, means[key], 1 - means[key]))
    squares = 0.5 * np.square(means[key] - target)
    return squares.reshape([B, T, -1]).sum(-1)

  for key in model.keys:
    # The image's likelihood is a sum of thousands of pixels.
    atol = 1e-2 if key == 'image' else 1e-4
    np.testing.assert_allclose(terms[key], pair(key), rtol=1e-3, atol=atol)
    # What this test is for: off by one, it would fail.
    for shift in (-1, 1):
      wrong = np.abs(terms[key] - pair(key, shift)).max(-1)
      assert wrong.min() > 50 * atol, key


def changed_at_each_step(batch, key):
  """Copies of the first member: in the one numbered t, key[:, t] is changed."""
  copies = {name: np.repeat(value[:1], T, 0) for name, value in batch.items()}
  for t in range(T):
    copies[key][t, t] = 200 if key == 'image' else 1 - copies[key][t, t]
  return copies


@pytest.mark.parametrize('key', ['reward', 'discount', 'height'])
def test_what_is_changed_at_t_costs_at_t(key):
  heads = dict(VARIANTS['more heads']['heads'])
  del heads['speed']  # What is seen as a vector changes the state too.
  model = make(dynamics=dict(latent='deterministic'), heads=heads)
  batch = make_batch()
  before, _ = loss(model, {k: v[:1] for k, v in batch.items()})
  after, _ = loss(model, changed_at_each_step(batch, key))
  moved = np.abs(after[key] - before[key]) > 1e-4
  np.testing.assert_array_equal(moved, np.eye(T, dtype=bool))
  for other in before.keys() - {key}:
    np.testing.assert_allclose(
      after[other], before[other].repeat(T, 0), atol=1e-6
    )


@pytest.mark.parametrize('key', ['action', 'image'])
def test_what_is_seen_or_done_at_t_changes_t_and_later(key):
  model, batch = make(dynamics=dict(latent='deterministic')), make_batch()
  before, _ = loss(model, {k: v[:1] for k, v in batch.items()})
  after, _ = loss(model, changed_at_each_step(batch, key))
  for term in ('reward', 'kl', 'divergence'):
    moved = np.abs(after[term] - before[term])
    for t in range(T):
      assert moved[t, :t].max(initial=0) < 1e-6, (term, t)
      # The action of a reset is not one.
      if t or key == 'image':
        assert moved[t, t] > 1e-5, (term, t)


def test_a_hand_made_chunk_is_learned_if_and_only_if_it_is_aligned():
  """reward[t] is action[t]; the images show nothing. Off by one: no chance."""
  model = make(dynamics=dict(deter=16, stoch=4, hidden=16))
  keras.utils.set_random_seed(0)
  for variable in model.trainable_variables:
    if len(variable.shape) == 2:
      variable.assign(keras.initializers.GlorotUniform()(variable.shape))
  first = [x.numpy() for x in model.trainable_variables]
  random = np.random.default_rng(0)
  true = random.uniform(-1, 1, [16, 8, A]).astype(np.float32)
  true[:, 0] = 0
  batch = make_batch(batch=16, steps=8)
  batch['image'][:] = 128
  batch['is_first'][1, 3] = False
  batch['mask'][:] = 1
  batch['reward'] = true[..., 0]
  adam = keras.optimizers.Adam(0.02)
  adam.build(model.trainable_variables)

  @tf.function
  def update(batch, seed):
    with tf.GradientTape() as tape:
      terms, _ = model.loss(batch, seed)
      value = model.total(terms, batch['mask'])
    variables = model.trainable_variables
    adam.apply(tape.gradient(value, [v.value for v in variables]), variables)
    return tf.reduce_mean(terms['reward'][:, 1:])

  variance = 0.5 * true[:, 1:, 0].var()
  rest = {}
  for shift in (0, 1):
    for variable, value in zip(model.trainable_variables, first):
      variable.assign(value)
    for variable in adam.variables[2:]:
      variable.assign(tf.zeros_like(variable))
    batch['action'] = np.roll(true, shift, 1)
    chunk = tensors(batch)
    for index in range(50):
      cost = float(update(chunk, tf.constant([0, index])))
    rest[shift] = cost / variance
    if shift == 0:  # And what was learned is right in imagination.
      plan = random.uniform(-1, 1, [16, 5, A]).astype(np.float32)
      posterior, _ = model.observe(chunk)
      last = states.at(posterior, -1)
      reward = model.reward(model.imagine(last, tf.constant(plan)))
      error = np.square(reward - plan[..., 0]).mean()
      assert error < 0.3 * plan[..., 0].var()
  assert rest[0] < 0.3
  assert rest[1] > 0.5


def test_kl_is_that_of_the_states_that_observe_gives():
  batch = make_batch()
  model = make(kl=dict(free_nats=0.5, posterior_scale=0.1))
  terms, found = loss(model, batch)
  seed = tf.random.split(SEED, 4)[0]
  posterior, prior = model.observe(tensors(batch), seed=seed)
  assert_same(found, posterior, 0)
  golden = model.divergence(posterior, prior)
  assert golden.shape == [B, T] and np.ptp(golden) > 0.01
  np.testing.assert_allclose(terms['divergence'], golden, atol=1e-5)
  np.testing.assert_allclose(
    terms['kl'], np.maximum(golden - 0.5, 0), atol=1e-5
  )


def test_total_is_the_scaled_sum_of_masked_means():
  model = make(64, **VARIANTS['places'])
  mask = tf.constant([[1.0, 1.0, 0.0]])
  terms = {
    'image': [[1.0, 3.0, 99.0]],  # 2 on average
    'reward': [[0.5, 0.5, 99.0]],  # 10 * 0.5
    'kl': [[4.0, 6.0, 99.0]],  # 5
    'divergence': [[50.0, 50.0, 50.0]],  # Shown, not trained.
    'overshoot_kl': [[1.0, 1.0, 99.0]],
    'overshoot_reward': [[2.0, 2.0, 99.0]],
    'overshoot_image': [[3.0, 3.0, 99.0]],
  }
  terms = {key: tf.constant(value) for key, value in terms.items()}
  assert float(model.total(terms, mask)) == pytest.approx(2 + 5 + 5 + 6)


def test_a_reward_that_is_not_learned_is_not_learned_ahead_either():
  """With scale 0 it moves nothing, whatever `overshooting.reward` says."""
  model = make(
    overshooting=dict(steps=2, kl=1.0, reward=5.0),
    heads=dict(reward=REWARD | dict(scale=0.0)),
  )
  batch = tensors(make_batch())
  with tf.GradientTape() as tape:
    loss = model.total(model.loss(batch, SEED)[0], batch['mask'])
  variables = [x.value for x in model.head('reward').trainable_variables]
  assert variables and not any(
    x is not None for x in tape.gradient(loss, variables)
  )


def test_relative_losses_are_per_variance():
  """Rewards a hundred times as small, and means as well: the same loss."""
  options = dict(overshooting=dict(steps=2, kl=1.0, reward=1.0))
  plain = make(**options)
  relative = make(**options, heads=dict(reward=REWARD | dict(relative=1e-7)))
  small, large = make_batch(), make_batch()
  large['reward'] = large['reward'] * large['mask'] + 900 * (1 - large['mask'])
  small['reward'] = np.float32(0.01) * large['reward']
  real = large['reward'][large['mask'] > 0]
  relative.update_statistics(tensors(large))
  terms = [loss(model, large)[0] for model in (plain, relative)]
  for key in ('reward', 'overshoot_reward'):
    golden = terms[0][key] / real.var()
    shown = np.isfinite(golden) & (large['mask'] > 0)
    np.testing.assert_allclose(
      terms[1][key][shown], golden[shown], rtol=1e-4, atol=1e-6
    )
  np.testing.assert_allclose(terms[0]['kl'], terms[1]['kl'], rtol=1e-6)
  relative.head('reward')._mlp.variables[-2].assign(
    0.01 * relative.head('reward')._mlp.variables[-2]
  )
  relative.head('reward')._mlp.variables[-1].assign(
    0.01 * relative.head('reward')._mlp.variables[-1]
  )
  units = [x for x in relative.variables if 'units/' in x.path]
  assert len(units) == 3
  for variable in units:
    variable.assign(tf.zeros_like(variable))
  relative.update_statistics(tensors(small))
  found = loss(relative, small)[0]['reward']
  mask = large['mask'] > 0
  np.testing.assert_allclose(
    found[mask], terms[1]['reward'][mask], rtol=0.02, atol=1e-3
  )


def test_a_reward_that_never_varies_has_a_finite_loss():
  model = make(heads=dict(reward=REWARD | dict(relative=0.02)))
  batch = make_batch()
  batch['reward'] = np.ones_like(batch['reward'])
  model.update_statistics(tensors(batch))
  terms, _ = loss(model, batch)
  plain, _ = loss(make(), batch)
  np.testing.assert_allclose(terms['reward'], plain['reward'] / 0.02, rtol=1e-4)


@pytest.mark.parametrize('name', ['more heads', 'places'])
def test_padding_contributes_nothing(name):
  options = dict(VARIANTS[name])
  if name == 'more heads':
    options['kl'] = dict(free='mean', free_nats=0.5)
  model, batch = make(64, **options), make_batch(64)
  before = total(model, batch)
  for key in ('image', 'action', 'reward', 'discount', 'speed'):
    batch[key] = batch[key].copy()
    batch[key][-1, -2:] = 1
  assert total(model, batch) == pytest.approx(before, rel=1e-6)
  batch['reward'][0, -1] += 1  # Not padded.
  assert total(model, batch) != pytest.approx(before, rel=1e-6)


# ------------------------------------------------------------ overshooting ----


def overshoot(model, batch, posterior, steps, action=0, reward=0, truth=0):
  """(KL, reward) [B, T] of predictions, one step of one start at a time.

  The last three plant an error: so many steps off are what is predicted with
  and compared to.
  """
  kl, cost = np.zeros([2, B, T])
  starts = T - steps
  for t in range(starts):
    state = states.at(posterior, t)
    alive = np.ones(B)
    for d in range(1, steps + 1):
      now = tf.constant(batch['action'][:, t + d - action])
      state = model.step(state, now)
      alive = alive * ~batch['is_first'][:, t + d]
      weight = alive * batch['mask'][:, t + d] / steps * T / starts
      seen = states.at(posterior, t + d - truth)
      distance = model.divergence(seen, state).numpy()
      mean = model.reward(state).numpy()
      error = mean - batch['reward'][:, t + d - reward]
      kl[:, t] += weight * distance
      cost[:, t] += weight * 0.5 * np.square(error)
  return kl, cost


# The exact twin of several steps needs a model that does not draw.
@pytest.mark.parametrize(
  'latent,steps', [('deterministic', 3), ('gaussian', 1)]
)
def test_overshooting_is_that_of_single_steps(latent, steps):
  model = make(
    dynamics=dict(latent=latent),
    overshooting=dict(steps=steps, kl=1.0, reward=1.0),
    weights=1.5,
  )
  batch = make_batch()
  terms, posterior = loss(model, batch)
  found = terms['overshoot_kl'], terms['overshoot_reward']
  for mine, golden in zip(found, overshoot(model, batch, posterior, steps)):
    if latent == 'gaussian' and mine is found[1]:
      continue  # Of the reward, a drawn state is read.
    np.testing.assert_allclose(mine, golden, rtol=1e-4, atol=1e-5)
    assert not mine[:, T - steps :].any()
  # What this test is for: an action, a reward or a state that is off by one.
  for error, hit in (
    (dict(action=1), 0),
    (dict(reward=1), 1),
    (dict(truth=1), 0),
  ):
    wrong = overshoot(model, batch, posterior, steps, **error)[hit]
    assert np.abs(wrong - found[hit]).max() > 2e-3, error


# Of the model above with 3 steps, by start; so that model and twin cannot
# change together.
GOLDEN = {
  'overshoot_kl': [0.86423, 0.81241, 0.84141, 0.82888],
  'overshoot_reward': [18.67557, 21.06086, 23.61524, 26.16217],
}


def test_golden_numbers_of_overshooting():
  model = make(
    dynamics=dict(latent='deterministic'),
    overshooting=dict(steps=3, kl=1.0, reward=1.0),
    weights=1.5,
  )
  batch = make_batch()
  # Round numbers: these do not hang on numpy's generator.
  place = np.arange(T)
  batch['image'][:] = 0
  for t in range(T):
    batch['image'][:, t, 2 + t, 3] = 250
  batch['action'] = np.stack([place / 10, -place / 20], -1)[None].repeat(B, 0)
  batch['reward'] = place[None].repeat(B, 0) / 5
  batch = {
    key: value.astype(np.float32) if value.dtype == float else value
    for key, value in batch.items()
  }
  terms, _ = loss(model, batch)
  for key, golden in GOLDEN.items():
    found = terms[key][0]
    np.testing.assert_allclose(found[: T - 3], golden, rtol=1e-3)
    assert not found[T - 3 :].any()


def test_overshooting_stops_at_a_reset_and_trains_the_prior_alone():
  model = make(overshooting=dict(steps=2, kl=1.0, reward=0.0))
  batch = make_batch()
  batch['is_first'][:, 1:] = True  # Nothing can be predicted.
  terms, _ = loss(model, batch)
  assert not terms['overshoot_kl'].any()
  assert not terms['overshoot_reward'].any()
  chunk = tensors(make_batch())
  with tf.GradientTape() as tape:
    value = tf.reduce_sum(model.loss(chunk, SEED)[0]['overshoot_kl'][:, 4])
  # The truth is a posterior that is not moved towards what was predicted: of
  # the target's own images only those before the start matter.
  names = {x.path: x for x in model.trainable_variables}
  prior = names['dynamics/prior_out/kernel']
  assert np.abs(tape.gradient(value, prior.value)).max() > 0


def test_the_target_of_overshooting_has_no_gradient():
  """A term has one by the state that it starts from, and by none ahead."""
  model = make(overshooting=dict(steps=2, kl=1.0, reward=1.0))
  batch = tensors(make_batch())
  posterior, _ = model.observe(batch)
  with tf.GradientTape() as tape:
    tape.watch(posterior)
    terms = model.overshoot(batch, posterior, SEED)
    value = tf.reduce_sum(terms['overshoot_kl'][:, 4])
  by = [
    np.abs(x).max(-1)
    for x in tape.gradient(
      value, posterior, unconnected_gradients=tf.UnconnectedGradients.ZERO
    ).values()
  ]
  by = np.max(by, 0)  # [B, T]
  # Of the last member nothing is ahead but padding.
  assert by[:2, 4].min() > 1e-3 and not by[2].any()
  by[:, 4] = 0
  assert not by.any()


def test_overshot_images_are_those_of_the_predictions():
  # share = steps, so that all the frames are drawn.
  steps, length = 2, 4
  model = make(
    64,
    dynamics=dict(latent='deterministic'),
    image=dict(share=float(steps)),
    overshooting=dict(steps=steps, kl=0.0, reward=0.0, image=1.0),
  )
  batch = make_batch(64, batch=2, steps=length)
  terms, posterior = loss(model, batch)
  golden = np.zeros([2, length])
  for t in range(length - steps):
    state = states.at(posterior, t)
    alive = np.ones(2)
    for d in range(1, steps + 1):
      state = model.imagine(state, tf.constant(batch['action'][:, t + d, None]))
      state = states.at(state, 0)
      alive = alive * ~batch['is_first'][:, t + d]
      weight = alive * batch['mask'][:, t + d] / steps
      truth = batch['image'][:, t + d] / 255.0 - 0.5
      squares = 0.5 * np.square(model.image(state) - truth)
      golden[:, t] += weight * squares.sum((1, 2, 3)) * length / 2
  np.testing.assert_allclose(
    terms['overshoot_image'], golden, rtol=1e-3, atol=0.02
  )


# ------------------------------------------------------- a share of frames ----


def test_a_share_of_the_frames_is_unbiased():
  model = make(
    64, image=dict(share=0.25), dynamics=dict(latent='deterministic')
  )
  whole = make(64, dynamics=dict(latent='deterministic'))
  batch = make_batch(64, batch=2, steps=5)
  batch['is_first'][:, 1:] = False
  golden, _ = loss(whole, batch)
  chunk = tensors(batch)
  seeds = np.arange(120)

  @tf.function
  def shares(seed):
    return model.loss(chunk, tf.stack([seed, 1]))[0]['image']

  found = np.stack([shares(tf.constant(seed)) for seed in seeds])
  chosen = found != 0
  # 3 of 10 frames, others each time, each as dear as it is scarce.
  assert (chosen.sum((1, 2)) == 3).all()
  assert len(np.unique(chosen.reshape([120, -1]), axis=0)) > 40
  scaled = np.broadcast_to(golden['image'] * 10 / 3, found.shape)
  np.testing.assert_allclose(found[chosen], scaled[chosen], rtol=1e-3)
  # Four standard deviations of a mean of 120.
  often = chosen.mean(0)
  assert np.abs(often - 0.3).max() < 4 * np.sqrt(0.3 * 0.7 / 120)
  ratio = found.mean() / golden['image'].mean()
  assert ratio == pytest.approx(1, abs=0.02)


# ------------------------------------------------- pixels in and out again ----


def test_target_and_image_are_inverse():
  model, batch = make(64, **VARIANTS['places']), make_batch(64, 1, 6)
  model.fit_statistics(batch['image'][0])
  assert np.ptp(model.encoder.spread_image) > 0
  target = model.target(tensors(batch), 'image')
  state, _ = model.observe(tensors(batch))
  drawn = model.head('image').mean(model.features(state))
  image = model.image(state)
  truth = encoder.pixels(batch['image'])
  # Where the head draws the target, the image is the truth.
  factor = (truth - image) / (target - drawn)
  spread = np.broadcast_to(model.encoder.spread_image, factor.shape)
  np.testing.assert_allclose(factor, spread, rtol=1e-2)
  np.testing.assert_allclose(np.mean(target, 1), 0, atol=1e-4)


def test_five_bits_are_dequantized_in_training_only():
  model, batch = make(64, **VARIANTS['planet']), tensors(make_batch(64, 1, 2))
  plain = model.target(batch, 'image')
  np.testing.assert_array_equal(plain, encoder.pixels(batch['image'], 5))
  noise = (model.target(batch, 'image', SEED) - plain).numpy() * 32
  assert noise.min() > -1e-4 and noise.max() < 1 + 1e-4
  assert noise.mean() == pytest.approx(0.5, abs=0.02)
  for key in ('reward', 'discount'):
    target = model.target(batch, key, SEED)
    np.testing.assert_array_equal(target, batch[key])


# ------------------------------------------------------------------ states ----


def test_imagine_continues_what_observe_saw():
  model, batch = make(), make_batch()
  batch['is_first'][:, 1:] = False
  posterior, prior = model.observe(tensors(batch))
  seen = {key: value[:, :4] for key, value in tensors(batch).items()}
  head, _ = model.observe(seen)
  last = states.at(head, -1)
  imagined = model.imagine(last, tf.constant(batch['action'][:, 4:]))
  assert_same(head, states.between(posterior, None, 4), 1e-6)
  assert_same(states.at(imagined, 0), states.at(prior, 4))
  # And on, where the images are those that were expected: the mean.
  later = states.at(imagined, 0)
  rest = model.imagine(later, tf.constant(batch['action'][:, 5:]))
  assert_same(rest, states.between(imagined, 1, None))


def test_unlike_members_are_batches_of_one():
  model = make(64, **VARIANTS['more heads'])
  batch = make_batch(64)
  together, _ = model.observe(tensors(batch))
  for index in range(B):
    one = {key: value[index : index + 1] for key, value in batch.items()}
    alone, _ = model.observe(tensors(one))
    for read in (model.reward, model.discount, model.image):
      np.testing.assert_allclose(
        read(together)[index], read(alone)[0], atol=1e-4
      )
  assert np.ptp(model.reward(together), 0).min() > 1e-4


@pytest.mark.parametrize('heads', [{}, {'discount': dict(kind='none')}])
def test_discount_is_1_without_a_head(heads):
  model = make(heads=heads)
  assert model.keys == ('reward',)
  posterior, _ = model.observe(tensors(make_batch()))
  np.testing.assert_array_equal(model.discount(posterior), np.ones([B, T]))
  assert model.reward(posterior).shape == [B, T]


def test_discount_is_that_of_its_head():
  model = make(heads={'discount': VARIANTS['more heads']['heads']['discount']})
  posterior, _ = model.observe(tensors(make_batch()))
  logits = model.head('discount')(model.features(posterior))
  found = model.discount(posterior).numpy()
  np.testing.assert_allclose(found, tf.sigmoid(logits), rtol=1e-4)
  assert np.ptp(found) > 1e-3


def test_a_share_of_a_number_that_is_not_known():
  model = make(
    64, image=dict(share=0.25), dynamics=dict(latent='deterministic')
  )
  values = tensors(make_batch(64))
  specs = {
    key: tf.TensorSpec([None, *value.shape[1:]], value.dtype)
    for key, value in values.items()
  }
  known = tf.function(lambda x: model.loss(x, tf.constant([0, 1]))[0]['image'])
  dynamic = tf.function(known.python_function, input_signature=[specs])
  np.testing.assert_allclose(dynamic(values), known(values), rtol=1e-4)


# ---------------------------------------------------- a step, and the rest ----


def test_a_step_is_a_chunk_of_one():
  model, batch = make(64, **VARIANTS['more heads']), make_batch(64)
  chunk = tensors(batch)
  posterior, _ = model.observe(chunk)
  state = model.initial(B)
  for t in range(3):
    observation = {
      key: chunk[key][:, t] for key in ('image', 'speed', 'is_first')
    }
    state = model.observe_step(state, observation, chunk['action'][:, t])
    assert_same(state, states.at(posterior, t))
  action = chunk['action'][:, 3]
  imagined = model.imagine(state, action[:, None])
  assert_same(model.step(state, action), states.at(imagined, 0))


def test_without_a_seed_the_mean_and_with_one_a_draw():
  model, chunk = make(), tensors(make_batch())
  start = model.initial(B)
  observation = {key: chunk[key][:, 0] for key in ('image', 'is_first')}
  action = chunk['action'][:, 1]
  for read in (
    lambda seed: model.observe(chunk, seed=seed)[0],
    lambda seed: model.observe(chunk, seed=seed)[1],
    lambda seed: model.observe_step(start, observation, action, seed),
    lambda seed: model.step(start, action, seed),
    lambda seed: model.imagine(start, chunk['action'], seed),
  ):
    mean, drawn = (model.features(read(seed)) for seed in (None, SEED))
    np.testing.assert_array_equal(mean, model.features(read(None)))
    np.testing.assert_array_equal(drawn, model.features(read(SEED)))
    other = model.features(read(tf.constant([3, 5])))
    assert np.abs(drawn - mean).max() > 1e-3
    assert np.abs(drawn - other).max() > 1e-3


def test_observe_goes_on_from_a_state():
  model, batch = make(), make_batch()
  batch['is_first'][:, 0] = False
  chunk = tensors(batch)
  whole, _ = model.observe(chunk)
  head, tail = (states.between(chunk, *x) for x in ((0, 3), (3, None)))
  last = states.at(model.observe(head)[0], -1)
  assert_same(model.observe(tail, last)[0], states.between(whole, 3, None))


def test_one_model_does_not_disagree_with_itself():
  found = make().disagreement(make().initial(B), tf.zeros([B, A]))
  np.testing.assert_array_equal(found, np.zeros(B))


@pytest.mark.parametrize('name', ['planet', 'places'])
def test_a_drawing_is_the_image_in_colors(name):
  model, batch = make(64, **VARIANTS[name]), make_batch(64, 2, 3)
  model.fit_statistics(batch['image'][0])
  state, _ = model.observe(tensors(batch))
  drawn = model.drawing(state)
  assert drawn.dtype == tf.uint8 and drawn.shape == [2, 3, 64, 64, 3]
  golden = encoder.drawing(model.image(state), model.encoder.bits)
  np.testing.assert_array_equal(drawn, golden)
  assert np.ptp(drawn) > 0
  # What is drawn and what is there are numbers of the same kind.
  bits, middle = model.encoder.bits, {'planet': 0.5 / 32, 'places': 0.0}
  np.testing.assert_array_equal(
    model.pixels(batch['image']),
    encoder.pixels(batch['image'], bits) + middle[name],
  )


def test_the_mean_image_is_that_of_what_it_was_shown():
  batch = make_batch(64)
  plain, centered = make(64), make(64, **VARIANTS['places'])
  for model in (plain, centered):
    assert not np.any(model.mean_image)
    model.fit_statistics(batch['image'][0])
  assert not np.any(plain.mean_image)
  golden = encoder.pixels(batch['image'][0]).numpy().mean(0)
  np.testing.assert_allclose(centered.mean_image, golden, atol=1e-5)


def test_a_task_without_an_image():
  model = WorldModel(
    spec=Spec(A, image=None, vectors={'arm/speed': 3}),
    encoder=dict(vector_units=4, kind='spatial_softmax', center=True),
    dynamics=dict(kind='rssm', deter=4, stoch=2, hidden=5, activation='elu'),
    heads={
      'image': IMAGE | dict(kind='none'),
      'reward': REWARD,
      'arm/speed': REWARD,  # As dm_control.composer calls them.
    },
    kl=dict(scale=1.0, free_nats=0.0),
    overshooting=dict(steps=2, kl=1.0, reward=1.0, image=0.0),
  )
  assert model.keys == ('reward', 'arm/speed')
  batch = tensors(make_batch())
  del batch['image']
  batch['arm/speed'] = batch.pop('speed')
  with tf.GradientTape() as tape:
    terms, posterior = model.loss(batch, SEED)
    value = model.total(terms, batch['mask'])
  variables = [variable.value for variable in model.trainable_variables]
  for by in tape.gradient(value, variables):
    assert by is not None
  speed = model.head('arm/speed').mean(model.features(posterior))
  assert speed.shape == [B, T, 3]


# ----------------------------------------------- what the user reads of it ----


@pytest.mark.parametrize(
  'options,message',
  [
    (
      dict(dynamics=dict(kind='rsm')),
      "dynamics.kind is 'rsm'; it is one of ",
    ),
    (
      dict(dynamics=dict(cell='lstm')),
      "dynamics.cell is 'lstm'; it is one of gru, layer_norm_gru",
    ),
    (
      dict(encoder=dict(kind='conv')),
      "encoder.kind is 'conv'; it is one of ",
    ),
    (
      dict(heads={'reward': dict(kind='two_hot', scale=1.0, bins=4)}),
      'heads.reward.bins is 4; it is odd and at least 3',
    ),
    (
      dict(
        vectors={'speed': 3}, heads={'speed': dict(kind='bernoulli', scale=1.0)}
      ),
      "heads.speed.kind is 'bernoulli', which predicts one number, not [3]",
    ),
    (
      dict(heads={'reward': dict(kind='keypoints', scale=1.0)}),
      'heads.reward.kind is one that draws images; one step is []',
    ),
    (
      dict(heads={'reward': dict(REWARD, normalization='batch')}),
      "heads.reward.normalization is 'batch'; it is one of none, layer",
    ),
  ],
)
def test_an_option_is_named_with_its_group(options, message):
  with pytest.raises(errors.OptionError) as caught:
    make(**options)
  assert str(caught.value).startswith(message)
