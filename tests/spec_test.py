import dataclasses
import json

import pytest

from worldmodels import errors
from worldmodels.spec import Spec
from worldmodels.spec import SpecError

SPECS = {
  'image': Spec(actions=2),
  'vectors beside it': Spec(3, image=(16, 24, 1), vectors={'speed': 2, 'b': 1}),
  'vectors alone': Spec(1, image=None, vectors={'speed': 2}),
  'discrete': Spec(actions=4, discrete=True),
}


@pytest.mark.parametrize('name', SPECS)
def test_it_goes_through_json_and_back(name):
  spec = SPECS[name]
  text = json.dumps(spec.to_dict())
  found = Spec.from_dict(json.loads(text))
  assert found == spec
  assert found.image is None or isinstance(found.image, tuple)
  assert json.dumps(found.to_dict()) == text


def test_shapes_are_those_of_a_step():
  spec = SPECS['vectors beside it']
  assert spec.shape('image') == (16, 24, 1)
  assert spec.shape('speed') == (2,) and spec.shape('b') == (1,)
  # Everything else is a number.
  assert spec.shape('reward') == spec.shape('discount') == ()


def test_pixels_are_numbers_of_an_image():
  assert SPECS['image'].pixels == 64 * 64 * 3
  assert SPECS['vectors alone'].pixels == 0


def test_without_an_image_it_has_no_shape():
  with pytest.raises(SpecError, match='^the task shows no image$'):
    SPECS['vectors alone'].shape('image')


def test_it_does_not_change():
  with pytest.raises(dataclasses.FrozenInstanceError):
    SPECS['image'].actions = 3
  # Nor are the vectors of one those of another.
  assert Spec(1).vectors is not Spec(1).vectors


def test_a_copy_has_vectors_of_its_own():
  values = SPECS['vectors alone'].to_dict()
  found = Spec.from_dict(values)
  values['vectors']['speed'] = 99
  assert found == SPECS['vectors alone']


GOOD = {'actions': 2, 'discrete': False, 'image': [8, 8, 3], 'vectors': {}}


@pytest.mark.parametrize(
  'values,message',
  [
    (None, 'a spec is an object, not NoneType'),
    ([1, 2], 'a spec is an object, not list'),
    ('a spec', 'a spec is an object, not str'),
    ({}, "lacks key 'actions'"),
    ({k: v for k, v in GOOD.items() if k != 'image'}, "lacks key 'image'"),
    (GOOD | {'size': 64}, "has an unknown key 'size'"),
    (GOOD | {'actions': 0}, 'no whole numbers'),
    (GOOD | {'actions': -1}, 'no whole numbers'),
    (GOOD | {'actions': 2.0}, 'no whole numbers'),
    (GOOD | {'actions': True}, 'no whole numbers'),
    (GOOD | {'actions': '2'}, 'no whole numbers'),
    (GOOD | {'actions': None}, 'no whole numbers'),
    (GOOD | {'discrete': 'no'}, 'not a boolean'),
    (GOOD | {'discrete': 1}, 'not a boolean'),
    (GOOD | {'image': 64}, 'not height, width and channels'),
    (GOOD | {'image': [64, 64]}, 'not height, width and channels'),
    (GOOD | {'image': []}, 'not height, width and channels'),
    (GOOD | {'image': 'rgb'}, 'not height, width and channels'),
    (GOOD | {'image': [64, 0, 3]}, 'no whole numbers'),
    (GOOD | {'image': [64, 64, '3\n']}, 'no whole numbers'),
    (GOOD | {'vectors': ['speed']}, 'not an object'),
    (GOOD | {'vectors': None}, 'not an object'),
    (GOOD | {'vectors': {'speed': [2]}}, 'no whole numbers'),
    (GOOD | {'vectors': {'a\nb': 0}}, 'no whole numbers'),
  ],
)
def test_a_damaged_form_is_one_line(values, message):
  with pytest.raises(SpecError, match=message) as caught:
    Spec.from_dict(values)
  assert '\n' not in str(caught.value)
  assert isinstance(caught.value, errors.UserError)


def test_the_form_that_these_damage_is_good():
  assert Spec.from_dict(GOOD) == Spec(2, image=(8, 8, 3))
