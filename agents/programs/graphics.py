"""Says which OpenGL renders here, or what to install if none does."""

import sys

from worldmodels.data import graphics


def main(argv: list[str]) -> None:
  """Prints one line; exits with 1 if no OpenGL works."""
  del argv
  sys.exit(graphics.main())
