"""What is made of a config; what in it contradicts itself: config_checks_test.

Kinds of the user's have a test of their own, users_kinds_test.
"""

import types

import dm_env
import keras
import numpy as np
import pytest

from worldmodels.agents.runs import build
from worldmodels.configs import dreamer
from worldmodels.configs import planet
from worldmodels.spec import Spec

ONE = Spec(actions=1)


@pytest.mark.parametrize(
  'key,value,message',
  [
    ('agent.kind', 'plante', "agent.kind is 'plante'; it is one of dreamer, "),
    ('agent.kind', 'checkpoint', "agent.kind is 'checkpoint'"),
    ('agent.kind', 'actor', "agent.kind is 'actor'"),  # A file, no agent.
    ('agent.kind', 'planners', "agent.kind is 'planners'"),
    ('agent.kind', 'uniform', "agent.kind is 'uniform', which learns nothing"),
    ('encoder.kind', 'conv', "encoder.kind is 'conv'; it is one of"),
    (
      'dynamics.kind',
      'ssm',
      "dynamics.kind is 'ssm'; it is one of ensemble, rssm",
    ),
    ('dynamics.latent', 'gauss', "dynamics.latent is 'gauss'; it is one of"),
    ('dynamics.cell', 'lstm', "dynamics.cell is 'lstm'; it is one of"),
    ('heads.image.kind', 'conv', "heads.image.kind is 'conv'; it is one of"),
    ('heads.reward.kind', 'norm', "heads.reward.kind is 'norm'; it is one of"),
    ('planner.kind', 'cme', "planner.kind is 'cme'; it is one of"),
  ],
)
def test_what_nothing_can_be_built_from_is_named(key, value, message):
  config = planet.get_config('debug')
  config.update_from_flattened_dict({key: value})
  with pytest.raises(build.ConfigError, match=message) as caught:
    build.agent(config, ONE)
  assert '\n' not in str(caught.value)
  if key.endswith('.kind') and value != 'uniform':
    assert str(caught.value).endswith(', or module:name')


@pytest.mark.parametrize(
  'key,value,message',
  [
    ('learner.kind', 'critic', "learner.kind is 'critic'; it is one of"),
    (
      'learner.actor.kind',
      'normal',
      "learner.actor.kind is 'normal'; it is one of",
    ),
    (
      'learner.critic.kind',
      'norm',
      "learner.critic.kind is 'norm'; it is one of",
    ),
  ],
)
def test_parts_of_a_learner_are_named_with_its_group(key, value, message):
  config = dreamer.get_config('debug')
  config.update_from_flattened_dict({key: value})
  with pytest.raises(build.ConfigError, match=message):
    build.agent(config, ONE)


def test_an_option_that_is_missing_is_named():
  config = planet.get_config('debug')
  del config['planner']
  with pytest.raises(build.ConfigError, match='^planner is missing') as caught:
    build.agent(config, ONE)
  assert '\n' not in str(caught.value)


def test_other_values_that_a_part_refuses_are_errors_of_the_config():
  config = planet.get_config('debug')
  config.dynamics.activation = 'reul'
  with pytest.raises(build.ConfigError, match='^config: .*reul'):
    build.agent(config, ONE)


class Twins(keras.layers.Layer):
  """An agent two of whose variables have the same path."""

  def __init__(self, *, spec, model):
    del model
    super().__init__(name='twins')
    self._parts = [keras.layers.Dense(spec.actions, name='x') for _ in range(2)]
    for part in self._parts:
      part.build([None, 3])

  def train(self, batch, seed):
    raise NotImplementedError

  @property
  def state_variables(self):
    return self.variables


def test_variables_that_a_checkpoint_could_not_tell_apart_are_named(
  monkeypatch,
):
  monkeypatch.setattr('worldmodels.agents.planet.Agent', Twins)
  with pytest.raises(build.ConfigError, match='2 variables are called .*x/'):
    build.agent(planet.get_config('debug'), ONE)


@pytest.mark.parametrize(
  'configs,kind', [(planet, 'planet'), (dreamer, 'dreamer')]
)
def test_an_agent_fits_its_spec(configs, kind):
  spec = Spec(actions=2, vectors={'speed': 3, 'height': 1})
  agent = build.agent(configs.get_config('debug'), spec)
  assert type(agent).__module__ == f'worldmodels.agents.{kind}'
  assert agent.spec == agent.model.spec == spec
  assert agent.initial(3)['action'].shape == [3, 2]
  assert agent.model.keys == ('image', 'reward')


@pytest.mark.parametrize('ends_early', [False, True])
@pytest.mark.parametrize('discrete', [False, True])
def test_kinds_are_chosen_by_the_task(discrete, ends_early):
  config = dreamer.get_config('v3')
  config.heads.discount.kind = 'auto'  # DreamerV3 itself always has the head.
  asked = config.copy_and_resolve_references()
  found = build.chosen(config, Spec(3, discrete), ends_early)
  assert found.planner.kind == ('categorical_cem' if discrete else 'cem')
  actor = 'one_hot' if discrete else 'bounded_normal'
  assert found.learner.actor.kind == actor
  assert found.heads.discount.kind == ('bernoulli' if ends_early else 'none')
  # The config that it came from can be given to another task.
  assert config == asked
  # What was chosen is not chosen again.
  assert build.chosen(found, Spec(3, not discrete), not ends_early) == found


@pytest.mark.parametrize(
  'spec,eyes',
  [
    (Spec(1), ('places', 'blobs')),
    (Spec(2), ('places', 'blobs')),
    (Spec(3), ('maps', 'both')),
    (Spec(4, discrete=True), ('places', 'blobs')),
    (Spec(5, discrete=True), ('maps', 'both')),
  ],
)
def test_many_actions_are_of_bodies_with_joints(spec, eyes):
  config = dreamer.get_config('cpu')
  found = build.chosen(config, spec)
  assert (found.encoder.embeds, found.heads.image.draws) == eyes
  several = spec.actions > 1 and not spec.discrete
  assert found.planner.proposals == (16 if several else 0)
  assert build.chosen(found, Spec(1)) == found
  # Only its module, which is not imported here, says what a user's takes.
  config.planner.kind = 'my_lab.search:plan'
  assert build.chosen(config, spec).planner.proposals == -1
  named = planet.get_config('cpu')
  assert build.chosen(named, spec).encoder.embeds == 'both'


def test_a_config_without_those_groups_has_nothing_to_choose():
  config = planet.get_config('debug')
  del config['planner']
  del config.heads['discount']
  assert build.chosen(config, ONE, True) == config


def test_building_changes_nothing_of_the_config():
  config = planet.get_config('debug')
  build.agent(config, ONE)
  assert config == planet.get_config('debug')


# ---------------------------------------------------------- environments ----


def shown(**arrays):
  """An environment that shows arrays of these shapes."""
  spec = {
    key: dm_env.specs.Array(shape, np.uint8 if key == 'image' else np.float32)
    for key, shape in arrays.items()
  }
  return types.SimpleNamespace(
    action_size=2, discrete=False, observation_spec=lambda: dict(spec)
  )


def test_a_spec_is_what_the_environment_shows_and_takes():
  environment = shown(image=[48, 64, 3], speed=[3], height=[1])
  assert build.spec_of(environment) == Spec(
    actions=2,
    discrete=False,
    image=(48, 64, 3),
    vectors={'speed': 3, 'height': 1},
  )
  environment.discrete, environment.action_size = True, 5
  found = build.spec_of(environment)
  assert found.discrete and found.actions == 5
  assert build.spec_of(shown(speed=[3])).image is None


def test_the_spec_of_an_environment_can_be_kept():
  """All its sizes are plain numbers, as JSON wants them."""
  spec = build.spec_of(shown(image=np.array([8, 8, 3]), speed=np.array([3])))
  sizes = [spec.actions, *spec.image, *spec.vectors.values()]
  assert {type(size) for size in sizes} == {int}


def test_the_environment_of_a_config():
  config = planet.get_config('debug')
  config.task = 'hill'
  config.environment.update(action_repeat=2, vectors=('position',))
  environment = build.environment(config)
  try:
    assert environment.task == 'hill' and environment.action_repeat == 2
    spec = build.spec_of(environment)
    assert spec.image == (64, 64, 3)
    assert spec.vectors == {'position': 1}
    first = environment.reset(3).observation
    assert {key: value.shape for key, value in first.items()} == {
      'image': (64, 64, 3),
      'position': (1,),
    }
  finally:
    environment.close()
