import pathlib
import runpy
import types

import dm_env
import numpy as np
import pytest

from agents.run import build

CONFIG = pathlib.Path(__file__).parent.parent / 'configs/planet.py'


def config(**values):
  """The debug preset with some keys set: train__batch for train.batch."""
  made = runpy.run_path(str(CONFIG))['get_config']('debug')
  for key, value in values.items():
    *groups, name = key.split('__')
    part = made
    for group in groups:
      part = part[group]
    part[name] = value
  return made


@pytest.mark.parametrize(
  'key,value,message',
  [
    ('train__batch', 0, 'train.batch is 0; it is at least 1'),
    ('train__updates', -1, 'train.updates is -1; it is at least 1'),
    ('train__seed_episodes', 0, 'train.seed_episodes is 0; it is at least 1'),
    ('train__checkpoints', 0, 'train.checkpoints is 0'),
    ('train__first_updates', -1, 'train.first_updates is -1; it is at least 0'),
    ('train__episodes', 1, r'episodes is 1; .*seed_episodes \(2\)'),
    ('train__length', 4, r'length is 4; .*overshooting.steps \+ 1 \(4\)'),
    ('store__capacity', -1, 'store.capacity is -1; it is at least 0'),
    ('evaluate__every', 0, 'evaluate.every is 0'),
    ('evaluate__episodes', 0, 'evaluate.episodes is 0'),
    ('evaluate__last_episodes', 0, 'evaluate.last_episodes is 0'),
    ('evaluate__context', 0, 'evaluate.context is 0'),
    ('evaluate__horizon', 0, 'evaluate.horizon is 0'),
    ('planner__horizon', 0, 'planner.horizon is 0'),
    ('planner__iterations', 0, 'planner.iterations is 0'),
    ('planner__elites', 13, r'elites is 13; .*candidates \(12\)'),
    ('planner__elites', 0, 'elites is 0'),
    ('seed', -1, 'seed is -1'),
    ('seed', 2**32, 'seed is 4294967296'),
  ],
)
def test_what_contradicts_itself_is_named(key, value, message):
  build.check(config())
  with pytest.raises(build.ConfigError, match=message) as caught:
    build.check(config(**{key: value}))
  assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
  'key,value,message',
  [
    ('agent', 'plante', "agent is 'plante'"),
    ('agent', 'checkpoint', "agent is 'checkpoint'"),  # A file, no agent.
    ('agent', 'planners', "agent is 'planners'"),
    ('agent', 'uniform', "agent is 'uniform'"),  # It cannot be trained.
    ('encoder__image', 'conv', "encoder.image is 'conv'; it is one of"),
    ('rssm__kind', 'ssm', "rssm.kind is 'ssm'; one of"),
    ('rssm__cell', 'lstm', "rssm.cell is 'lstm'; one of"),
    ('heads__reward__kind', 'norm', "kind is 'norm'; it is one of"),
    ('planner__name', 'cme', "planner.name is 'cme'; it is one of"),
  ],
)
def test_what_nothing_can_be_built_from_is_named(key, value, message):
  with pytest.raises(build.ConfigError, match=message) as caught:
    build.agent_for(config(**{key: value}), 1, {})
  assert '\n' not in str(caught.value)


def test_an_agent_fits_its_environment():
  spec = {
    'image': dm_env.specs.Array([64, 64, 3], np.uint8),
    'speed': dm_env.specs.Array([3], np.float32),
    'height': dm_env.specs.Array([1], np.float32),
  }
  environment = types.SimpleNamespace(
    action_size=2, discrete=False, observation_spec=lambda: spec
  )
  assert build.vectors_of(environment) == {'speed': 3, 'height': 1}
  agent = build.agent(config(), environment)
  assert agent.initial(3)['action'].shape == [3, 2]
  assert agent.model.encoder.vectors == {'speed': 3, 'height': 1}
  assert agent.model.keys == ('image', 'reward')
