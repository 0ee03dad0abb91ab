"""Spec: image, vectors and actions of a task, all that a model knows of it.

A run keeps it as RUN/spec.json, so that it can be loaded, measured and filmed
without its environment.
"""

import dataclasses
import math
from typing import Any

from worldmodels import errors


class SpecError(errors.UserError, ValueError):
  """A spec that describes no task; the message is one line."""


@dataclasses.dataclass(frozen=True)
class Spec:
  """Image, vectors and actions of a task.

  Attributes:
    actions: A, size of an action.
    discrete: whether actions are one-hot; else each is within [-1, 1].
    image: height, width and channels of the image; None where there is none.
    vectors: {key: size V} of the vectors observed beside the image.
  """

  actions: int
  discrete: bool = False
  image: tuple[int, int, int] | None = (64, 64, 3)
  vectors: dict[str, int] = dataclasses.field(default_factory=dict)

  @property
  def pixels(self) -> int:
    """Numbers in an image; 0 where there is none."""
    return math.prod(self.image) if self.image else 0

  @property
  def observed_bytes(self) -> int:
    """Bytes of what is observed in a step, as episodes keep it."""
    return self.pixels + 4 * sum(self.vectors.values())

  def shape(self, key: str) -> tuple[int, ...]:
    """Returns the shape of one step of a key of a batch: () for numbers."""
    if key == 'image':
      if self.image is None:
        raise SpecError('the task shows no image')
      return self.image
    return (self.vectors[key],) if key in self.vectors else ()

  def to_dict(self) -> dict[str, Any]:
    """Returns the spec as a dict of JSON values."""
    return dataclasses.asdict(self)

  @classmethod
  def from_dict(cls, values: object) -> 'Spec':
    """Makes a spec from the dict of `to_dict`.

    Raises:
      SpecError: it is something else.
    """
    if not isinstance(values, dict):
      raise SpecError(f'a spec is an object, not {type(values).__name__}')
    names = {field.name for field in dataclasses.fields(cls)}
    if values.keys() != names:
      wrong = sorted(values.keys() ^ names)[0]
      problem = 'lacks' if wrong in names else 'has an unknown'
      raise SpecError(f'the spec {problem} key {wrong!r}')
    image, vectors = values['image'], values['vectors']
    if type(values['discrete']) is not bool:
      raise SpecError(
        f'`discrete` of the spec is {values["discrete"]!r}, not a boolean'
      )
    if image is not None and not (
      isinstance(image, list | tuple) and len(image) == 3
    ):
      raise SpecError(
        f'`image` of the spec is {image!r}, not height, width and channels'
      )
    if not isinstance(vectors, dict):
      raise SpecError(f'`vectors` of the spec is {vectors!r}, not an object')
    sizes = [values['actions'], *(image or ()), *vectors.values()]
    if not all(type(size) is int and size > 0 for size in sizes):
      raise SpecError(f'the sizes of the spec are no whole numbers: {values}')
    return cls(
      actions=values['actions'],
      discrete=values['discrete'],
      image=None if image is None else tuple(image),
      vectors=dict(vectors),
    )
