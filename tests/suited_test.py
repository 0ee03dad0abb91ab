"""What `auto` stands for."""

import pytest

from worldmodels import kinds
from worldmodels.agents import suited


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
