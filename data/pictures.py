"""Decodes recorded images, and brings them to one size."""

import struct

import cv2
import numpy as np

from worldmodels.data import recordings

_PNG, _JPEG = b'\x89PNG\r\n\x1a\n', b'\xff\xd8\xff'
# Markers of JPEG that are followed by a size; these are not.
_BARE = {0x01, *range(0xD0, 0xDA)}
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}


def shaped(images: np.ndarray, size: int = 0) -> np.ndarray:
  """Returns images as models take them.

  Args:
    images: uint8 [L, h, w, c], of 1, 3 or 4 channels; the 4th is dropped.
    size: the middle square is brought to that many pixels, by areas; 0 leaves
      images as large as they are.

  Returns:
    uint8 [L, h, w, 3], or [L, size, size, 3].

  Raises:
    RecordingError: they are something else.
  """
  if images.ndim and not len(images):
    raise recordings.RecordingError('it has no rows')
  if images.dtype != np.uint8 or images.ndim != 4 or not images.size:
    raise recordings.RecordingError(
      f'its images are {images.dtype} {list(images.shape)}, not uint8 '
      '[L, h, w, c]'
    )
  channels = images.shape[-1]
  if channels not in (1, 3, 4):
    raise recordings.RecordingError(
      f'its images have {channels} channels: 1, 3 or 4 can be read'
    )
  images = images.repeat(3, -1) if channels == 1 else images[..., :3]
  if not size or images.shape[1:3] == (size, size):
    return np.ascontiguousarray(images)
  return np.stack([resized(image, size) for image in images])


def resized(image: np.ndarray, size: int) -> np.ndarray:
  """Cuts the middle square out of uint8 [h, w, c] and brings it to a size."""
  height, width = image.shape[:2]
  side = min(height, width)
  top, left = (height - side) // 2, (width - side) // 2
  square = np.ascontiguousarray(image[top : top + side, left : left + side])
  how = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
  return cv2.resize(square, (size, size), interpolation=how)


def encoded_size(content: bytes) -> tuple[int, int]:
  """Reads height and width of a PNG or JPEG from its header.

  Raises:
    RecordingError: it is neither, or damaged.
  """
  try:
    if content.startswith(_PNG):
      width, height = struct.unpack_from('>II', content, 16)
      return height, width
    if content.startswith(_JPEG):
      return _jpeg_size(content)
  except (struct.error, IndexError) as error:
    raise recordings.RecordingError('an image is damaged') from error
  raise recordings.RecordingError('an image is neither PNG nor JPEG')


def _jpeg_size(content: bytes) -> tuple[int, int]:
  place = 2
  while True:
    while content[place] == 0xFF:
      place += 1
    marker = content[place]
    if marker in _FRAMES:
      return struct.unpack_from('>HH', content, place + 4)
    place += 1
    if marker not in _BARE:
      place += struct.unpack_from('>H', content, place)[0]


def decoded(contents: list[bytes], size: int = 0) -> np.ndarray:
  """Decodes PNGs or JPEGs of one size.

  Args:
    contents: L of them.
    size: to which each is brought, see `shaped`; 0 leaves it.

  Returns:
    uint8 [L, h, w, 3].

  Raises:
    RecordingError: one is damaged, too large or of another size.
  """
  shapes = {encoded_size(content) for content in contents}
  if len(shapes) != 1:
    raise recordings.RecordingError(
      f'its images have {len(shapes)} sizes: {sorted(shapes)[:3]}'
    )
  height, width = shapes.pop()
  side = size * size or height * width
  recordings.check_size('it', 3 * (side * len(contents) + height * width))
  images = []
  for content in contents:
    try:
      image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
      raise recordings.RecordingError('an image is damaged') from error
    if image is None or image.shape[:2] != (height, width):
      raise recordings.RecordingError('an image is damaged')
    image = image[..., ::-1]
    images.append(resized(image, size) if size else image)
  return np.stack(images)


def png(image: np.ndarray) -> bytes:
  """Encodes uint8 [h, w, 3] as PNG, without loss."""
  done, content = cv2.imencode('.png', image[..., ::-1])
  if not done:
    raise OSError(f'OpenCV {cv2.__version__} cannot encode PNG')
  return content.tobytes()
