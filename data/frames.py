"""Makes any picture one that a model sees: cropped, gray, square and small.

Pixels of a smaller image are means over areas of the larger one, so that
nothing thin vanishes between two of them.
"""

import dataclasses
import functools

import cv2
import numpy as np

from worldmodels import errors

# How bright red, green and blue look (ITU-R BT.601).
_LUMA = (0.299, 0.587, 0.114)
_OPAQUE = 255  # of alpha
_LARGEST = 1 << 26  # numbers of a picture; more are a mistake


@dataclasses.dataclass(frozen=True)
class Framing:
  """What becomes of the pictures of a task.

  Attributes:
    size: height and width of the image in pixels.
    crop: pixels that are cut off at top, bottom, left and right; () for none.
    gray: whether all three channels are made alike.
  """

  size: int = 64
  crop: tuple[int, ...] = ()
  gray: bool = False

  def __post_init__(self):
    if len(self.crop) not in (0, 4) or any(part < 0 for part in self.crop):
      raise errors.OptionError(
        'crop',
        f'is {self.crop}; it is the pixels to cut off at top, bottom, left and '
        'right, as in (0, 84, 0, 0)',
      )

  def __call__(self, picture: np.ndarray) -> np.ndarray:
    """Returns the image uint8 [size, size, 3] of a picture.

    Args:
      picture: uint8 [h, w], or [h, w, c] with 1, 3 or 4 channels, of which the
        fourth, alpha, is left out.

    Raises:
      ValueError: nothing is left of it, or its fourth channel is no alpha.
    """
    if picture.shape[2:] == (4,) and (picture[:, :, 3] != _OPAQUE).any():
      raise ValueError(
        'the fourth channel of its picture is not 255 everywhere, as alpha is: '
        'leave it out, or show the newest alone of gray frames that are stacked'
      )
    image = self._cropped(picture.reshape(*picture.shape[:2], -1)[:, :, :3])
    if image.shape[2] == 1:
      image = image.repeat(3, 2)
    elif self.gray:
      light = np.rint(image @ np.array(_LUMA, np.float32)).astype(np.uint8)
      image = light[:, :, None].repeat(3, 2)
    if image.shape[:2] == (self.size, self.size):
      return np.array(image)
    return _resized(image, self.size)

  def _cropped(self, image: np.ndarray) -> np.ndarray:
    if not self.crop:
      return image
    top, bottom, left, right = self.crop
    height, width = image.shape[:2]
    image = image[top : height - bottom, left : width - right]
    if top + bottom >= height or left + right >= width:
      raise ValueError(
        f'crop {self.crop} leaves nothing of its picture, which is {height} '
        f'high and {width} wide'
      )
    return image


def is_picture(shape: tuple[int, ...], dtype: np.dtype) -> bool:
  """Returns whether an array of bytes can be looked at."""
  if dtype != np.uint8 or len(shape) not in (2, 3):
    return False
  channels = shape[2] if len(shape) == 3 else 1
  return channels in (1, 3, 4) and 0 < np.prod(shape) <= _LARGEST


def _resized(image: np.ndarray, size: int) -> np.ndarray:
  """Resizes uint8 [h, w, 3] by area to [size, size, 3]."""
  if min(image.shape[:2]) >= size:
    return cv2.resize(
      np.ascontiguousarray(image), (size, size), interpolation=cv2.INTER_AREA
    )
  # Where OpenCV enlarges it does not go by area.
  rows, columns = (_shares(length, size) for length in image.shape[:2])
  mixed = np.einsum('ih,hwc,jw->ijc', rows, image, columns, optimize=True)
  return np.rint(mixed).astype(np.uint8)


@functools.cache
def _shares(length: int, size: int) -> np.ndarray:
  """Returns how much of each of `length` pixels is in each of `size`.

  Float32 [size, length]; each row has the sum 1.
  """
  ends = np.linspace(0, length, size + 1)
  low, high = ends[:-1, None], ends[1:, None]
  place = np.arange(length)
  overlap = np.minimum(high, place + 1) - np.maximum(low, place)
  overlap = np.maximum(overlap, 0)
  return (overlap / overlap.sum(1, keepdims=True)).astype(np.float32)
