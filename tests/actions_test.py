import numpy as np
import pytest
from dm_env import specs

from worldmodels.data import actions


def test_bounds_are_reached_and_shapes_kept():
  spec = specs.BoundedArray((2, 2), np.float32, [[-2, 0], [0, 5]], 6)
  found = actions.Actions(spec)
  assert found.size == 4 and not found.discrete
  for action, expected in [
    ([-1, -1, -1, -1], [[-2, 0], [0, 5]]),
    ([1, 1, 1, 1], [[6, 6], [6, 6]]),
    ([0, -1, 0.5, 0], [[2, 0], [4.5, 5.5]]),
  ]:
    taken = found.to_task(action)
    spec.validate(taken)
    np.testing.assert_allclose(taken, expected)


@pytest.mark.parametrize('low, high', [(-2, 6), (np.array(-2.0), 6)])
def test_one_number_is_told_as_one(low, high):
  """As a task of shape () takes it: no array of one part."""
  spec = specs.BoundedArray((), np.float32, low, high)
  found = actions.Actions(spec)
  assert (found.size, found.discrete, found.bounds) == (1, False, [[-2, 6]])
  for value, expected in ((-1, -2), (0.5, 4), (1, 6)):
    taken = found.to_task([value])
    assert np.shape(taken) == () and float(taken) == expected
    spec.validate(taken)
  with pytest.raises(ValueError, match=r'has shape \[\], expected \[1\]'):
    found.to_task(0.5)


def test_the_bounds_of_the_task_are_told_as_it_has_them():
  spec = specs.BoundedArray((2, 2), np.float32, [[-2, 0], [0, 5]], 6)
  bounds = [[-2, 6], [0, 6], [0, 6], [5, 6]]
  assert actions.Actions(spec).bounds == bounds
  spec = specs.BoundedArray((2,), float, [5, -np.inf], np.inf)
  assert actions.Actions(spec).bounds == [[5, np.inf], [-np.inf, np.inf]]
  assert actions.Actions(specs.Array((1,), float)).bounds == [[-np.inf, np.inf]]
  assert actions.Actions(specs.DiscreteArray(3)).bounds == []


BIG, LARGEST = np.finfo(np.float32).max, np.finfo(np.float64).max


@pytest.mark.parametrize(
  'dtype, low, high, told',
  [
    # Bounds that stand for none.
    (np.float32, -BIG, BIG, [-1, 0, 1]),
    (np.float64, -LARGEST, LARGEST, [-1, 0, 1]),
    (np.float16, -65504, 65504, [-1, 0, 1]),
    (np.float32, -1e10, 1e10, [-1, 0, 1]),
    (np.float32, -BIG, np.inf, [-1, 0, 1]),
    (np.float32, -np.inf, np.inf, [-1, 0, 1]),
    # Large ones that are meant.
    (np.float32, -1e6, 1e6, [-1e6, 0, 1e6]),
    # One bound: its side is where [-1, 1] lies, or as near as may be.
    (np.float32, 0, np.inf, [0, 1, 2]),
    (np.float32, 5, np.inf, [5, 6, 7]),
    (np.float32, 5, BIG, [5, 6, 7]),
    (np.float32, -0.5, np.inf, [-0.5, 0.5, 1.5]),
    (np.float32, -10, np.inf, [-1, 0, 1]),
    (np.float32, -np.inf, 0, [-2, -1, 0]),
    (np.float32, -BIG, -3, [-5, -4, -3]),
    (np.float64, -LARGEST, 10, [-1, 0, 1]),
    # No range, and each part by itself.
    (np.float32, 0.5, 0.5, [0.5, 0.5, 0.5]),
    (np.float32, [-BIG, 5, -2], [BIG, np.inf, 6], [[-1, 5, -2], [0, 6, 2]]),
  ],
)
def test_every_action_is_finite_and_within_the_bounds(dtype, low, high, told):
  spec = specs.BoundedArray(np.shape(low) or (1,), dtype, low, high)
  found = actions.Actions(spec)
  for value, expected in zip((-1, 0, 1), told, strict=False):
    taken = found.to_task(np.full(found.size, value))
    assert np.isfinite(taken).all() and taken.dtype == dtype
    spec.validate(taken)
    np.testing.assert_allclose(taken, np.broadcast_to(expected, spec.shape))
  for value in np.linspace(-1, 1, 101):
    spec.validate(found.to_task(np.full(found.size, value)))


@pytest.mark.parametrize(
  'dtype, low, high, says',
  [
    (np.float32, 1e8, np.inf, 'float32 knows no difference of 2: name both'),
    (np.float32, -np.inf, -1e8, 'float32 knows no difference of 2: name both'),
    (np.float32, 1e30, np.inf, 'expected them nearer to zero than 1e[+]09'),
    (np.float32, -BIG, -1e30, 'expected them nearer to zero than 1e[+]09'),
    (np.float32, np.nan, 1, 'expected numbers, the lower one first'),
  ],
)
def test_bounds_with_no_room_are_refused(dtype, low, high, says):
  spec = specs.BoundedArray((2,), dtype, low, high)
  with pytest.raises(ValueError, match=says) as caught:
    actions.Actions(spec)
  assert '\n' not in str(caught.value)


@pytest.mark.parametrize('dtype', [np.int32, np.int64, np.uint8])
def test_a_choice_is_told_as_its_index(dtype):
  spec = specs.DiscreteArray(4, dtype)
  found = actions.Actions(spec)
  assert found.size == 4 and found.discrete
  for index in range(4):
    taken = found.to_task(np.eye(4, dtype=np.float32)[index])
    spec.validate(taken)
    assert taken == index and np.arange(4)[taken] == index


def test_one_choice_is_one_too():
  found = actions.Actions(specs.DiscreteArray(1))
  assert found.to_task([1.0]) == 0
  with pytest.raises(ValueError, match='not one-hot: the task offers 1 '):
    found.to_task([0.0])


@pytest.mark.parametrize(
  'spec',
  [
    specs.BoundedArray((2,), np.int32, 0, 3),
    specs.Array((2,), bool),
    specs.Array((0,), np.float32),
    {'push': specs.Array((2,), np.float32)},
    [specs.DiscreteArray(3), specs.DiscreteArray(3)],
  ],
)
def test_other_actions_are_refused(spec):
  with pytest.raises(ValueError, match='floats, or a DiscreteArray'):
    actions.Actions(spec)


@pytest.mark.parametrize('discrete', [False, True])
def test_what_is_drawn_is_what_is_allowed(discrete):
  random = np.random.default_rng(0)
  spec = actions.spec(3, discrete)
  drawn = [actions.sample(random, 3, discrete) for _ in range(600)]
  for action in drawn:
    np.testing.assert_array_equal(actions.check(action, 3, discrete), action)
    spec.validate(action.astype(np.float32))
  mean, bound = (1 / 3, 0.08) if discrete else (0, 0.1)
  np.testing.assert_allclose(np.mean(drawn, 0), mean, atol=bound)
  assert len(np.unique(drawn, axis=0)) == (3 if discrete else 600)


def test_the_two_kinds_are_told_apart():
  assert actions.spec(2).minimum == -1 and actions.spec(2, True).minimum == 0
  actions.check([0.5, 0.5], 2)
  with pytest.raises(ValueError, match=r'\[0.5, 0.5\] is not one-hot'):
    actions.check([0.5, 0.5], 2, True)
  with pytest.raises(ValueError, match='within'):
    actions.check([0.5, 1.5], 2)
