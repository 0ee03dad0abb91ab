import types

import numpy as np
import pytest

from worldmodels.data import limits


@pytest.mark.parametrize(
  'named, own',
  [
    ({}, 0),
    ({'step_limit': 12}, 12),
    ({'step_limit': 11.2}, 12),
    ({'step_limit': np.float32(3)}, 3),
    ({'step_limit': None}, 0),
    ({'step_limit': np.inf}, 0),
    ({'step_limit': np.nan}, 0),
    ({'step_limit': 0}, 0),
    ({'step_limit': -1}, 0),
    ({'_step_limit': 1000.0}, 1000),  # dm_control's
  ],
)
def test_the_limit_of_a_task(named, own):
  assert limits.of(types.SimpleNamespace(**named)) == own


def test_a_limit_that_is_no_number_is_refused():
  with pytest.raises(
    ValueError, match="^its step_limit is '12': expected a nu"
  ):
    limits.of(types.SimpleNamespace(step_limit='12'))


@pytest.mark.parametrize(
  'own, asked, chosen',
  [
    (0, 0, (limits.UNNAMED, False)),
    (5, 0, (5, True)),
    (0, 7, (7, True)),
    (5, 7, (5, True)),
    (7, 5, (5, True)),
    (0, 3 * limits.UNNAMED, (3 * limits.UNNAMED, True)),
  ],
)
def test_the_lower_limit_counts(own, asked, chosen):
  assert limits.choose(own, asked) == chosen
