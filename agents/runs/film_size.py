"""Bounds of a film: what encoders can write, and what fits into memory."""

from worldmodels.agents.runs.stored_config import RunError

# Three copies of the largest film fit into memory.
_LARGEST_SIDE, _LARGEST_FILM = 16383, 2 << 30


def check(length: int, height: int, width: int) -> None:
  """Raises RunError for a film that no encoder or memory has room for."""
  size = length * height * width * 3
  if max(height, width) > _LARGEST_SIDE or size > _LARGEST_FILM:
    raise RunError(
      f'the film would have {length} frames of {width}x{height}, '
      f'{size / 1e9:.1f} GB: lower --scale, --episodes or --horizon (at most '
      f'{_LARGEST_SIDE} pixels and {_LARGEST_FILM / 1e9:.1f} GB)'
    )
