"""Bounds of the simulation lemma: closed forms, and worlds that attain them."""

import numpy as np
import pytest

from worldmodels import errors
from worldmodels import simulation_lemma
from worldmodels import tabular

# Numbers of the field: gamma 0.95, rewards from 0 to 1.
KNOWN = {
  0.0098: (3.724, 3.139),
  0.0489: (18.58, 9.632),
  0.0979: (37.2, 13.01),
  0.1957: (74.37, 15.76),
}


@pytest.mark.parametrize('transition,bounds', KNOWN.items())
def test_both_bounds_of_known_errors(transition, bounds):
  classic, tight = bounds
  found = simulation_lemma.classic(0.95, transition)
  assert found == pytest.approx(classic, rel=1e-3)
  found = simulation_lemma.tight(0.95, transition)
  assert found == pytest.approx(tight, rel=1e-3)


def test_the_bounds_of_many_steps_are_those_without_end():
  given = dict(reward=0.03, width=2.0)
  classic, tight, largest = simulation_lemma.by_horizon(900, 0.95, 0.1, **given)
  assert classic[-1] == pytest.approx(
    simulation_lemma.classic(0.95, 0.1, **given)
  )
  assert tight[-1] == pytest.approx(simulation_lemma.tight(0.95, 0.1, **given))
  assert largest[-1] == pytest.approx(2.0 / 0.05)
  # Of a single step only the reward can be wrong.
  assert classic[0] == tight[0] == pytest.approx(0.03)
  assert (tight <= classic + 1e-12).all() and (tight <= largest + 1e-12).all()


def test_three_steps_by_hand():
  classic, tight, largest = simulation_lemma.by_horizon(
    3, 0.5, 0.2, reward=0.1, width=1.0
  )
  np.testing.assert_allclose(classic, [0.1, 0.1 + 0.15, 0.25 + 0.125])
  # 0.8 * 0.1 + 0.2 = 0.28 and 0.64 * 0.1 + 0.36 = 0.424.
  np.testing.assert_allclose(tight, [0.1, 0.1 + 0.14, 0.24 + 0.106])
  np.testing.assert_allclose(largest, [1.0, 1.5, 1.75])


def test_the_tight_bound_is_attained():
  """A model that falls out of a state which pays has exactly that gap."""
  share, off, gamma = 0.1, 0.02, 0.9
  stays = np.array([[[1.0, 0.0]], [[0.0, 1.0]]])
  truth = tabular.World(stays, np.array([[1.0], [0.0]]), gamma)
  falls = np.array([[[1 - share, share]], [[0.0, 1.0]]])
  model = tabular.World(falls, np.array([[1.0 - off], [0.0]]), gamma)
  found = tabular.audit(truth, model)
  assert found['gap'] == pytest.approx(found['tight'])
  assert found['gap'] < 0.8 * found['classic'] and found['regret'] == 0
  # Of every number of steps as well.
  _, tight, _ = simulation_lemma.by_horizon(5, gamma, share, reward=off)
  left, gap = 1.0, 0.0
  for step in range(5):
    gap += gamma**step * (1 - left * (1 - off))
    assert gap == pytest.approx(tight[step])
    left *= 1 - share


def test_no_world_breaks_a_bound():
  random = np.random.default_rng(0)
  for _ in range(50):
    states, actions = random.integers(2, 6, 2)
    step = random.dirichlet(np.ones(states) * 0.3, [2, states, actions])
    reward = random.uniform(-1, 2, [2, states, actions])
    reward[1] = reward[0] + random.uniform(0, 0.3) * reward[1]
    truth, model = (
      tabular.World(step[0], reward[0], 0.9),
      tabular.World(0.7 * step[0] + 0.3 * step[1], reward[1], 0.9),
    )
    found = tabular.audit(truth, model)
    assert found['gap'] <= found['tight'] + 1e-9
    assert found['tight'] <= found['classic'] + 1e-9
    assert found['tight'] <= found['largest'] + 1e-9


def test_divergence_bounds_variation():
  random = np.random.default_rng(1)
  p, q = random.dirichlet(np.ones(5), [2, 200])
  nats = (p * np.log(p / q)).sum(-1)
  bound = simulation_lemma.variation(nats)
  assert (0.5 * np.abs(p - q).sum(-1) <= bound + 1e-12).all()
  assert simulation_lemma.variation(0.02) == pytest.approx(0.1)
  assert simulation_lemma.variation([1e-9, 9.0, 1e9])[-1] == 1.0
  assert simulation_lemma.variation(-1e-7) == 0.0


@pytest.mark.parametrize(
  'given,told',
  [
    (dict(gamma=1.0, transition=0.1), 'gamma is 1.0; it is from 0 and below 1'),
    (dict(gamma=float('nan'), transition=0.1), 'gamma is nan'),
    (dict(gamma=0.9, transition=1.5), 'a total variation is from 0 to 1'),
    (dict(gamma=0.9, transition=0.1, width=-1.0), 'width is -1.0; it is fin'),
    (dict(gamma=0.9, transition=0.1, reward=float('inf')), 'reward is inf'),
  ],
)
def test_what_is_no_error_is_refused(given, told):
  for bound in (simulation_lemma.classic, simulation_lemma.tight):
    with pytest.raises(errors.OptionError, match=told):
      bound(**given)
