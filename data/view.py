"""What of a task is seen: an image, from wherever, and vectors.

The image is drawn by the task itself, rendered from the physics of dm_control,
or observed or rendered by Gymnasium; or there is none, and vectors are all.
"""

import dataclasses
from collections.abc import Callable, Mapping

import dm_env
import numpy as np

from worldmodels import errors
from worldmodels.data import frames
from worldmodels.data import graphics
from worldmodels.data import gymnasium_tasks
from worldmodels.data import observations
from worldmodels.data import rendering

AUTO = 'auto'  # the camera, or the image, that the task stands for


@dataclasses.dataclass(frozen=True)
class View:
  """How to look at a task, see `environments.make`.

  Attributes:
    framing: of the pictures of Gymnasium; the size is that of all images.
    image: one of gymnasium_tasks.IMAGES.
    quality: of what is rendered by dm_control.
    camera: of that, or AUTO.
    vectors: names of the observations beside the image; where there is no
      image, none of them stand for all.
  """

  framing: frames.Framing
  image: str = AUTO
  quality: str = 'near'
  camera: str | int = AUTO
  vectors: tuple[str, ...] = ()

  def __post_init__(self):
    errors.choose('quality', self.quality, rendering.QUALITIES)
    errors.choose('image', self.image, gymnasium_tasks.IMAGES)

  def adapt(self, task: str, environment: object, seed: int) -> object:
    """Puts an environment of Gymnasium behind the interface of dm_env."""
    if not gymnasium_tasks.is_environment(environment):
      return environment
    return gymnasium_tasks.Task(
      task, environment, self.framing, self.image, seed
    )

  def open(
    self, task: str, environment: dm_env.Environment, camera: str | int | None
  ) -> tuple[Callable[[], np.ndarray] | None, observations.Observations]:
    """Finds out what there is to be seen.

    Args:
      task: its name.
      environment: that was adapted.
      camera: that AUTO stands for.

    Returns:
      (what renders an image, unless the task draws itself or there is none;
      what reads the observations).

    Raises:
      ValueError: the task shows nothing of the sort.
      OptionError: an option is not for this task.
    """
    available = environment.observation_spec()
    if not isinstance(available, Mapping):
      return None, observations.Observations(
        available, self.vectors, self.framing.size
      )
    gymnasium = isinstance(environment, gymnasium_tasks.Task)
    drawn = 'image' in available and not gymnasium
    self._check_options(task, drawn, gymnasium)
    render = None
    if gymnasium:
      render = environment.image if environment.has_image else None
    elif not drawn and self.image != 'none':
      if not hasattr(getattr(environment, 'physics', None), 'render'):
        raise ValueError(
          "its observation has no 'image' and it has no physics to render; to "
          'learn from its vectors alone set environment.image=none'
        )
      graphics.check()
      camera = camera if self.camera == AUTO else self.camera
      render = rendering.Renderer(
        environment, camera, self.framing.size, self.quality
      )
    shows = render is not None or (drawn and self.image != 'none')
    return render, observations.Observations(
      available,
      self.vectors or (() if shows else _all(available)),
      self.framing.size,
      rendered=render is not None,
      shown=shows,
    )

  def _check_options(self, task: str, drawn: bool, gymnasium: bool) -> None:
    """Raises OptionError for what has no effect on this task."""
    if (drawn or gymnasium) and self.camera != AUTO:
      raise errors.OptionError(
        'camera', f'is {self.camera!r}, but task {task!r} draws itself'
      )
    if gymnasium:
      return
    for name in ('crop', 'gray'):
      value = getattr(self.framing, name)
      if value:
        raise errors.OptionError(
          name, f'is {value!r}, which is for tasks of Gymnasium, not {task!r}'
        )
    only = 'observed' if drawn else 'rendered'
    if self.image not in (AUTO, 'none', only):
      raise errors.OptionError(
        'image', f'is {self.image!r}, but that of task {task!r} is {only}'
      )


def _all(available: Mapping[str, object]) -> tuple[str, ...]:
  """Returns the names of all vectors; one that is reserved is refused later."""
  return tuple(name for name in available if name != 'image')
