"""Values of a config that contradict each other are named in one line."""

import subprocess
import sys

import ml_collections
import pytest

from worldmodels.agents.runs import build
from worldmodels.agents.runs import config_checks
from worldmodels.agents.runs import config_keys
from worldmodels.agents.runs import contradictions
from worldmodels.configs import dreamer
from worldmodels.configs import pets
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
    ('train.batch', 0, 'train.batch is 0; it is 1 to 65536'),
    ('train.updates', -1, 'train.updates is -1; it is 1 to 1000000'),
    ('train.seed_episodes', 0, 'train.seed_episodes is 0; it is at least 1'),
    ('train.checkpoints', 0, 'train.checkpoints is 0'),
    ('train.first_updates', -1, 'train.first_updates is -1; it is 0 to 1'),
    ('train.episodes', 1, r'episodes is 1; .*seed_episodes \(2\)'),
    ('train.length', 4, r'length is 4; .*overshooting.steps \+ 1 \(4\)'),
    ('store.capacity', -1, 'store.capacity is -1; it is at least 0'),
    ('environment.step_limit', -1, 'step_limit is -1; it is at least 0'),
    ('evaluate.every', 0, 'evaluate.every is 0; it is at least 1'),
    ('evaluate.episodes', 0, 'evaluate.episodes is 0'),
    ('evaluate.last_episodes', 0, 'evaluate.last_episodes is 0'),
    ('evaluate.context', 0, 'evaluate.context is 0'),
    ('evaluate.horizon', 0, 'evaluate.horizon is 0'),
    ('planner.horizon', 0, 'planner.horizon is 0'),
    ('planner.iterations', 0, 'planner.iterations is 0'),
    ('planner.elites', 13, r'elites is 13; .*candidates \(12\)'),
    ('planner.elites', 0, 'elites is 0'),
    ('planner.replan', 5, r'replan is 5; a plan has planner.horizon \(4\)'),
    ('planner.particles', 4, 'particles is 4, all alike: give them'),
    ('planner.common', True, 'common is True, and nothing is drawn: give it'),
    ('planner.risk', 'optimism', 'particles is 1; planner.risk .* at least 2'),
    ('planner.risk', 'disagreement', 'the dynamics have one member, which'),
    ('planner.risk', 'bold', "risk is 'bold'; it is one of mean, optimism"),
    ('planner.propagation', 'ts2', "propagation is 'ts2'; it is one of expec"),
    ('dynamics.members', 0, 'dynamics.members is 0; it is 1 to 100'),
    ('heads.image.kind', 'none', 'heads.image.kind is none'),
    (
      'encoder.embeds',
      'maps',
      r'^encoder.embeds .*encoder.further.* is empty$',
    ),
    ('heads.image.canvas', (8, 4), r'make a map of 8 x 8; .*side is 16'),
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
    ('learner.horizon', 0, 'learner.horizon is 0; it is 1 to 10000'),
    ('learner.starts', -1, 'learner.starts is -1; it is at least 0'),
    ('planner.replan', 2, 'replan is 2; dreamer plans at every step'),
    ('learner.critic.slow_every', 0, 'learner.critic.slow_every is 0'),
  ],
)
def test_what_contradicts_itself_in_a_learner_is_named(key, value, message):
  check(dreamer.get_config('debug'), key, value, message)


def test_pixels_are_scaled_only_where_they_are_centered():
  message = r'^encoder.nats is 47.0; .*encoder.center=True$'
  check(dreamer.get_config('cpu'), 'encoder.center', False, message)
  config = planet.get_config('cpu')
  config.encoder.update(whiten=0.5, center=False)
  with pytest.raises(build.ConfigError, match='^encoder.whiten is 0.5; '):
    config_checks.check(config)


def test_every_contradiction_is_found():
  tree = planet.get_config('debug').to_dict()
  assert list(contradictions.found(tree)) == []
  tree['planner']['elites'] = tree['train']['length'] = 1
  tree['planner']['candidates'] = 0
  first, second = contradictions.found(tree)
  assert first.startswith('train.length is 1')
  assert second.startswith('planner.elites is 1')


def test_elites_are_only_those_of_planners_that_have_them():
  config = planet.get_config('debug')
  config.planner.candidates = 2
  without = ('gradient', 'random_shooting', 'categorical_gradient')
  for kind in (*without, 'my_lab.search:plan'):  # planner_test has the last.
    config.planner.kind = kind
    config_checks.check(config)
  for kind in ('auto', 'cem', 'icem'):
    config.planner.kind = kind
    with pytest.raises(
      build.ConfigError, match='^planner.elites is 4; it is 1'
    ):
      config_checks.check(config)


@pytest.mark.parametrize('configs', [planet, dreamer, pets])
def test_every_preset_is_sound(configs):
  for preset in configs.PRESETS:
    config_checks.check(configs.get_config(preset))


@pytest.mark.parametrize(
  'name,kind',
  [
    ('train', 'group'),
    ('environment', 'group'),
    ('dynamics', 'group'),
    ('planner', 'group'),
    ('heads.image', 'group'),
    ('task', 'key'),
    ('exploration', 'key'),
    ('agent.kind', 'key'),
    ('dynamics.kind', 'key'),
    ('heads.reward.scale', 'key'),
    ('planner.horizon', 'key'),
    ('evaluate.context', 'key'),
    ('optimizer.clip', 'key'),
  ],
)
def test_what_is_missing_is_named(name, kind):
  config = planet.get_config('debug')
  group, _, last = name.rpartition('.')
  del (config[group] if group else config)[last]
  message = f"^the config has no {kind} '{name}'; start from a preset"
  with pytest.raises(build.ConfigError, match=message):
    config_checks.check(config)


@pytest.mark.parametrize(
  'name', ['learner', 'learner.actor', 'learner.critic.optimizer.rate']
)
def test_what_is_missing_of_a_learner_is_named(name):
  config = dreamer.get_config('debug')
  group, _, last = name.rpartition('.')
  del (config[group] if group else config)[last]
  with pytest.raises(build.ConfigError, match=f"has no .* '{name}'"):
    config_checks.check(config)


def test_a_value_in_the_place_of_a_group_is_named():
  config = ml_collections.ConfigDict(planet.get_config('debug').to_dict())
  del config['train']
  config.train = 5
  with pytest.raises(build.ConfigError, match='train is 5; it is a group'):
    config_checks.check(config)


def test_an_agent_of_the_users_needs_what_it_says_itself():
  config = planet.get_config('debug')
  config.agent.kind = 'my_lab.thinker:Agent'
  for group in ('planner', 'optimizer'):
    del config[group]
  config_checks.check(config)


def test_kinds_and_options_of_the_users_pass():
  config = dreamer.get_config('debug')
  config.planner.kind = 'my_lab.search:plan'
  config.planner.warmth = -3.0
  config.dynamics.kind = 'my_lab.motion:Dynamics'
  config.dynamics.masses = (0.0, float('inf'))
  config.learner.kind = 'my_lab.ascent:Learner'
  del config.learner['actor']
  config.heads.speed = dict(kind='my_lab.laplace:Head', scale=1.0, width=-1)
  config_checks.check(config)


def test_what_the_users_file_says_of_its_keys_counts():
  config = planet.get_config('debug')
  config.planner.warmth = -3.0
  own = config_keys.read('config.planner.warmth = 1.0  # (0, 5] of it')
  with pytest.raises(
    build.ConfigError, match='warmth is -3.0; it is above 0, at most 5'
  ):
    config_checks.check(config, own)
  # That nothing takes a key is not changed by a file that sets it.
  config = planet.get_config('debug')
  config.train.bacth = 8
  own = config_keys.read('config.train.bacth = 8  # [1, 9] chunks')
  with pytest.raises(build.ConfigError, match='train.bacth is no option; ther'):
    config_checks.check(config, own)


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


@pytest.mark.parametrize('propagation', ['expectation', 'ts1', 'tsinf'])
def test_members_are_dealt_to_means_too(propagation):
  config = pets.get_config('small')
  config.planner.update(sample=False, common=True, propagation=propagation)
  if propagation == 'expectation':
    with pytest.raises(build.ConfigError, match='common is True, and nothing'):
      config_checks.check(config)
  else:
    config_checks.check(config)
