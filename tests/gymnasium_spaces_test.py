import types

import numpy as np
import pytest
from gymnasium import spaces

from worldmodels.data import gymnasium_spaces


def test_parts_are_named_by_their_way():
  space = spaces.Dict(
    {
      'a': spaces.Tuple([spaces.Discrete(2), spaces.Box(0, 1, (3,))]),
      'b-c': spaces.Discrete(4),
    }
  )
  paths = {k: path for k, (path, _) in gymnasium_spaces.parts(space).items()}
  assert paths == {'a_0': ('a', 0), 'a_1': ('a', 1), 'bc': ('b-c',)}
  pair = spaces.Tuple([spaces.Discrete(2)])
  assert list(gymnasium_spaces.parts(pair)) == ['observation_0']
  assert list(gymnasium_spaces.parts(spaces.Discrete(2))) == ['observation']


def test_parts_of_one_name_stay_two():
  alike = {'joint-1': spaces.Discrete(2), 'joint1': spaces.Discrete(3)}
  found = gymnasium_spaces.parts(spaces.Dict(alike))
  assert {k: path for k, (path, _) in found.items()} == {
    'joint1': ('joint-1',),
    'joint1_': ('joint1',),
  }
  maps = {'image': spaces.Box(0, 9, (7, 7)), 'map': spaces.Discrete(3)}
  found = gymnasium_spaces.parts(spaces.Dict(maps))
  assert sorted(path for path, _ in found.values()) == [('image',), ('map',)]


@pytest.mark.parametrize(
  'space, value, expected',
  [
    (spaces.Discrete(3), 2, [0, 0, 1]),
    (spaces.Discrete(3, start=5), np.int64(5), [1, 0, 0]),
    (spaces.MultiDiscrete([2, 3]), np.array([1, 0]), [0, 1, 1, 0, 0]),
    (spaces.MultiBinary(3), np.array([1, 0, 1]), [1, 0, 1]),
    (spaces.Box(-9, 9, (2, 2)), [[1, 2], [3, 4]], [1, 2, 3, 4]),
  ],
)
def test_values_become_numbers(space, value, expected):
  assert gymnasium_spaces.is_vector(space)
  assert gymnasium_spaces.vector(space, value).tolist() == expected
  assert gymnasium_spaces.size(space) == len(expected)


@pytest.mark.parametrize(
  'space, value',
  [
    (spaces.Discrete(3), 3),
    (spaces.Discrete(3), -1),
    (spaces.MultiDiscrete([2, 3]), np.array([0, 3])),
    (spaces.MultiDiscrete([2, 3]), np.array([0])),
  ],
)
def test_values_of_another_space_are_refused(space, value):
  with pytest.raises(ValueError):
    gymnasium_spaces.vector(space, value)


@pytest.mark.parametrize(
  'shape, dtype, expected',
  [
    ((96, 96, 3), np.uint8, True),
    ((210, 160), np.uint8, True),
    ((7, 7, 3), np.uint8, False),  # A map, as MiniGrid has.
    ((64, 64), np.float32, False),
    ((200, 3, 3), np.uint8, False),
  ],
)
def test_pictures_are_told_from_maps(shape, dtype, expected):
  space = spaces.Box(0, 255, shape, dtype)
  assert gymnasium_spaces.is_picture(space) == expected
  assert gymnasium_spaces.is_vector(space) != expected
  assert not gymnasium_spaces.hint(space)


@pytest.mark.parametrize(
  'shape, dtype, says',
  [
    ((96, 96, 3), np.float32, 'by 255'),
    ((3, 96, 96), np.float64, 'by 255'),
    ((96, 96, 3), np.int64, 'convert it to uint8'),
    ((3, 64, 64), np.uint8, 'channels last'),
    ((1, 64, 64), np.uint8, 'channels last'),
    ((4, 84, 84), np.uint8, 'the newest frame alone'),  # They are stacked.
    ((84, 84, 12), np.uint8, 'the newest frame alone'),
  ],
)
def test_pictures_of_another_kind_are_no_vectors(shape, dtype, says):
  space = spaces.Box(0, 255, shape, dtype)
  assert says in gymnasium_spaces.hint(space)
  assert not gymnasium_spaces.is_picture(space)
  assert not gymnasium_spaces.is_vector(space)


def test_a_space_of_ones_own_is_what_it_inherits_from():
  class Joints(spaces.Box):
    pass

  class Both(spaces.Dict):
    pass

  joints = Joints(-1, 1, (2,))
  found = gymnasium_spaces.parts(Both({'a': joints}))
  assert list(found) == ['a'] and gymnasium_spaces.is_vector(joints)
  assert gymnasium_spaces.is_picture(Joints(0, 255, (64, 64, 3), np.uint8))


def test_a_large_choice_is_made_without_a_table():
  found = gymnasium_spaces.vector(spaces.Discrete(1_000_000), 999_999)
  assert found.shape == (1_000_000,) and found[-1] == found.sum() == 1


def test_spaces_of_the_gym_before_it_are_read_by_name():
  class Discrete:
    n = 2

  assert gymnasium_spaces.is_vector(Discrete())
  assert gymnasium_spaces.vector(Discrete(), 1).tolist() == [0, 1]
  assert not gymnasium_spaces.is_vector(types.SimpleNamespace())


def test_what_is_quoted_is_one_short_line():
  assert gymnasium_spaces.quote('a\n  b') == 'a b'
  assert len(gymnasium_spaces.quote('x' * 1000)) < 200
