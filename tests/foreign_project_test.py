"""A project with packages called data, agents, configs and tests of its own.

It has the wheel and not the checkout, and trains, resumes, evaluates and films
from its root, with the command of the wheel.
"""

import json

import pytest
import wheel_environment

TASK = '''
import dm_env
import numpy as np
from dm_env import specs

import agents
import configs
import tests
from data import levels


def load(seed):
  """A ball that is pushed to the middle of the picture."""
  assert agents.OWNER == configs.OWNER == tests.OWNER == 'my_lab'
  return Ball(np.random.default_rng(seed))


class Ball(dm_env.Environment):
  step_limit = levels.STEPS

  def __init__(self, random):
    self._random = random

  def reset(self):
    self._place, self._steps = self._random.uniform(8, 56), 0
    return dm_env.restart(self._observe())

  def step(self, action):
    self._place = np.clip(self._place + 4 * action[0], 8, 56)
    self._steps += 1
    reward = 1 - abs(self._place - 32) / 24
    if self._steps == levels.STEPS:
      return dm_env.truncation(reward, self._observe())
    return dm_env.transition(reward, self._observe())

  def action_spec(self):
    return specs.BoundedArray((1,), np.float32, -1, 1)

  def observation_spec(self):
    return {'image': specs.BoundedArray((64, 64, 3), np.uint8, 0, 255)}

  def _observe(self):
    image = np.full((64, 64, 3), 40, np.uint8)
    image[28:36, int(self._place) - 4:int(self._place) + 4] = 255, 120, 40
    return {'image': image}
'''
PROJECT = {
  'my_lab/__init__.py': '',
  'my_lab/ball.py': TASK,
  'data/__init__.py': '',
  'data/levels.py': 'STEPS = 30\n',
  'agents/__init__.py': "OWNER = 'my_lab'\n",
  'configs/__init__.py': "OWNER = 'my_lab'\n",
  'tests/__init__.py': "OWNER = 'my_lab'\n",
}
TRAIN = [
  'train',
  '--config=planet:small',
  '--config.task=my_lab.ball:load',
  '--logdir=runs/ball',
  '--config.train.seed_episodes=2',
  '--config.train.first_updates=2',
  '--config.train.updates=2',
  '--config.train.batch=4',
  '--config.evaluate.last_episodes=1',
]


@pytest.fixture(scope='module')
def worldmodels(tmp_path_factory):
  """A function that runs the command in the project and returns what it says.

  The project has learned from three episodes.
  """
  folder = tmp_path_factory.mktemp('foreign')
  wheel = wheel_environment.build(folder)
  commands = wheel_environment.install(wheel, folder)
  project = folder / 'project'
  for name, text in PROJECT.items():
    path = project / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)

  def start(*arguments, program=('worldmodels',)):
    command = [commands / program[0], *program[1:], *arguments]
    return wheel_environment.run(*command, folder=project).stdout

  start(*TRAIN, '--config.train.episodes=3')
  start.project = project
  return start


def test_it_is_the_wheel(worldmodels):
  script = 'import worldmodels as w; print(w.__file__, *w.__path__)'
  for place in worldmodels('-c', script, program=['python']).split():
    assert '/environment/lib/' in place


def test_its_own_packages_are_found(worldmodels):
  assert worldmodels('check', '--task=my_lab.ball:load')


def test_films(worldmodels):
  worldmodels('video', '--logdir=runs/ball', '--out=ball.webp', '--episodes=1')
  assert (worldmodels.project / 'ball.webp').read_bytes()[8:12] == b'WEBP'


def test_resumes_and_evaluates(worldmodels):
  """The last test: the run is no more what the others looked at."""
  config = worldmodels.project / 'runs' / 'ball' / 'config.json'
  assert json.loads(config.read_text())['train']['episodes'] == 3
  worldmodels(*TRAIN, '--config.train.episodes=4')
  assert json.loads(config.read_text())['train']['episodes'] == 4
  said = worldmodels('evaluate', '--logdir=runs/ball', '--episodes=1')
  result = json.loads(said)
  assert result['task'] == 'my_lab.ball:load'
  assert result['checkpoint'] == 6
  assert result['episodes'] == 1 and 0 <= result['mean'] <= 30
