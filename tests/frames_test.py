import numpy as np
import pytest

from worldmodels import errors
from worldmodels.data import frames

RANDOM = np.random.default_rng(0)


def test_pixels_are_means_over_areas():
  picture = RANDOM.integers(0, 256, (6, 9, 3), np.uint8)
  small = frames.Framing(size=3)(picture)
  golden = picture.reshape(3, 2, 3, 3, 3).mean((1, 3))
  assert np.abs(small - golden).max() <= 0.51


def test_larger_ones_are_made_by_area_too():
  picture = RANDOM.integers(0, 256, (4, 6, 3), np.uint8)
  np.testing.assert_array_equal(
    frames.Framing(size=12)(picture), picture.repeat(3, 0).repeat(2, 1)
  )
  # The middle of three is one half of each.
  row = np.array([0, 200], np.uint8)[None, :, None].repeat(3, 2)
  large = frames.Framing(size=3)(row)
  assert large[:, :, 0].tolist() == [[0, 100, 200]] * 3


def test_a_picture_of_the_right_size_stays_as_it_is_and_is_copied():
  picture = RANDOM.integers(0, 256, (8, 8, 3), np.uint8)
  image = frames.Framing(size=8)(picture)
  np.testing.assert_array_equal(image, picture)
  picture[:] = 0
  assert image.any()


def test_what_is_cropped_is_not_seen():
  picture = RANDOM.integers(0, 256, (10, 10, 3), np.uint8)
  image = frames.Framing(size=4, crop=(1, 5, 2, 4))(picture)
  np.testing.assert_array_equal(image, picture[1:5, 2:6])
  with pytest.raises(ValueError, match='leaves nothing .* 10 high and 10 wide'):
    frames.Framing(size=4, crop=(5, 5, 0, 0))(picture)


@pytest.mark.parametrize('crop', [(1,), (0, 0, 0, -1), (1, 2, 3, 4, 5)])
def test_a_crop_is_four_numbers(crop):
  with pytest.raises(errors.OptionError, match='crop is .*; it is the pixels'):
    frames.Framing(crop=crop)


def test_gray_is_as_bright_in_all_colors():
  picture = np.zeros((4, 4, 3), np.uint8)
  picture[0], picture[1], picture[2] = (255, 0, 0), (0, 255, 0), (255,) * 3
  image = frames.Framing(size=4, gray=True)(picture)
  assert image[:, 0].tolist() == [[76] * 3, [150] * 3, [255] * 3, [0] * 3]


@pytest.mark.parametrize('shape', [(5, 7), (5, 7, 1), (5, 7, 3), (5, 7, 4)])
def test_channels_become_three(shape):
  picture = RANDOM.integers(0, 256, shape, np.uint8)
  if shape[2:] == (4,):
    picture[:, :, 3] = 255
  assert frames.is_picture(picture.shape, picture.dtype)
  assert frames.Framing(size=4)(picture).shape == (4, 4, 3)


def test_gray_frames_that_are_stacked_are_no_colors():
  picture = RANDOM.integers(0, 255, (5, 7, 1), np.uint8).repeat(4, 2)
  with pytest.raises(ValueError, match='not 255 everywhere, as alpha is'):
    frames.Framing(size=4)(picture)
  # One pixel of them all is enough to tell.
  picture[:, :, 3] = 255
  frames.Framing(size=4)(picture)
  picture[4, 6, 3] = 254
  with pytest.raises(ValueError, match='show the newest alone'):
    frames.Framing(size=4)(picture)


@pytest.mark.parametrize(
  'shape, dtype',
  [((4, 84, 84), np.uint8), ((5, 7, 3), np.float32), ((3,), np.uint8)]
  + [((0, 7, 3), np.uint8), ((1 << 20, 1 << 20, 3), np.uint8)],
)
def test_what_cannot_be_looked_at_is_no_picture(shape, dtype):
  assert not frames.is_picture(shape, np.dtype(dtype))
