"""Decodes films, which anybody may have made, frame by frame.

OpenCV decodes most codecs, but not AV1; where it finds no frame PyAV is asked,
which the extra lerobot brings.
"""

import pathlib
from collections.abc import Iterator

import cv2
import numpy as np

from worldmodels.data import pictures
from worldmodels.data import reading
from worldmodels.data import recordings
from worldmodels.data.recordings import RecordingError

# How files begin: the decoder would follow the links of others, of playlists.
_MAGIC = (
  (4, b'ftyp'),
  (4, b'moov'),
  (4, b'mdat'),
  (4, b'wide'),
  (4, b'free'),
  (0, b'\x1aE\xdf\xa3'),
  (0, b'GIF8'),
  (8, b'AVI '),
)
_LARGEST_FRAME = 1 << 26  # pixels
# Of the frames that a file says it has: some formats estimate their number.
_LEAST_SHARE = 0.9


def frames(path: pathlib.Path, size: int = 0) -> np.ndarray:
  """Decodes all frames of a film.

  Args:
    path: of the file.
    size: pixels of the square that each frame is brought to; 0 leaves it.

  Returns:
    uint8 [L, h, w, 3], of two or more.

  Raises:
    RecordingError: it is damaged or too long, or no codec is there for it.
    IrregularError: it is no regular file.
    OSError: it cannot be read.
  """
  _check_kind(path)
  capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
  try:
    width, height, said = (
      capture.get(key)
      for key in (
        cv2.CAP_PROP_FRAME_WIDTH,
        cv2.CAP_PROP_FRAME_HEIGHT,
        cv2.CAP_PROP_FRAME_COUNT,
      )
    )
    _check_frame(width, height)
    opened = capture.isOpened()
    found = _gathered(_read(capture), size) if opened else []
  except cv2.error as error:
    raise RecordingError(f'damaged: {" ".join(str(error).split())}') from error
  finally:
    capture.release()
  if not found and opened and said > 0:
    found = span(path, size=size)
  if len(found) < 2 or len(found) < _LEAST_SHARE * said - 1:
    of = f' of {said:.0f}' if said > 0 else ''
    raise RecordingError(f'damaged: {len(found)}{of} frames can be read')
  return np.stack(found)


def span(
  path: pathlib.Path,
  start: float = 0.0,
  count: int | None = None,
  size: int = 0,
) -> list[np.ndarray]:
  """Decodes frames of a film from a time on, with PyAV.

  Args:
    path: of the file.
    start: seconds; the first frame is the one then, or after it.
    count: how many; None for all.
    size: see `frames`.

  Returns:
    uint8 [h, w, 3] each, fewer where the film ends.

  Raises:
    RecordingError: it is damaged or too long, or PyAV is not installed.
  """
  _check_kind(path)
  with recordings.extra('lerobot', 'av'):
    import av
  try:
    with av.open(str(path)) as film:
      stream = film.streams.video[0]
      _check_frame(stream.width, stream.height)
      if start:
        film.seek(int(start / stream.time_base), stream=stream)
      decoded = (
        frame.to_ndarray(format='rgb24')
        for frame in film.decode(stream)
        if frame.time is None or frame.time >= start
      )
      return _gathered(decoded, size, count)
  except (av.FFmpegError, IndexError, ValueError, OverflowError) as error:
    raise RecordingError(f'damaged: {" ".join(str(error).split())}') from error


def _read(capture: cv2.VideoCapture) -> Iterator[np.ndarray]:
  while (answer := capture.read())[0]:
    yield answer[1][..., ::-1]


def _gathered(
  decoded: Iterator[np.ndarray], size: int, count: int | None = None
) -> list[np.ndarray]:
  """Returns frames at the size that is asked for, as many as there may be."""
  found, nbytes = [], 0
  while count is None or len(found) < count:
    frame = next(decoded, None)
    if frame is None:
      break
    found.append(pictures.resized(frame, size) if size else frame.copy())
    nbytes += found[-1].nbytes
    if nbytes > recordings.LARGEST:
      raise RecordingError(
        f'its first {len(found)} frames have {nbytes / 1e9:.1f} GB: cut the '
        'film, or give --size=64'
      )
  return found


def _check_kind(path: pathlib.Path) -> None:
  """Raises RecordingError for a file that is no film."""
  with reading.open_regular(path) as file:
    begin = file.read(16)
  if not any(begin[at:].startswith(magic) for at, magic in _MAGIC):
    raise RecordingError('it is no film, whatever its name says')


def _check_frame(width: float, height: float) -> None:
  if width * height > _LARGEST_FRAME:
    raise RecordingError(f'its frames have {width:.0f}x{height:.0f} pixels')
