"""What `auto` stands for."""

import sys
import types

import pytest

from worldmodels import kinds
from worldmodels.agents import suited
from worldmodels.spec import Spec

MANY = Spec(actions=6)


@pytest.mark.parametrize(
  'kind,discrete,found',
  [
    ('auto', False, 'cem'),
    ('auto', True, 'categorical_cem'),
    ('cem', True, 'cem'),
    ('my_lab.search:plan', True, 'my_lab.search:plan'),
  ],
)
def test_planner(kind, discrete, found):
  assert suited.planner(kind, discrete) == found


@pytest.mark.parametrize(
  'kind,discrete,found',
  [
    ('auto', False, 'bounded_normal'),
    ('auto', True, 'one_hot'),
    ('tanh_normal', True, 'tanh_normal'),
  ],
)
def test_distribution(kind, discrete, found):
  assert suited.distribution(kind, 'bounded_normal', discrete) == found


@pytest.mark.parametrize(
  'kind,ends_early,found',
  [
    ('auto', False, 'none'),
    ('auto', True, 'bernoulli'),
    ('none', True, 'none'),
    ('bernoulli', False, 'bernoulli'),
  ],
)
def test_discount(kind, ends_early, found):
  assert suited.discount(kind, ends_early) == found


def test_planners_are_for_actions_or_for_choices():
  continuous, discrete = suited.planners(False), suited.planners(True)
  assert {'cem', 'icem', 'mppi', 'gradient', 'gradient_cem'} < {*continuous}
  assert {'categorical_cem', 'categorical_mppi'} < {*discrete}
  assert not {*continuous} & {*discrete}
  everything = kinds.names('worldmodels.agents.planners', 'plan')
  assert sorted([*continuous, *discrete]) == everything


@pytest.fixture
def users(monkeypatch):
  """Makes a module of a user's with a planner in it; returns its kind."""

  def make(**names):
    module = types.ModuleType('my_planner')
    exec('def plan(problem, seed): ...', vars(module))
    vars(module).update(names)
    monkeypatch.setitem(sys.modules, 'my_planner', module)
    return 'my_planner:plan'

  return make


@pytest.mark.parametrize(
  'count,kind,spec,found',
  [
    (-1, 'cem', MANY, 16),
    (-1, 'cem', Spec(actions=2), 16),
    (-1, 'cem', Spec(actions=1), 0),
    (-1, 'categorical_cem', Spec(actions=6, discrete=True), 0),
    (3, 'cem', Spec(actions=1), 3),
    # Who looks for these says what is wrong with them.
    (-1, 'cme', MANY, -1),
    (5, 'cme', MANY, 5),
    (-1, 'gone:plan', MANY, -1),
  ],
)
def test_proposals(count, kind, spec, found):
  assert suited.proposals(count, kind, spec) == found


def test_proposals_of_a_planner_of_the_users(users):
  """It has none if it does not say so, and is not imported to be asked."""
  without, takes = users(), {'PROPOSALS': True}
  assert suited.proposals(-1, without, MANY) == -1
  assert suited.proposals(-1, without, MANY, users=True) == 0
  assert not suited.takes_proposals(without)
  kind = users(**takes)
  assert suited.proposals(-1, kind, MANY, users=True) == 16
  assert suited.proposals(-1, kind, Spec(actions=1), users=True) == 0
  assert suited.proposals(7, kind, MANY, users=True) == 7
  assert suited.takes_proposals(kind)
  # A planner of choices takes none whatever it says.
  discrete = Spec(actions=6, discrete=True)
  assert suited.proposals(-1, kind, discrete, users=True) == 0


def test_planners_of_the_package_say_whether_they_take_proposals():
  taken = {
    kind
    for kind in kinds.names('worldmodels.agents.planners', 'plan')
    if suited.takes_proposals(kind)
  }
  assert {'cem', 'icem', 'mppi', 'gradient'} < taken
  assert not taken & {*suited.planners(True)}
