"""Reads the image of a goal from a file that anybody may have made."""

import cv2
import numpy as np

from worldmodels import errors
from worldmodels.agents.runs.paths import expanded
from worldmodels.data import reading

_PNG = b'\x89PNG\r\n\x1a\n'
_LARGEST_SIDE = 1 << 14  # pixels


class ImageError(errors.UserError, ValueError):
  """A file from which no goal can be read; the message is one line."""


def read(file: str, channels: int) -> np.ndarray:
  """Reads an image, uint8 [h, w, channels], RGB where there are three.

  Args:
    file: .png, .jpg or what else OpenCV knows; transparency is left out.
    channels: 1 for gray, or 3.

  Raises:
    ImageError: it is no image, or too large for one.
    FileError: it is no regular file, or has more than 16 MB.
    OSError: it is not there, or cannot be read.
  """
  content = reading.bytes_in(expanded('--goal', file))
  if content.startswith(_PNG):
    # A small file may unfold to more than the memory.
    width, height = (
      int.from_bytes(content[i : i + 4], 'big') for i in (16, 20)
    )
    if max(width, height) > _LARGEST_SIDE:
      raise ImageError(
        f'--goal={file} has {height} x {width} pixels, which no task shows'
      )
  kind = cv2.IMREAD_GRAYSCALE if channels == 1 else cv2.IMREAD_COLOR
  try:
    image = cv2.imdecode(
      np.frombuffer(content, np.uint8), kind | cv2.IMREAD_IGNORE_ORIENTATION
    )
  except cv2.error:  # Such as that of an empty file.
    image = None
  if image is None:
    raise ImageError(
      f'--goal={file} is no image that can be read, such as a .png'
    )
  return image[..., None] if channels == 1 else image[..., ::-1].copy()
