"""What a task shows and gives, read and held to its specs."""

import collections
import re

import dm_env
import numpy as np
import pytest
from dm_env import specs

from worldmodels.data import observations
from worldmodels.data import rows

IMAGE = specs.Array((8, 8, 3), np.uint8)
SHOWN = np.arange(192, dtype=np.uint8).reshape(8, 8, 3)


def make(vectors=(), rendered=False, image=IMAGE, **shapes):
  """Of images of 8 by 8 and vectors of such shapes."""
  task_spec = {key: specs.Array(shape, float) for key, shape in shapes.items()}
  if not rendered:
    task_spec['image'] = image
  return observations.Observations(task_spec, vectors, 8, rendered)


def refused(function, *arguments, **options):
  """The message of a ValueError: one line, and not a long one."""
  with pytest.raises(ValueError) as caught:
    function(*arguments, **options)
  message = str(caught.value)
  assert '\n' not in message and len(message) < 300
  return message


# ----------------------------------------------------------------- specs ----


def test_shapes_are_those_that_are_handed_on():
  found = make(['b', 'a'], a=(), b=(2, 3), c=(9,))
  assert found.shapes == {'image': (8, 8, 3), 'b': (6,), 'a': (1,)}
  assert make(['a'], rendered=True, a=(4,)).shapes == {
    'image': (8, 8, 3),
    'a': (4,),
  }


@pytest.mark.parametrize('name', [*rows.RESERVED[1:]])
def test_a_vector_cannot_be_called_as_a_column_of_episodes(name):
  message = refused(make, [name], **{name: (2,)})
  assert message.startswith(
    f"its vector '{name}' has a name that episodes keep"
  )


def test_that_there_is_a_column_name_among_others_does_not_matter():
  assert list(make(['speed'], action=(2,), speed=(1,)).shapes) == [
    'image',
    'speed',
  ]


@pytest.mark.parametrize('key', ['a/b', 'joint angles', 'Größe', 'a.npy'])
def test_other_names_are_kept(key, tmp_path):
  """An archive has them all, under the names that they were given."""
  read = make([key], **{key: (2,)}).read({'image': SHOWN, key: [1, 2]})
  np.savez(tmp_path / 'episode.npz', **read)
  with np.load(tmp_path / 'episode.npz') as archive:
    assert sorted(archive[name].size for name in archive) == [2, 192]


@pytest.mark.parametrize(
  'image, says',
  [
    (specs.Array((8, 8, 1), np.uint8), 'repeat a gray channel three times'),
    (specs.Array((8, 8), np.uint8), 'repeat a gray channel three times'),
    (specs.Array((3, 8, 8), np.uint8), 'the channels come last'),
    (specs.Array((8, 8, 4), np.uint8), 'leave out the fourth channel'),
    (specs.Array((8, 8, 9), np.uint8), 'show the newest frame alone'),
    (specs.Array((6, 8, 3), np.uint8), 'draw it as high as wide'),
    (specs.Array((4, 4, 3), np.uint8), 'draw it larger, or ask for size 4'),
    (specs.Array((9, 9, 3), np.uint8), 'draw it smaller, or ask for size 9'),
    (specs.Array((8, 8, 3), np.int64), 'int64 .*convert it to uint8'),
    (specs.Array((8, 8, 3), np.float32), 'multiply images of 0 to 1 by 255'),
    (specs.BoundedArray((8, 8, 3), np.uint8, 0, 1), 'multiply images of 0 to'),
    ({'left': IMAGE}, 'expected a dm_env spec'),
  ],
)
def test_another_image_is_refused_with_the_likely_mistake(image, says):
  message = refused(make, image=image)
  assert re.search(says, message), message


@pytest.mark.parametrize(
  'spec', [None, specs.Array((0,), float), {'x': IMAGE}, 3]
)
def test_a_vector_has_numbers(spec):
  message = refused(
    observations.Observations, {'image': IMAGE, 'a': spec}, ['a'], 8
  )
  assert message.startswith("its vector 'a' is ")


def test_names_that_are_no_text_are_listed():
  message = refused(observations.Observations, {'image': IMAGE, 7: 1}, ['a'], 8)
  assert message == "it has no vector 'a', only: 7"


# ---------------------------------------------------------------- reading ----


def test_all_that_is_read_is_copied():
  mine = {'image': SHOWN.copy(), 'a': np.ones(2, np.float32)}
  found = make(['a'], a=(2,))
  read = found.read(mine)
  for value in mine.values():
    value[:] = 0
  mine.clear()
  np.testing.assert_array_equal(read['image'], SHOWN)
  assert read['a'].tolist() == [1, 1] and read['a'].dtype == np.float32
  rendered = SHOWN.copy()
  read = make(rendered=True).read({}, rendered)
  rendered[:] = 0
  np.testing.assert_array_equal(read['image'], SHOWN)


def test_other_mappings_and_lists_are_read():
  observation = collections.OrderedDict(image=SHOWN, a=[[1, 2], [3, 4]], b=5)
  read = make(['a', 'b'], a=(2, 2), b=(1,)).read(observation)
  assert read['a'].tolist() == [1, 2, 3, 4] and read['b'].tolist() == [5]


@pytest.mark.parametrize(
  'value, says',
  [
    (np.ones(4), r'shape \[4\] but \[3\] in its observation_spec'),
    (np.ones(2), r'shape \[2\] but \[3\]'),
    (np.ones((3, 1)), r'shape \[3, 1\] but \[3\]'),
    (1.0, r'shape \[\] but \[3\]'),
    ([1, 2, np.inf], r'is \[1.0, 2.0, inf\]: expected finite'),
    ([1, 2, 1e39], r'is \[1.0, 2.0, inf\]: .* float32 holds'),
    ('abc', "is 'abc': expected numbers of shape"),
    ([1, [2, 3], 4], 'expected numbers of shape'),
    ({'x': 1}, 'expected numbers of shape'),
    ('x' * 5000, "is 'xxx"),
  ],
)
def test_a_vector_unlike_its_spec_is_refused(value, says):
  found = make(['a'], a=(3,))
  message = refused(found.read, {'image': SHOWN, 'a': value})
  assert message.startswith("its observation 'a' ")
  assert re.search(says, message), message


def test_where_a_long_vector_is_not_finite_is_said():
  value = np.zeros(4000)
  value[17] = np.nan
  message = refused(make(['a'], a=(4000,)).read, {'image': SHOWN, 'a': value})
  assert 'nan at place 17 of 4000' in message


@pytest.mark.parametrize(
  'observation, says',
  [
    (SHOWN, 'is a ndarray, expected a dict'),
    (None, 'is a NoneType'),
    ({'a': [1]}, "observes ['a'] but promised ['image', 'a']"),
    ({'image': SHOWN.tolist(), 'a': [1]}, 'convert it to uint8'),
    ({'image': SHOWN / 255, 'a': [1]}, 'multiply images of 0 to 1 by 255'),
    ({'image': SHOWN[:, :4], 'a': [1]}, 'uint8 [8, 4, 3], expected'),
  ],
)
def test_another_observation_is_refused(observation, says):
  assert says in refused(make(['a'], a=(1,)).read, observation)


# ---------------------------------------------------------------- numbers ----


@pytest.mark.parametrize(
  'value',
  [1, 1.0, True, np.uint8(1), np.float64(1), np.array([[1.0]]), np.array(1)],
)
def test_one_number_of_any_type_is_one(value):
  assert observations.number('reward', value) == 1
  assert type(observations.number('reward', value)) is float


@pytest.mark.parametrize(
  'value',
  [None, 'text', '1.0', np.ones(2), [], np.nan, -np.inf, 1j, {'x': 1}]
  + [1e39, -1e39, np.ones(9999)],
)
def test_what_is_no_number_is_refused(value):
  message = refused(observations.number, 'reward', value)
  assert message.startswith('its reward is ') and 'expected a' in message


def test_a_number_beyond_float32_is_called_so():
  assert refused(observations.number, 'reward', -1e39) == (
    'its reward is -1e+39: expected a number that float32 holds, at most '
    '3.4e+38'
  )
  assert observations.number('reward', -3.4e38) == -3.4e38


def test_a_discount_is_within_0_and_1():
  assert [observations.discount(x) for x in (0, 0.5, 1)] == [0, 0.5, 1]
  for value in (-0.1, 1.5, None, np.nan):
    assert refused(observations.discount, value).startswith('its discount is')


# -------------------------------------------------------------- timesteps ----


def test_timesteps_come_from_where_they_belong():
  first, last = dm_env.restart({}), dm_env.termination(0.0, {})
  mid = dm_env.transition(0.0, {})
  observations.check_timestep(first, 'reset')
  observations.check_timestep(mid, 'step')
  observations.check_timestep(last, 'step')
  assert 'reset returned a timestep of type MID' in refused(
    observations.check_timestep, mid, 'reset'
  )
  assert 'step returned a timestep of type FIRST' in refused(
    observations.check_timestep, first, 'step'
  )


@pytest.mark.parametrize('value', [None, ({}, {}), ({}, 1.0, False, {}), SHOWN])
def test_what_is_no_timestep_is_refused(value):
  message = refused(observations.check_timestep, value, 'step')
  assert 'expected a dm_env.TimeStep; a Gym environment needs' in message
