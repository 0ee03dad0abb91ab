"""Small tasks of a user's, made with dm_control; loaded by name in a worker."""

import numpy as np
from dm_control import composer
from dm_control import mujoco
from dm_control.composer.observation import observable
from dm_control.rl import control

MODEL = """
<mujoco>
  <visual><global offwidth="200" offheight="120"/></visual>
  <worldbody>
    <light pos="0 0 4"/>
    {cameras}
    <body name="ball" pos="0 0 1">
      <joint name="slide" type="slide" axis="1 0 0" damping="1"/>
      <geom type="sphere" size="0.3" rgba="1 0.4 0.1 1"/>
    </body>
  </worldbody>
  <actuator>
    <motor joint="slide" ctrllimited="true" ctrlrange="-2 6"/>
  </actuator>
</mujoco>
"""
CAMERAS = """
    <camera name="front" pos="0 -4 1" xyaxes="1 0 0 0 0 1"/>
    <camera name="above" pos="0 0 6"/>
    <camera pos="0 -9 1" xyaxes="1 0 0 0 0 1"/>
"""


# -------------------------------------------------- dm_control.rl.control ----


class Slide(control.Task):
  """Is seen by three cameras, of which the last has no name."""

  def __init__(self, seed):
    self.random = np.random.RandomState(seed)

  def initialize_episode(self, physics):
    physics.named.data.qpos['slide'] = self.random.uniform(-0.5, 0.5)

  def before_step(self, action, physics):
    physics.set_control(action)

  def action_spec(self, physics):
    return mujoco.action_spec(physics)

  def get_observation(self, physics):
    return {'place': physics.data.qpos.copy()}

  def get_reward(self, physics):
    return float(physics.data.qpos[0])


def slide(seed, cameras=CAMERAS):
  physics = mujoco.Physics.from_xml_string(MODEL.format(cameras=cameras))
  return control.Environment(
    physics, Slide(seed), time_limit=0.4, control_timestep=0.02
  )


def unseen(seed):
  """A task whose model has no camera."""
  return slide(seed, '')


# ---------------------------------------------------- dm_control.composer ----


class Roll(composer.Task):
  """Is small; its start is random in both of the ways of dm_control's own.

  It shows a picture of its own, larger than ours, as they do.
  """

  def __init__(self, failures=0):
    self._failures = failures
    self._entity = composer.Arena()
    ball = self._entity.mjcf_model.worldbody.add('body', name='ball')
    self._joint = ball.add(
      'joint', name='slide', type='slide', axis=[1, 0, 0], damping=1
    )
    ball.add('geom', type='sphere', size=[0.3], rgba=[1, 0.4, 0.1, 1])
    self._entity.mjcf_model.actuator.add(
      'motor', joint=self._joint, ctrllimited=True, ctrlrange=[-3, 3]
    )
    camera = self._entity.mjcf_model.worldbody.add(
      'camera', name='front', pos=[0, -4, 0], xyaxes=[1, 0, 0, 0, 0, 1]
    )
    self._start = np.random.uniform(-0.3, 0.3)  # As a maze: of nobody's seed.
    self._picture = observable.MJCFCamera(camera, 84, 84)
    self._picture.enabled = True
    self._place = observable.MJCFFeature('qpos', self._joint)
    self._place.enabled = True
    self.control_timestep = 0.03

  @property
  def root_entity(self):
    return self._entity

  @property
  def task_observables(self):
    return {'picture': self._picture, 'place': self._place}

  def initialize_episode(self, physics, random_state):
    place = self._start + random_state.uniform(-0.3, 0.3)
    if self._failures:
      self._failures -= 1
      raise composer.EpisodeInitializationError('there is no room')
    physics.bind(self._joint).qpos = place

  def get_reward(self, physics):
    return float(physics.bind(self._joint).qpos[0])


def roll(seed, **options):
  return composer.Environment(
    Roll(**options), time_limit=0.3, random_state=seed
  )


def narrow(seed):
  """A task whose start fails thrice."""
  return roll(seed, failures=3)


def endless(seed):
  """A task without a limit."""
  return composer.Environment(Roll(), random_state=seed)


class Wrapper:
  """Hands on what it wraps."""

  def __init__(self, env):
    self._env = env

  def __getattr__(self, name):
    return getattr(self._env, name)


def wrapped(seed):
  """A task whose start fails thrice, behind two wrappers."""
  return Wrapper(Wrapper(narrow(seed)))
