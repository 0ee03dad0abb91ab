"""Films: .mp4, .webm, .gif and the like, each of them one episode.

A film has images alone. Its actions have size 0, its rewards are zero, and it
ends only because the recording does.
"""

import pathlib

import numpy as np

from worldmodels.data import films
from worldmodels.data import recordings
from worldmodels.data.recordings import Episode
from worldmodels.data.recordings import Recordings

ENDINGS = ('.mp4', '.m4v', '.mov', '.webm', '.mkv', '.gif', '.avi')


def recognizes(path: pathlib.Path) -> bool:
  """Returns whether it is a film, or a directory with some."""
  return bool(_files(path))


def read(path: pathlib.Path, image: str | None = None) -> Recordings:
  """Finds the films at a path, in order of their names."""
  del image
  files = _files(path)
  return Recordings(
    format='video',
    names=[file.name for file in files],
    load=lambda position, size: _load(files[position], size),
    actions=lambda position: np.zeros([1, 0], np.float32),
  )


def _files(path: pathlib.Path) -> list[pathlib.Path]:
  """Lists the films at a path."""
  found = sorted(path.glob('*')) if path.is_dir() else [path]
  return [file for file in found if file.suffix.lower() in ENDINGS]


def _load(file: pathlib.Path, size: int) -> Episode:
  """Reads a film as an episode."""
  images = films.frames(file, size)
  length = len(images)
  return {
    'image': images,
    'action': np.zeros([length, 0], np.float32),
    'reward': np.zeros(length, np.float32),
    **recordings.flags(length, terminal=False),
  }
