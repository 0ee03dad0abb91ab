"""Arrays that users give to a trained run, without a run."""

import numpy as np
import pytest

from worldmodels.agents.runs import inputs
from worldmodels.spec import Spec

SPEC = Spec(actions=2, image=(2, 2, 3), vectors={'speed': 1})
CHOICE = Spec(actions=3, discrete=True, image=None, vectors={'speed': 1})
IMAGES = np.arange(36, dtype=np.uint8).reshape(3, 2, 2, 3)
SPEED = {'speed': [[0.5], [1.0], [1.5]]}
ACTIONS = np.float32([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]])


def test_actions_led_to_images_or_lie_between_them():
  lead, led = inputs.batch(SPEC, IMAGES, ACTIONS, SPEED, begins=True)
  assert lead == () and led['image'].shape == (1, 3, 2, 2, 3)
  np.testing.assert_array_equal(led['action'][0], ACTIONS)
  np.testing.assert_array_equal(led['is_first'], [[True, False, False]])
  np.testing.assert_array_equal(led['speed'][0, :, 0], [0.5, 1.0, 1.5])
  _, between = inputs.batch(SPEC, IMAGES, ACTIONS[1:], SPEED, begins=True)
  np.testing.assert_array_equal(between['action'][0, 1:], ACTIONS[1:])
  np.testing.assert_array_equal(between['action'][0, 0], [0, 0])
  # Nothing is reset where it goes on, and each image had its action.
  _, more = inputs.batch(SPEC, IMAGES, ACTIONS, SPEED, begins=False)
  assert not more['is_first'].any()
  with pytest.raises(inputs.InputError, match='3 images and 2 actions: one le'):
    inputs.batch(SPEC, IMAGES, ACTIONS[1:], SPEED, begins=False)


def test_several_at_once():
  two = {'speed': np.stack([SPEED['speed']] * 2)}
  images, actions = np.stack([IMAGES, IMAGES + 1]), np.stack([ACTIONS] * 2)
  lead, found = inputs.batch(SPEC, images, actions, two, begins=True)
  assert lead == (2,) and found['action'].shape == (2, 3, 2)
  with pytest.raises(inputs.InputError, match=r'speed has shape \[3, 1\]'):
    inputs.batch(SPEC, images, actions, SPEED, begins=True)
  lead, found = inputs.observation(SPEC, images[:, 0], {'speed': [[1], [2]]})
  assert lead == (2,) and found['speed'].dtype == np.float32
  lead, found = inputs.observation(SPEC, images[0, 0], {'speed': [1]})
  assert lead == () and found['image'].shape == (1, 2, 2, 3)
  with pytest.raises(inputs.InputError, match='each is one step, or'):
    inputs.observation(SPEC, images[:, 0], {'speed': [1]})


def test_a_choice_is_one_hot_or_its_number():
  one_hot = np.float32([[1, 0, 0], [0, 0, 1]])
  for given in ([0, 2], one_hot, one_hot.astype(int)):
    found = inputs.actions(CHOICE, given, 'imagine')
    np.testing.assert_array_equal(found, one_hot)
    assert found.dtype == np.float32
  with pytest.raises(
    inputs.InputError, match='a choice is 3: it is from 0 to 2'
  ):
    inputs.actions(CHOICE, [0, 3], 'imagine')
  lead, found = inputs.batch(CHOICE, None, [2, 0], SPEED, begins=True)
  assert lead == () and 'image' not in found
  np.testing.assert_array_equal(found['action'][0, 1:], [[0, 0, 1], [1, 0, 0]])
  with pytest.raises(inputs.InputError, match='images are given, but the task'):
    inputs.batch(CHOICE, IMAGES, [2, 0], SPEED, begins=True)


@pytest.mark.parametrize(
  'given, says',
  [
    ([[1, 1, 0]], r'is \[1.0, 1.0, 0.0\]: a choice is one-hot'),
    (np.float32([[0, 1, 0], [0.3, 0.3, 0.4]]), r'is \[0.3.*one-hot, or'),
    (np.float32([[1, -1, 0]]), r'is \[1.0, -1.0, 0.0\]: a choice'),
    ([0, 1, -1], r'a choice is -1: it is from 0 to 2'),
  ],
)
def test_what_is_no_choice(given, says):
  with pytest.raises(inputs.InputError, match=says):
    inputs.actions(CHOICE, given, 'imagine', 0)


def test_as_many_choices_as_there_are_steps_are_no_action():
  # Numbers of choices [H], [B, H] look like one-hot where H is A.
  for given in ([0, 1, 1], [0, 1, 0], [1, 0, 0]):
    found = inputs.actions(CHOICE, given, 'imagine')
    np.testing.assert_array_equal(found, np.eye(3, dtype=np.float32)[given])
    _, led = inputs.batch(CHOICE, None, given, SPEED, begins=False)
    np.testing.assert_array_equal(led['action'][0].argmax(-1), given)
  two = [[0, 1, 1], [0, 1, 0]]
  assert inputs.actions(CHOICE, two, 'imagine').shape == (2, 3, 3)
  # Nothing but the axes in front can tell these apart.
  either = [[0, 1, 0], [1, 0, 0]]
  assert inputs.actions(CHOICE, either, 'imagine').shape == (2, 3)
  assert inputs.actions(CHOICE, either, 'imagine', 0).shape == (2, 3)
  found = inputs.actions(CHOICE, either, 'imagine', 1)
  np.testing.assert_array_equal(found.argmax(-1), either)


@pytest.mark.parametrize('seed', [-1, 2**31, 0.5, None])
def test_what_is_no_seed(seed):
  with pytest.raises(inputs.InputError, match='seed is .*; it is a whole num'):
    inputs.check_seed(seed)


def test_the_name_of_a_function_of_the_users():
  name = f'{__name__}:test_the_name_of_a_function_of_the_users'
  this = test_the_name_of_a_function_of_the_users
  assert inputs.name_of(this, strict=True) == name
  with pytest.raises(inputs.InputError, match='define it at the top'):
    inputs.name_of(lambda: None, strict=True)
