"""Writes frames as a file that plays in a browser, or a TensorBoard summary.

OpenCV's wheel has no H.264 encoder, and its usual `mp4v` plays in no browser;
VP8 in .webm, VP9 in .mp4, animated .webp and .gif do. In TensorBoard it is an
animated PNG.
"""

import contextlib
import os
import pathlib
import tempfile
from collections.abc import Iterator

import cv2
import numpy as np

from worldmodels import errors
from worldmodels.agents.runs import paths
from worldmodels.data import atomic

_CODECS = {'.webm': 'VP80', '.mp4': 'vp09'}
_IMAGES = {
  # Nearly as good as without loss, and a tenth of the size for noisy images.
  '.webp': (cv2.IMWRITE_WEBP_QUALITY, 90),
  # 256 colors made for the frame; dithering flickers and doubles the size.
  '.gif': (cv2.IMWRITE_GIF_QUALITY, 8, cv2.IMWRITE_GIF_DITHER, 3),
  # Without loss. 3 takes a third longer and saves 6 to 9 % of the bytes.
  '.png': (cv2.IMWRITE_PNG_COMPRESSION, 1),
}
# TensorBoard knows no .webp. Who asks for a file so called wants a picture.
_SUMMARY = '.png'
ENDINGS = tuple(x for x in (*_CODECS, *_IMAGES) if x != _SUMMARY)


class OutError(errors.UserError):
  """A film cannot be written where it is wanted; the message is one line."""


def check_ending(path: str | pathlib.Path) -> str:
  """Returns the ending of a file name in lower case, if it can be written.

  Raises:
    ValueError: it is none of ENDINGS.
  """
  ending = pathlib.Path(path).suffix.lower()
  if ending not in ENDINGS:
    raise ValueError(
      f'{path} ends in {ending or "nothing"!r}; what plays in a browser is '
      f'{", ".join(ENDINGS)}'
    )
  return ending


def check_out(name: str) -> pathlib.Path:
  """Returns the file of --out=NAME, found writable before the work, not after.

  Raises:
    OptionError: it is empty, or names no user.
    OutError: nothing can be written there.
  """
  path = paths.expanded('--out', name)
  try:
    if path.exists() and not path.is_file():
      kind = 'a directory' if path.is_dir() else 'no regular file'
      raise OutError(f'--out={path}: that is {kind}; it is a file to write')
    ending = check_ending(path)
    if not path.parent.is_dir():
      raise OutError(f'--out={path}: there is no {path.parent}')
    if not os.access(path.parent, os.W_OK):
      raise OutError(f'--out={path}: {path.parent} is not writable')
    # What the system and the encoder have to say comes out where one tries.
    atomic.check_writable(path, b'')
  except ValueError as error:
    raise OutError(f'--out={error}') from error
  except OSError as error:
    raise OutError(f'--out={path}: {error.strerror}') from error
  encode(np.zeros([2, 32, 32, 3], np.uint8), ending)
  return path


def write(
  path: str | pathlib.Path, frames: np.ndarray, fps: float = 10
) -> None:
  """Writes an animation, whole or not at all.

  Args:
    path: of the file; its ending, one of ENDINGS, says what it becomes.
    frames: uint8 [T, H, W, 3], RGB.
    fps: frames per second.

  Raises:
    ValueError: another ending.
    OSError: it cannot be encoded or written.
  """
  content = encode(frames, check_ending(path), fps)
  atomic.write_bytes(pathlib.Path(path), content)


def encode(frames: np.ndarray, ending: str, fps: float = 10) -> bytes:
  """Returns the bytes of a file of frames uint8 [T, H, W, 3], RGB.

  Raises:
    OSError: the encoder is missing or has lost frames.
  """
  frames = np.ascontiguousarray(frames[..., ::-1])  # OpenCV has BGR.
  if ending in _CODECS:
    content = _encode_video(frames, ending, fps)
    expected = len(frames)
  else:
    content = _encode_images(frames, ending, fps)
    # Equal frames in a row may have become one that lasts longer.
    changes = (frames[1:] != frames[:-1]).any((1, 2, 3))
    expected = 1 + int(changes.sum())
  written = sum(1 for _ in decode(content, ending))
  if not expected <= written <= len(frames):
    raise OSError(f'{ending}: {written} of {len(frames)} frames were written')
  return content


def decode(content: bytes, ending: str) -> Iterator[np.ndarray]:
  """Yields the frames of a file, uint8 [H, W, 3], RGB."""
  if ending not in _CODECS:
    _, animation = cv2.imdecodeanimation(np.frombuffer(content, np.uint8))
    for frame in animation.frames:
      yield frame[..., 2::-1]
    return
  with _file(ending) as path:
    path.write_bytes(content)
    capture = cv2.VideoCapture(str(path))
    while (answer := capture.read())[0]:
      yield answer[1][..., ::-1]
    capture.release()


def rate(content: bytes, ending: str) -> float:
  """Returns the frames per second of a file, on average; 0 if it has none."""
  if ending not in _CODECS:
    _, animation = cv2.imdecodeanimation(np.frombuffer(content, np.uint8))
    seconds = float(np.sum(animation.durations)) / 1000
    return len(animation.frames) / seconds if seconds > 0 else 0.0
  with _file(ending) as path:
    path.write_bytes(content)
    capture = cv2.VideoCapture(str(path))
    fps = capture.get(cv2.CAP_PROP_FPS)
    capture.release()
  return fps if 0 < fps < 1000 else 0.0


def write_summary(
  name: str,
  frames: np.ndarray,
  step: int,
  fps: float = 10,
  description: str | None = None,
) -> bool:
  """Writes frames as a moving image for TensorBoard's image dashboard.

  It goes to the default writer of tf.summary, in the form of its image
  summaries: width, height, and then the images: one here, which moves.

  Args:
    name: of the summary.
    frames: uint8 [T, H, W, 3], RGB.
    step: that it belongs to.
    fps: frames per second.
    description: text beside it, Markdown.

  Returns:
    Whether there was a writer.
  """
  import tensorflow as tf
  from tensorboard.plugins.image import metadata

  def tensor() -> tf.Tensor:
    height, width = frames.shape[1:3]
    return tf.constant(
      [str(width).encode(), str(height).encode(), encode(frames, _SUMMARY, fps)]
    )

  return tf.summary.write(
    tag=name,
    tensor=tensor,
    step=step,
    metadata=metadata.create_summary_metadata(
      display_name=None, description=description
    ),
  )


def _encode_images(frames: np.ndarray, ending: str, fps: float) -> bytes:
  animation = cv2.Animation()
  animation.frames = list(frames)
  animation.durations = np.full(len(frames), round(1000 / fps), np.int32)
  done, content = cv2.imencodeanimation(ending, animation, _IMAGES[ending])
  if not done:
    raise OSError(f'OpenCV {cv2.__version__} cannot encode {ending}')
  return content.tobytes()


def _encode_video(frames: np.ndarray, ending: str, fps: float) -> bytes:
  _, height, width, _ = frames.shape  # The codecs want even numbers.
  border = ((0, 0), (0, height % 2), (0, width % 2), (0, 0))
  frames = np.pad(frames, border, 'edge')
  code = cv2.VideoWriter_fourcc(*_CODECS[ending])
  with _file(ending) as path:
    # It says on stderr that .webm knows no such tag, and does it all the same.
    with _no_stderr():
      writer = cv2.VideoWriter(
        str(path), cv2.CAP_FFMPEG, code, fps, frames.shape[2:0:-1]
      )
    if not writer.isOpened():
      raise OSError(
        f'OpenCV {cv2.__version__} has no encoder {_CODECS[ending]} for '
        f'{ending}: take .webp or .gif'
      )
    for frame in frames:
      writer.write(frame)
    writer.release()
    return path.read_bytes()


@contextlib.contextmanager
def _file(ending: str) -> Iterator[pathlib.Path]:
  """Yields a path for a file that is gone afterwards."""
  with tempfile.TemporaryDirectory() as directory:
    yield pathlib.Path(directory) / f'animation{ending}'


@contextlib.contextmanager
def _no_stderr() -> Iterator[None]:
  """Drops what a library in C writes to stderr."""
  kept = os.dup(2)
  with open(os.devnull, 'wb') as nowhere:
    os.dup2(nowhere.fileno(), 2)
  try:
    yield
  finally:
    os.dup2(kept, 2)
    os.close(kept)
