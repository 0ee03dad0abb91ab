"""Tables of states: exact values, and the audit of the Dyna maze."""

import dataclasses

import numpy as np
import pytest

from worldmodels import errors
from worldmodels import tabular

# Mixed with so much of every state: what the world of the maze is known for.
KNOWN = {
  0.01: (0.0098, 0.118, 3.7, 3.1),
  0.05: (0.0489, 0.445, 18.6, 9.6),
  0.1: (0.0979, 0.634, 37.2, 13.0),
  0.2: (0.1957, 0.681, 74.4, 15.8),
}


def test_the_maze_is_that_of_the_book():
  maze = tabular.dyna_maze()
  assert maze.transition.shape == (47, 4, 47) and maze.width == 1.0
  policy, value = maze.best()
  # The shortest way has 14 steps, of which the last is paid.
  assert value[maze.start] == pytest.approx(0.95**13)
  assert value.max() == pytest.approx(1.0) and (value > 1e-9).sum() == 46
  place, steps = maze.start, 0
  while value[place] > 1e-9:
    place, steps = maze.transition[place, policy[place]].argmax(), steps + 1
  assert steps == 14
  assert (maze.transition[place, :, place] == 1).all()  # The goal is kept.


@pytest.mark.parametrize('share,known', KNOWN.items())
def test_the_audit_of_the_maze_is_exact(share, known):
  maze = tabular.dyna_maze()
  found = tabular.audit(maze, maze.blurred(share))
  apart, gap, classic, tight = known
  assert found['transition_error'] == pytest.approx(apart, abs=5e-5)
  assert found['gap'] == pytest.approx(gap, abs=6e-4)
  assert found['classic'] == pytest.approx(classic, abs=0.06)
  assert found['tight'] == pytest.approx(tight, abs=0.06)
  assert found['largest'] == pytest.approx(20.0)
  assert found['regret'] == pytest.approx(0.0, abs=1e-12)
  assert found['start_gap'] < found['gap']


def test_a_model_without_error_has_no_gap():
  maze = tabular.dyna_maze()
  found = tabular.audit(maze, maze.blurred(0.0))
  assert max(found[key] for key in ('gap', 'classic', 'tight', 'regret')) == 0


def test_regret_is_what_the_model_makes_one_lose():
  """A model that has the two ways of a fork the wrong way round."""
  step = np.zeros([3, 2, 3])
  step[0, 0, 1] = step[0, 1, 2] = step[1, :, 1] = step[2, :, 2] = 1.0
  reward = np.array([[0.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
  truth = tabular.World(step, reward, 0.5)
  wrong = dataclasses.replace(truth, reward=reward[[0, 2, 1]])
  assert tabular.audit(truth, wrong)['regret'] == pytest.approx(1.0)


def test_the_value_of_a_policy_by_hand():
  step = np.array([[[0.5, 0.5]], [[0.0, 1.0]]])
  world = tabular.World(step, np.array([[2.0], [0.0]]), 0.8)
  # v = 2 + 0.8 * 0.5 v.
  np.testing.assert_allclose(world.value([0, 0]), [2 / 0.6, 0.0])


@pytest.mark.parametrize(
  'changed,told',
  [
    (dict(transition=np.ones([2, 2])), r'\[2, 2\]; it is \[S, A, S\]'),
    (dict(reward=np.zeros([47, 3])), r'reward has shape \[47, 3\]; it is'),
    (dict(reward=np.full([47, 4], np.nan)), 'not finite'),
    (dict(transition=np.ones([47, 4, 47])), 'they add up to 1'),
    (dict(gamma=1.0), r'gamma is 1.0; it is in \[0, 1\)'),
    (dict(start=47), 'start is 47; there are 47 states'),
  ],
)
def test_what_is_no_table_is_refused(changed, told):
  with pytest.raises(errors.OptionError, match=told):
    dataclasses.replace(tabular.dyna_maze(), **changed)


def test_a_model_of_another_world_is_refused():
  maze = tabular.dyna_maze()
  with pytest.raises(errors.OptionError, match='the world has'):
    tabular.audit(maze, tabular.dyna_maze(0.9))
  step = np.ones([1, 4, 1])
  small = tabular.World(step, np.zeros([1, 4]), 0.95)
  with pytest.raises(errors.OptionError, match='model has shape'):
    tabular.audit(maze, small)
  with pytest.raises(errors.OptionError, match='share is 2'):
    maze.blurred(2.0)
