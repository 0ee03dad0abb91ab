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
    camera: index of a camera of the model.
    size: height and width in pixels.
    quality: one of QUALITIES.

  Raises:
    RuntimeError: TensorFlow is loaded in this process.
  """

  def __init__(
    self,
    environment: dm_env.Environment,
    camera: int,
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
    self._index = camera
    self._size = size
    self._quality = quality
    self._flags = _FAST_FLAGS if quality == 'fast' else {}
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

    if self._quality != 'exact':
      if physics._contexts:
        physics._free_rendering_contexts()
      visual = physics.model.vis
      visual.global_.offwidth = visual.global_.offheight = self._size
      visual.quality.shadowsize = _SHADOW_SIZE
      visual.quality.numslices = _SLICES
      visual.quality.numstacks = _STACKS
      if self._quality == 'fast':
        visual.quality.offsamples = 0
    self._camera = engine.Camera(physics, self._size, self._size, self._index)
    self._model = physics.model
