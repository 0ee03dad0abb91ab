"""What needs dynamics of several members, and which dynamics do."""

import types

import pytest
import tensorflow as tf

from worldmodels import disagreement
from worldmodels import kinds
from worldmodels import latent_dynamics
from worldmodels.agents import several_members
from worldmodels.agents.runs import build
from worldmodels.agents.runs import config_checks
from worldmodels.agents.runs import dream_film
from worldmodels.configs import planet
from worldmodels.spec import Spec


class Alone(latent_dynamics.Dynamics):
  """Dynamics of a user's, of one member; they are made and do nothing."""

  def __init__(self, *, embed, actions, hidden):
    del embed, actions
    super().__init__(name='dynamics')
    self.features_size = hidden
    self.built = True


class Several(Alone):
  members = 3


class Sure(Alone):
  """One member, which says how sure it is all the same."""

  def spread(self, state):
    return tf.ones(tf.shape(self.features(state))[:-1])


def config(kind, **planner):
  made = planet.get_config('debug')
  made.dynamics.kind = kind
  made.planner.update(planner)
  return made


def test_every_kind_says_how_many_members_it_has():
  found = {
    kind: several_members.of({'kind': kind, 'members': 7})
    for kind in kinds.names('worldmodels.dynamics', 'Dynamics')
  }
  assert found.pop('ensemble') == 7
  assert found and {*found.values()} == {1}
  # What only the model knows.
  assert several_members.of({'kind': 'ensemble'}) is None
  assert several_members.of({'kind': 'my_lab.motion:Linear'}) is None


@pytest.mark.parametrize(
  'planner,members,found',
  [
    (dict(risk='disagreement'), 1, ['risk']),
    (dict(risk='disagreement'), 3, []),
    (dict(risk='disagreement'), None, []),
    (dict(particles=4, sample=False), 3, ['particles']),
    (dict(particles=4, sample=False, propagation='tsinf'), 1, ['particles']),
    (dict(particles=4, sample=False, propagation='tsinf'), 3, []),
    (dict(particles=4, sample=False, propagation='tsinf'), None, []),
    (dict(particles=4, sample=True), 1, []),
    ({}, 1, []),
  ],
)
def test_what_one_member_is_not_enough_for(planner, members, found):
  lacking = several_members.lacking(planner, members, members != 1)
  said = dict(lacking)
  assert [*said] == found
  for problem in said.values():
    assert '(dynamics.kind=ensemble, dynamics.members from 2)' in problem


def test_an_ensemble_of_one_is_refused_with_its_config():
  asked = config('ensemble', risk='disagreement')
  config_checks.check(asked)
  asked.dynamics.members = 1
  with pytest.raises(build.ConfigError, match='^planner.risk is .* one member'):
    config_checks.check(asked)


@pytest.mark.parametrize(
  'planner,option',
  [
    (dict(risk='disagreement'), 'risk'),
    (dict(particles=4, sample=False, propagation='tsinf'), 'particles'),
  ],
)
def test_dynamics_of_the_users_are_asked_where_they_are_there(planner, option):
  kind = f'{__name__}:Alone'
  config_checks.check(config(kind, **planner))
  with pytest.raises(build.ConfigError, match=f'^planner.{option} is '):
    build.agent(config(kind, **planner), Spec(actions=1))
  build.agent(config(kind), Spec(actions=1))
  build.agent(config(f'{__name__}:Several', **planner), Spec(actions=1))


def test_a_spread_of_their_own_is_enough_for_disagreement():
  build.agent(config(f'{__name__}:Sure', risk='disagreement'), Spec(actions=1))
  model = types.SimpleNamespace(dynamics=Sure(embed=1, actions=1, hidden=2))
  assert disagreement.is_told_by(model)
  assert not disagreement.is_told_by(object())


def test_a_film_has_a_row_of_members_where_there_are_several():
  for kind, rows in ((Alone, 3), (Several, 4)):
    dynamics = kind(embed=1, actions=1, hidden=2)
    found = dream_film.rows(types.SimpleNamespace(dynamics=dynamics))
    assert len(found) == rows
  assert found[-1] == 'members'
