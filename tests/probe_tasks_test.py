"""Every agent that learns solves the tasks of probe_tasks.py.

Asserted are the reward that its model imagines, of any action, where it thinks
that the episode ends, what it does, and, where there is a critic, what it
expects; of an agent without a model the last two. The config is
configs/NAME.py:debug with the values of SMALL that it has; a new agent is under
these tests as soon as its file exists.
"""

import importlib

import keras
import numpy as np
import probe_tasks
import pytest
import tensorflow as tf
from probe_tasks import PROBES

from worldmodels import configs
from worldmodels import kinds
from worldmodels import states
from worldmodels.agents import learner
from worldmodels.agents.runs import build
from worldmodels.spec import Spec

LEARNERS = [
  name
  for name in kinds.names('worldmodels.agents', 'Agent')
  if hasattr(kinds.find('worldmodels.agents', name, 'Agent'), 'train')
]
SPEC = Spec(actions=1, image=(probe_tasks.SIDE, probe_tasks.SIDE, 3))
GAMMA = 0.5  # far from 1, so that a discount too many or too few shows
SMALL = {
  'encoder.channels': (8,),
  'encoder.precision': 'float32',
  'heads.image.side': probe_tasks.SIDE // 2,
  'heads.image.channels': (),
  'heads.image.scale': 0.1,
  'heads.image.share': 1.0,
  'heads.image.precision': 'float32',
  'heads.discount.kind': 'bernoulli',
  'heads.discount.scale': 1.0,
  'heads.discount.units': 24,
  'overshooting.steps': 2,
  'optimizer.rate': 3e-3,
  'optimizer.average': 0.0,
  'planner.horizon': 2,
  'planner.candidates': 64,
  'planner.elites': 8,
  'planner.iterations': 4,
  'learner.gamma': GAMMA,
  'learner.lambda_': 0.5,
  'learner.horizon': 2,
  'learner.starts': 32,
  'learner.entropy': 0.0,
  'learner.actor.optimizer.rate': 3e-3,
  'learner.actor.optimizer.average': 0.0,
  'learner.actor.distributions.truncated_normal.init_std': 0.3,
  'learner.critic.optimizer.rate': 3e-3,
  'learner.critic.slow_share': 0.1,
  'learner.temperature': 0.01,
  'learner.temperature_rate': 1e-6,
  'agent.shift': 1,
}
CHUNKS = 8  # of a batch
# Of an agent without a model, which takes one transition out of each.
MANY = 32
SIGNS = np.array([-1.0, 1.0])
NO, SEED = tf.constant(False), tf.constant([1, 2])


def config_of(name):
  config = importlib.import_module(f'{configs.__name__}.{name}')
  config = config.get_config('debug')
  there = {key for key, _ in flat(config.to_dict())}
  config.update_from_flattened_dict(
    {key: value for key, value in SMALL.items() if key in there}
  )
  return config


def flat(group, start=''):
  for key, value in group.items():
    if isinstance(value, dict):
      yield from flat(value, f'{start}{key}.')
    else:
      yield f'{start}{key}', value


@pytest.fixture(scope='module', params=LEARNERS)
def made(request):
  """An agent and its first parameters: traced once for all tasks."""
  keras.utils.set_random_seed(0)
  agent = build.agent(config_of(request.param), SPEC)
  first = [variable.numpy() for variable in agent.state_variables]
  return agent, first


def learn(agent, first, probe):
  """Learns a task from the first parameters on."""
  for variable, value in zip(agent.state_variables, first, strict=True):
    variable.assign(value)
  agent.fit_statistics(tf.constant(probe_tasks.image([-1, 1, 0, 0])))
  random = np.random.default_rng(0)
  for update in range(probe.updates):
    count = CHUNKS if agent.model else MANY
    batch = states.tensors(probe_tasks.batch(probe, count, random))
    agent.train(batch, tf.constant([0, update]))


def value_of(agent):
  """The value function, where the agent has a critic."""
  found = getattr(agent, 'learner', None)
  base = learner.Learner.value
  return None if getattr(type(found), 'value', base) is base else found.value


def test_who_learns_and_who_has_a_critic(made):
  agent, _ = made
  assert {'planet', 'dreamer', 'model_free'} <= set(LEARNERS)
  assert (value_of(agent) is not None) or agent.name != 'dreamer'


@pytest.mark.parametrize('name', PROBES)
def test_it_is_solved(name, made):
  agent, first = made
  probe = PROBES[name]
  learn(agent, first, probe)
  # At the resets, one of each sign.
  observation = states.tensors(
    {'image': probe_tasks.image(SIGNS), 'is_first': np.array([True, True])}
  )
  action, after = agent.policy(observation, agent.initial(2), NO, SEED)
  # What it does, with the action that is right for each sign.
  best = np.zeros(2) if probe.best is None else probe.best(SIGNS)
  if probe.best is not None:
    np.testing.assert_allclose(action[:, 0], best, atol=0.3)
  power = GAMMA ** (probe.steps - 1)
  if agent.model is None:
    # What its critics expect of that.
    right = tf.constant(best[:, None], tf.float32)
    found = agent.learner.critics.lower(agent.encoder(after['seen']), right)
    golden = power * probe.reward(SIGNS, best)
    np.testing.assert_allclose(found, golden, atol=0.25)
    return
  start = after['model']
  # What the model expects of any action, and where it sees the end.
  for number in (-1.0, 0.0, 1.0):
    actions = np.full([2, probe.steps, 1], number, np.float32)
    imagined = agent.model.imagine(start, tf.constant(actions))
    golden = np.zeros([2, probe.steps])
    golden[:, -1] = probe.reward(SIGNS, actions[:, -1, 0])
    reward = agent.model.reward(imagined).numpy()
    np.testing.assert_allclose(reward, golden, atol=0.3)
    going = np.arange(probe.steps) < probe.steps - 1
    discount = agent.model.discount(imagined).numpy()
    np.testing.assert_allclose(discount, [going, going], atol=0.2)
  # What it expects of the reset and of the state that comes next.
  value = value_of(agent)
  if value is not None:
    golden = probe.reward(SIGNS, best)
    found = value(agent.model.features(start)).numpy()
    np.testing.assert_allclose(found, power * golden, atol=0.25)
    if probe.steps == 2:
      next_ = states.at(imagined, 0)
      found = value(agent.model.features(next_)).numpy()
      np.testing.assert_allclose(found, golden, atol=0.25)
