"""Values of a config that contradict each other are named in one line."""

import subprocess
import sys

import pytest

from worldmodels.agents.runs import build
from worldmodels.agents.runs import config_checks
from worldmodels.configs import dreamer
from worldmodels.configs import planet


def check(made, key, value, message):
  """Checks a config, and then what is said with that key set."""
  config_checks.check(made)
  made.update_from_flattened_dict({key: value})
  with pytest.raises(build.ConfigError, match=message) as caught:
    config_checks.check(made)
  assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
  'key,value,message',
  [
    ('train.batch', 0, 'train.batch is 0; it is at least 1'),
    ('train.updates', -1, 'train.updates is -1; it is at least 1'),
    ('train.seed_episodes', 0, 'train.seed_episodes is 0; it is at least 1'),
    ('train.checkpoints', 0, 'train.checkpoints is 0'),
    ('train.first_updates', -1, 'train.first_updates is -1; it is at least 0'),
    ('train.episodes', 1, r'episodes is 1; .*seed_episodes \(2\)'),
    ('train.length', 4, r'length is 4; .*overshooting.steps \+ 1 \(4\)'),
    ('store.capacity', -1, 'store.capacity is -1; it is at least 0'),
    ('evaluate.every', 0, 'evaluate.every is 0'),
    ('evaluate.episodes', 0, 'evaluate.episodes is 0'),
    ('evaluate.last_episodes', 0, 'evaluate.last_episodes is 0'),
    ('evaluate.context', 0, 'evaluate.context is 0'),
    ('evaluate.horizon', 0, 'evaluate.horizon is 0'),
    ('planner.horizon', 0, 'planner.horizon is 0'),
    ('planner.iterations', 0, 'planner.iterations is 0'),
    ('planner.elites', 13, r'elites is 13; .*candidates \(12\)'),
    ('planner.elites', 0, 'elites is 0'),
    ('heads.image.kind', 'none', 'heads.image.kind is none'),
    ('heads.reward.kind', 'none', 'heads.reward.kind is none'),
    ('seed', -1, 'seed is -1'),
    ('seed', 2**32, 'seed is 4294967296'),
  ],
)
def test_what_contradicts_itself_is_named(key, value, message):
  check(planet.get_config('debug'), key, value, message)


@pytest.mark.parametrize(
  'key,value,message',
  [
    ('learner.horizon', 0, 'learner.horizon is 0; it is at least 1'),
    ('learner.starts', -1, 'learner.starts is -1; it is at least 0'),
    ('learner.critic.slow_every', 0, 'learner.critic.slow_every is 0'),
  ],
)
def test_what_contradicts_itself_in_a_learner_is_named(key, value, message):
  check(dreamer.get_config('debug'), key, value, message)


@pytest.mark.parametrize('configs', [planet, dreamer])
def test_every_bound_is_of_a_key_that_there_is(configs):
  """A key that is called otherwise would pass with any value."""
  there = set()
  for made in (planet, dreamer):
    there |= set(config_checks.flatten(made.get_config('debug').to_dict()))
  bounds = (*config_checks._POSITIVE, *config_checks._NOT_NEGATIVE)
  assert set(bounds) <= there
  for preset in configs.PRESETS:
    config_checks.check(configs.get_config(preset))


def test_groups_that_not_every_agent_has_may_be_absent():
  config = planet.get_config('debug')
  del config['planner']
  config_checks.check(config)


def test_nested_groups_become_dotted_keys():
  tree = {'a': 1, 'b': {'c': (2, 3), 'd': {'e': None}}, 'f': {}}
  assert config_checks.flatten(tree) == {'a': 1, 'b.c': (2, 3), 'b.d.e': None}


def test_they_are_checked_before_tensorflow_is_there():
  code = (
    'import sys\n'
    'from worldmodels.agents.runs import config_checks\n'
    'from worldmodels.configs import planet\n'
    "config_checks.check(planet.get_config('debug'))\n"
    "assert 'tensorflow' not in sys.modules and 'keras' not in sys.modules"
  )
  subprocess.run([sys.executable, '-c', code], check=True)
