"""Pins the numbers of PlaNet and Dreamer: a change of code that is to change
none of them has to leave these as they are.

tests/golden/{planet,dreamer}.npz were recorded with the code of commit 12cfe02,
before its modules, classes and variables got the names of today: the preset
`debug`, all in float32, on three chunks of a random episode of the task `hill`.

    before/PATH      every variable of a new agent, of seed 0
    batch/KEY        the chunks
    loss/TERM, total the model's loss of them, of seed [1, 2]
    action/STEP/EXPLORE, state/KEY
                     actions for the first three steps, each state being that
                     after exploring; and the last state
    plan             what is planned from there
    metric/NAME      of one update with seed [0, 0]
    after/PATH       every variable then
    diagnosis/NAME, open_loop/NAME
                     what the agent then says of its behavior and its model

Whoever means to change a number records anew and says why in the commit.
"""

import pathlib
import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from worldmodels import prediction
from worldmodels.agents.runs import build
from worldmodels.configs import dreamer
from worldmodels.configs import planet
from worldmodels.spec import Spec

FOLDER = pathlib.Path(__file__).parent / 'golden'
CONFIGS = {'planet': planet, 'dreamer': dreamer}
FLOAT32 = {
  'encoder.precision': 'float32',
  'heads.image.precision': 'float32',
}
# Of what is below 1, the error itself; else its share.
TOLERANCE = 1e-5
# Of values that are next to 0 after one update: rounding moves it.
LOOSE = {'diagnosis/value_correlation': 1e-3}
# What a variable was called: (its name today, its name then).
OLD_NAMES = (
  (r'^learner/', ''),
  (r'/learner_', '/'),
  (r'/average_learner\.', '/average_'),
  (r'^dynamics/', 'rssm/'),
  (r'/dynamics_', '/rssm_'),
  (r'/average_dynamics\.', '/average_rssm.'),
  (r'^return_scale/range$', 'actor_critic/range'),
  (r'^critic/updates$', 'actor_critic/updates'),
)
CONTEXT = 3


def old_name(path):
  for name, old in OLD_NAMES:
    path = re.sub(name, old, path)
  return path


def under(record, group):
  """What is recorded as group/NAME: {NAME: array}."""
  start = f'{group}/'
  return {
    key.removeprefix(start): value
    for key, value in record.items()
    if key.startswith(start)
  }


def named(group, values):
  return {f'{group}/{key}': np.asarray(value) for key, value in values.items()}


def variables_of(agent):
  return {old_name(x.path): x for x in agent.state_variables}


def repeat(config, record):
  """Does once more what was recorded: {name: array}."""
  keras.utils.set_random_seed(0)
  agent = build.agent(config, Spec(actions=record['batch/action'].shape[-1]))
  variables, before = variables_of(agent), under(record, 'before')
  found = named('before', variables)
  assert variables.keys() == before.keys()
  for name, variable in variables.items():
    variable.assign(before[name])
  batch = {
    key: tf.constant(value) for key, value in under(record, 'batch').items()
  }
  # The model's loss.
  terms, _ = agent.model.loss(batch, tf.constant([1, 2]))
  found |= named('loss', terms)
  found['total'] = np.asarray(agent.model.total(terms, batch['mask']))
  # Acting.
  state = agent.initial(batch['mask'].shape[0])
  for step in range(3):
    observation = {key: batch[key][:, step] for key in ('image', 'is_first')}
    for explore in (False, True):
      action, after = agent.policy(
        observation, state, tf.constant(explore), tf.constant([3, step])
      )
      found[f'action/{step}/{explore}'] = action.numpy()
    state = after
  found |= named('state', state['model'] | {'action': state['action']})
  plan = agent.plan(state['model'], tf.constant([[1, 2], [3, 4]]))
  found['plan'] = plan.actions.numpy()
  # Learning.
  found |= named('metric', agent.train(batch, tf.constant([0, 0])))
  found |= named('after', variables)
  figures, _ = agent.diagnose(batch, CONTEXT, tf.constant([0, 0]))
  found |= named('diagnosis', figures)
  errors = prediction.errors(agent.model, batch, CONTEXT)
  del errors['copy_reward']  # It came later.
  return found | named('open_loop', errors)


@pytest.fixture(scope='module', params=CONFIGS)
def both(request):
  """What is found, and what is recorded."""
  with np.load(FOLDER / f'{request.param}.npz') as file:
    record = dict(file)
  config = CONFIGS[request.param].get_config('debug')
  config.update_from_flattened_dict(FLOAT32)
  return repeat(config, record), record


def errors_of(found, record):
  """The error of each name where it is larger than its tolerance."""
  wrong = {}
  for name, value in found.items():
    golden = record[name]
    assert value.shape == golden.shape, name
    error = np.abs(value - golden) / np.maximum(1.0, np.abs(golden))
    if not np.max(error) <= LOOSE.get(name, TOLERANCE):
      wrong[name] = float(np.max(error))
  return wrong


@pytest.mark.parametrize(
  'group',
  [
    *('before', 'loss', 'total', 'action', 'state', 'plan'),
    *('metric', 'after', 'diagnosis', 'open_loop'),
  ],
)
def test_the_numbers_are_those_recorded(both, group):
  found, record = (
    {key: x for key, x in some.items() if key.split('/')[0] == group}
    for some in both
  )
  if group == 'before':  # The images that these are of were not recorded.
    for name in ('mean_image', 'spread_image'):
      del found[f'before/encoder/encoder/{name}']
      del record[f'before/encoder/encoder/{name}']
  assert found.keys() == record.keys()
  assert errors_of(found, record) == {}


def test_nothing_recorded_is_left_out(both):
  found, record = both
  batch = {f'batch/{key}' for key in under(record, 'batch')}
  assert found.keys() | batch == record.keys()


def test_a_number_that_differs_is_found():
  record = {'a': np.array([0.5, 100.0]), 'b': np.array(2.0)}
  assert errors_of({'a': record['a'] + 4e-6}, record) == {}
  assert errors_of({'a': record['a'] + [0, 9e-4]}, record) == {}
  wrong = {'a': record['a'] + [4e-5, 0], 'b': np.array(np.nan)}
  assert errors_of(wrong, record).keys() == {'a', 'b'}
