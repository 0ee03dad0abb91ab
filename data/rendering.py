"""Renders frames of a dm_control physics at a chosen quality.

In software, nearly all the time of an environment step goes into shadows and
finely divided spheres. Frames per second and mean difference from `exact` in
gray levels of 255, for 64x64 frames on one core, cartpole / walker:
  exact    70 / 60                  as dm_control comes
  near    335 / 279   0.14 / 0.38   small buffers and shadow map, fewer slices
  fast   2074 / 1963  1.53 / 8.92   also no shadow, reflection, multisampling
Train and test on the same quality: `fast` looks different where a scene lies
in shadow.
"""

import sys
from typing import TYPE_CHECKING

import dm_env
import numpy as np

from worldmodels import errors

if TYPE_CHECKING:
  from dm_control import mujoco

QUALITIES = ('exact', 'near', 'fast')

_SHADOW_SIZE = 512  # pixels; dm_control has 2048
_SLICES, _STACKS = 14, 8  # of a sphere; dm_control has 28 and 16
_FAST_FLAGS = {'shadow': False, 'reflection': False}


class Renderer:
  """Renders the present state of an environment's physics.

  Attributes:
    environment: has `physics`, a dm_control.mujoco.Physics.
    camera: name or index of a camera of the model, -1 for the free one; None
      for the first, or the free one where there is none.
    size: height and width in pixels.
    quality: one of QUALITIES.

  Raises:
    RuntimeError: TensorFlow is loaded in this process.
    OptionError: the model has no such camera.
  """

  def __init__(
    self,
    environment: dm_env.Environment,
    camera: int | str | None,
    size: int,
    quality: str,
  ):
    if 'tensorflow' in sys.modules:
      raise RuntimeError(
        'TensorFlow is loaded in this process, and OpenGL in software '
        'crashes beside it: start the environment with '
        'worldmodels.data.workers'
      )
    self._environment = environment
    self._wanted = camera
    self._size = size
    self._quality = quality
    self._flags = _FAST_FLAGS if quality == 'fast' else {}
    # Images of its own are rendered in the same context as ours.
    self._side = max(
      [size, *map(_side, environment.observation_spec().values())]
    )
    find_camera(environment.physics.model, camera)
    self._model = None
    self._camera = None

  def __call__(self) -> np.ndarray:
    """Returns the frame, uint8 [size, size, 3]; the next call overwrites it."""
    physics = self._environment.physics
    if physics.model is not self._model:
      self._prepare(physics)
    return self._camera.render(render_flag_overrides=dict(self._flags))

  def _prepare(self, physics: 'mujoco.Physics') -> None:
    """Sets the quality, which an OpenGL context takes over when it is made."""
    from dm_control.mujoco import engine

    visual = physics.model.vis
    buffer = visual.global_
    small = min(buffer.offwidth, buffer.offheight) < self._side
    if small or self._quality != 'exact':
      if physics._contexts:
        physics._free_rendering_contexts()
      buffer.offwidth = buffer.offheight = self._side
    if self._quality != 'exact':
      visual.quality.shadowsize = _SHADOW_SIZE
      visual.quality.numslices = _SLICES
      visual.quality.numstacks = _STACKS
      if self._quality == 'fast':
        visual.quality.offsamples = 0
    index = find_camera(physics.model, self._wanted)
    self._camera = engine.Camera(physics, self._size, self._size, index)
    self._model = physics.model


def find_camera(model: 'mujoco.MjModel', camera: int | str | None) -> int:
  """Finds a camera of a model.

  Args:
    model: of MuJoCo.
    camera: see Renderer.

  Returns:
    Its index, -1 for the free camera.

  Raises:
    OptionError: there is no such camera; the message lists those there are.
  """
  names = [model.id2name(index, 'camera') for index in range(model.ncam)]
  if camera is None:
    return min(0, model.ncam - 1)
  if camera in filter(None, names):
    return names.index(camera)
  indices = {str(index): index for index in range(-1, model.ncam)}
  if str(camera).strip() in indices:
    return indices[str(camera).strip()]
  listed = [f'{index} {name}'.strip() for index, name in enumerate(names)]
  raise errors.OptionError(
    'camera',
    f'is {camera!r}; the model has, by index and name, '
    f'{", ".join([*listed, "-1 (free)"])}',
  )


def _side(spec: dm_env.specs.Array) -> int:
  """Returns the longer side of an image, 0 for all that is none."""
  image = len(spec.shape) >= 3 and spec.dtype == np.uint8
  return max(spec.shape[-3:-1]) if image else 0
