"""Every file in agents/ with a class Agent is under these tests.

The config of agents/NAME.py is configs/NAME.py:debug; an agent without one is
made of nothing but the spec of its task.
"""

import importlib
import pathlib
from concurrent import futures

import batches
import keras
import memory_test
import numpy as np
import pytest
import tensorflow as tf

from worldmodels import configs
from worldmodels import kinds
from worldmodels import losses
from worldmodels.agents.runs import build
from worldmodels.agents.runs import checkpoint
from worldmodels.spec import Spec

CONFIGS = pathlib.Path(configs.__file__).parent
NAMES = kinds.names('worldmodels.agents', 'Agent')


def find(name):
  return kinds.find('worldmodels.agents', name, 'Agent')


LEARNERS = [name for name in NAMES if hasattr(find(name), 'train')]
B, T, A = 3, 8, 2
SPEC = Spec(actions=A)
SEED = tf.constant([1, 2])
NO, YES = tf.constant(False), tf.constant(True)


def make(name):
  if not (CONFIGS / f'{name}.py').exists():
    return find(name)(spec=SPEC)
  config = importlib.import_module(f'{configs.__name__}.{name}')
  return build.agent(config.get_config('debug'), SPEC)


@pytest.fixture(scope='module', autouse=True)
def refused():
  """A future of the check of what is said where there is no memory.

  TensorFlow looks for it for ten seconds; the other tests here run meanwhile.
  """
  with futures.ThreadPoolExecutor(1) as thread:
    yield thread.submit(memory_test.check_that_keys_are_named, tf.zeros)


@pytest.fixture(scope='module')
def made():
  """An agent of each name, made once: it takes seconds."""
  return {name: make(name) for name in NAMES}


def observe(first=(False,) * B, seed=0):
  return batches.observation(SPEC, first, seed)


def make_batch(seed=0):
  return batches.chunks(SPEC, B, T, seed)


def flat(state):
  """The arrays of a state by their paths."""
  found = {}
  for key, value in state.items():
    if isinstance(value, dict):
      found |= {f'{key}/{name}': x for name, x in flat(value).items()}
    else:
      found[key] = value.numpy()
  return found


def values_of(agent):
  return {x.path: x.numpy() for x in agent.state_variables}


def variables_within(part, found, seen):
  """Every variable that can be reached, whether Keras follows it or not."""
  if isinstance(part, keras.Variable):
    found[id(part)] = part
  elif isinstance(part, keras.optimizers.Optimizer):
    variables_within(part.variables, found, seen)
  elif isinstance(part, keras.layers.Layer):
    if id(part) not in seen:
      seen.add(id(part))
      variables_within(vars(part), found, seen)
  elif isinstance(part, dict):
    variables_within(list(part.values()), found, seen)
  elif isinstance(part, (list, tuple)):
    for value in part:
      variables_within(value, found, seen)
  return found


def test_the_agents_are_found():
  assert {'planet', 'dreamer', 'model_free', 'uniform'} <= set(NAMES)
  assert {'planet', 'dreamer', 'model_free', 'plan2explore'} <= set(LEARNERS)


# ----------------------------------------------------------------- acting ----


@pytest.mark.parametrize('name', NAMES)
def test_actions_and_states(name, made):
  agent = made[name]
  state = agent.initial(B)
  for step in range(3):
    observation = observe([step == 0] * B, seed=step)
    action, after = agent.policy(observation, state, YES, SEED + step)
    assert action.shape == [B, A] and action.dtype == tf.float32
    assert np.abs(action).max() <= 1
    assert {key: (x.shape, x.dtype) for key, x in flat(after).items()} == {
      key: (x.shape, x.dtype) for key, x in flat(state).items()
    }
    np.testing.assert_array_equal(after['action'], action)
    # Unlike members are treated unlike.
    assert np.ptp(action, 0).max() > 0
    state = after


@pytest.mark.parametrize('name', NAMES)
def test_the_seed_decides(name, made):
  agent = made[name]
  state = agent.initial(B)
  first, _ = agent.policy(observe(), state, YES, SEED)
  tf.random.set_seed(7)  # No other source of randomness.
  again, _ = agent.policy(observe(), state, YES, SEED)
  np.testing.assert_array_equal(first, again)
  other, _ = agent.policy(observe(), state, YES, SEED + 1)
  assert np.abs(first - other).max() > 0


@pytest.mark.parametrize('name', NAMES)
def test_a_reset_forgets_its_own_member_only(name, made):
  agent = made[name]
  random = np.random.default_rng(3)

  def some(value):
    if value.dtype == tf.uint8:  # Images.
      return tf.constant(random.integers(0, 256, value.shape, np.uint8))
    return tf.constant(random.uniform(-1, 1, value.shape), value.dtype)

  used = tf.nest.map_structure(some, agent.initial(B))
  mixed = observe([True, False, True])
  found, state = agent.policy(mixed, used, NO, SEED)
  fresh, initial = agent.policy(mixed, agent.initial(B), NO, SEED)
  forgets = [True, False, True]
  state, initial = flat(state), flat(initial)
  for key in state:
    same = np.abs(state[key] - initial[key]).max(-1) < 1e-5
    assert same[forgets].all(), key
  np.testing.assert_allclose(found[::2], fresh[::2], atol=1e-5)
  if len(state) > 1:  # It has a memory, which only a reset takes away.
    moved = [np.abs(state[key][1] - initial[key][1]).max() for key in state]
    assert max(moved) > 1e-4


# --------------------------------------------------------------- learning ----


@pytest.mark.parametrize('name', LEARNERS)
def test_every_variable_is_in_the_state_under_its_own_name(name, made):
  state = made[name].state_variables
  paths = [variable.path for variable in state]
  assert len(set(paths)) == len(paths) == len({id(x) for x in state})
  within = variables_within(made[name], {}, set())
  missing = {x.path for key, x in within.items() if key not in map(id, state)}
  assert not missing


@pytest.mark.parametrize('name', LEARNERS)
def test_every_variable_trains(name, made):
  agent = made[name]
  agent.fit_statistics(tf.reshape(make_batch()['image'], [-1, *SPEC.image]))
  before = values_of(agent)
  for update in range(3):
    values = agent.train(make_batch(update), tf.constant([0, update]))
    for key, value in values.items():
      assert value.shape == [] and np.isfinite(value), key
  after = values_of(agent)
  trained = {variable.path for variable in agent.trainable_variables}
  assert trained and trained <= before.keys()
  for path in trained:
    assert not np.array_equal(before[path], after[path]), path
    assert np.isfinite(after[path]).all(), path
  # What is frozen stays; the optimizer's own goes on.
  layers = [layer for layer, _ in agent.optimized]
  inside = {x.path for layer in layers for x in layer.variables}
  for path in (inside & before.keys()) - trained:
    np.testing.assert_array_equal(before[path], after[path], err_msg=path)


@pytest.mark.parametrize('name', LEARNERS)
@pytest.mark.parametrize('key', ['reward', 'action'])
def test_a_poisoned_batch_is_skipped_and_counted(name, key, made):
  agent = made[name]
  agent.train(make_batch(), SEED)
  before, (skipped, _) = values_of(agent), agent.skipped
  batch = make_batch()
  poison = batch[key].numpy()
  poison[1, 2] = np.nan
  for count in (1, 2):
    agent.train(batch | {key: tf.constant(poison)}, SEED)
    assert agent.skipped == (skipped + count, count)
    for path, value in values_of(agent).items():
      if path.split('/')[-1] not in ('skipped', 'skipped_run'):
        np.testing.assert_array_equal(value, before[path], err_msg=path)
  agent.train(make_batch(), SEED)
  assert agent.skipped == (skipped + 2, 0)


@pytest.fixture
def eagerly():
  """Computes step by step: another agent would need graphs of its own."""
  tf.config.run_functions_eagerly(True)
  yield
  tf.config.run_functions_eagerly(False)


@pytest.mark.parametrize('name', LEARNERS)
def test_every_variable_is_restored(name, made, tmp_path, eagerly):
  agent = made[name]
  agent.train(make_batch(), SEED)
  saved = values_of(agent)
  action, _ = agent.policy(observe(), agent.initial(B), NO, SEED)
  checkpoint.save(tmp_path, agent.state_variables, dict(updates=1))
  for variable in agent.state_variables:
    variable.assign(variable.numpy() + 1)
  changed = values_of(agent)
  for path, value in saved.items():
    assert not np.array_equal(value, changed[path]), path
  other, _ = agent.policy(observe(), agent.initial(B), NO, SEED)
  assert np.abs(action - other).max() > 0
  # Into the same agent, and into a new one: its names are no others, however
  # many agents this process has made.
  fresh = make(name)
  for target in (agent, fresh):
    assert checkpoint.restore(tmp_path, target.state_variables)['updates'] == 1
    restored = values_of(target)
    assert restored.keys() == saved.keys()
    for path, value in saved.items():
      np.testing.assert_array_equal(value, restored[path], err_msg=path)
    again, _ = target.policy(observe(), target.initial(B), NO, SEED)
    np.testing.assert_array_equal(action, again)
  # Both go on alike: there is no other state.
  for target in (agent, fresh):
    target.train(make_batch(1), SEED + 1)
  for path, value in values_of(agent).items():
    np.testing.assert_array_equal(value, values_of(fresh)[path], err_msg=path)


@pytest.mark.parametrize('name', LEARNERS)
def test_the_checkpoint_of_another_size_is_refused_by_name(
  name, made, tmp_path
):
  agent = made[name]
  checkpoint.save(tmp_path, agent.state_variables, dict(updates=1))
  path = agent.trainable_variables[-1].path
  other = [
    keras.Variable(np.zeros([7, 7]), name=x.path.replace('/', '.'))
    if x.path == path
    else x
    for x in agent.state_variables
  ]
  before = values_of(agent)
  with pytest.raises(
    checkpoint.CheckpointError,
    match=rf'{path.replace("/", ".")} is .* and \(7, 7\) in the agent',
  ):
    checkpoint.restore(tmp_path, other)
  for key, value in values_of(agent).items():
    np.testing.assert_array_equal(value, before[key])


def test_a_relative_loss_knows_its_first_batch(eagerly):
  del eagerly
  config = importlib.import_module(f'{configs.__name__}.planet')
  config = config.get_config('debug')
  config.heads.reward.relative = 0.02
  agent, batch = build.agent(config, SPEC), make_batch()
  terms, _ = agent.model.loss(batch, SEED)
  plain = losses.masked_mean(terms['reward'] * 0.02, batch['mask'])
  real = np.asarray(batch['reward'])[np.asarray(batch['mask']) > 0]
  metrics, _, _ = agent.train_model(batch, SEED)
  np.testing.assert_allclose(
    metrics['reward_loss'], plain / (real.var() + 0.02), rtol=1e-4
  )


def test_an_update_without_memory_names_the_keys(refused):
  refused.result()  # Raises what the check has found.
