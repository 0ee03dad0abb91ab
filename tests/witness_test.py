"""Vectors that are recorded beside what the agent sees."""

import numpy as np

from worldmodels.agents.runs import witness
from worldmodels.configs import planet
from worldmodels.spec import Spec


def test_the_environment_shows_more_than_the_agent_sees():
  config = planet.get_config('debug')
  config.environment.vectors = ('speed',)
  names = ['position', 'speed', 'position']
  seen = witness.Witness(config, Spec(1, vectors={'speed': 1}), names)
  assert seen.config.environment.vectors == ('speed', 'position')
  assert config.environment.vectors == ('speed',)
  spec = Spec(1, vectors={'speed': 1, 'position': 3})
  assert seen.spec(spec) == Spec(1, vectors={'speed': 1})


def test_where_all_vectors_are_seen_one_of_them_is_no_more():
  config = planet.get_config('debug')
  config.environment.image = 'none'
  spec = Spec(1, image=None, vectors={'position': 2, 'speed': 1})
  seen = witness.Witness(config, spec, ['position'])
  assert seen.config.environment.vectors == () and seen.spec(spec) == spec
  seen = witness.Witness(config, spec, ['hidden'])
  shown = ('position', 'speed', 'hidden')
  assert seen.config.environment.vectors == shown


def test_the_last_half_of_each_episode_counts():
  config = planet.get_config('debug')
  seen = witness.Witness(config, Spec(1), ['position'])
  seen.add({'position': np.float32([[9, 9], [9, 9], [1, 2], [3, 4]])})
  seen.add({'position': np.float32([[9, 9], [4, 3]])})
  assert seen.summary() == {
    'recorded': {
      'position': {
        'last_half_mean': [3.0, 3.0],
        'last_half_std': [1.0, 0.0],
        'last_halves': [[2.0, 3.0], [4.0, 3.0]],
      }
    }
  }
  assert witness.Witness(config, Spec(1), []).summary() == {}
