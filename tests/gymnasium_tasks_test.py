"""Gymnasium as it comes: by ID, by a function of one's own, in a worker."""

import json
import pathlib
import subprocess
import sys
import types

import numpy as np
import pytest

from worldmodels import errors
from worldmodels.data import environments
from worldmodels.data import gymnasium_ids
from worldmodels.data import gymnasium_tasks
from worldmodels.data import resolve
from worldmodels.data import soundness
from worldmodels.data import workers

ROOT = pathlib.Path(__file__).parent.parent
WORLDS = 'tests.gymnasium_worlds'


def make(name, **options):
  task = f'gymnasium:{WORLDS}:worlds/{name}-v0'
  return environments.make(task, 0, **options)


def inner(env):
  """The environment of Gymnasium inside."""
  return env._env._env.unwrapped


def episode(env, seed=0, action=(0.5,)):
  timesteps = [env.reset(seed)]
  while not timesteps[-1].last():
    timesteps.append(env.step(action))
  return timesteps


# ------------------------------------------------------------- what it is ----


def test_what_is_rendered_is_the_image():
  env = make('World')
  assert list(env.observation_spec()) == ['image']
  assert (env.action_size, env.discrete, env.step_limit) == (1, False, 9)
  assert env.bounds == [[-2.0, 2.0]]
  timesteps = episode(env)
  assert [t.reward for t in timesteps[1:]] == [1.0] * 6  # Of twice 0.5.
  assert timesteps[-1].discount == 0.0
  image = timesteps[2].observation['image']
  assert image.shape == (64, 64, 3) and image.dtype == np.uint8
  # Ten of forty rows are white: sixteen of sixty-four.
  assert (image[:16, 32] == 255).all() and (image[16:, 32] == 0).all()


def test_it_is_rendered_once_for_an_action():
  env = make('World', action_repeat=3, vectors=['observation'])
  timesteps = episode(env)
  assert [t.reward for t in timesteps[1:]] == [3.0, 3.0]
  assert inner(env).drawn == 3 and len(inner(env).taken) == 6
  assert timesteps[1].observation['observation'][1] == 3


def test_what_is_observed_is_the_image():
  env = make('Observed', size=32)
  assert list(env.observation_spec()) == ['image']
  image = episode(env)[4].observation['image']
  assert (image[:16, 16] == 255).all() and (image[16:, 16] == 0).all()


def test_parts_that_are_numbers_are_vectors():
  env = make('Parts', vectors=['way', 'arm_joint', 'arm_on'])
  spec = env.observation_spec()
  shapes = {'image': (64, 64, 3), 'way': (3,), 'arm_joint': (4,)}
  assert {k: v.shape for k, v in spec.items()} == {**shapes, 'arm_on': (2,)}
  seen = episode(env)[2].observation
  assert seen['way'].tolist() == [0, 0, 1]
  assert seen['arm_joint'].tolist() == [2] * 4
  assert seen['arm_on'].tolist() == [0, 1]
  with pytest.raises(environments.TaskError, match="no vector 'told', only"):
    make('Parts', vectors=['told'])


def test_choices_are_told_by_their_own_numbers():
  env = make('Choices')
  assert env.discrete and env.action_size == 2
  episode(env, action=(0, 1))
  assert inner(env).taken == [4] * 6


def test_a_truncated_episode_has_not_ended():
  last = episode(make('Truncated'))[-1]
  assert last.last() and last.discount == 1.0


def test_the_limit_is_that_of_the_registration_or_of_the_config():
  timesteps = episode(make('World', step_limit=3))
  assert len(timesteps) == 4 and timesteps[-1].discount == 1.0


def test_the_same_seed_gives_the_same_start():
  env = make('World', vectors=['observation'])
  first, other, again = (
    env.reset(seed).observation['observation'][0] for seed in (1, 2, 1)
  )
  assert first == again != other
  # Without one it goes on.
  assert env.reset().observation['observation'][0] != first


def test_where_there_is_no_image_all_vectors_are_seen():
  env = make('Blind')
  assert list(env.observation_spec()) == ['observation']
  assert episode(env)[2].observation['observation'][1] == 2
  env = make('Mapped')
  assert env.observation_spec()['map'].shape == (147,)
  assert episode(env)[2].observation['map'].tolist() == [2] * 147
  env = make('Parts', image='none')
  assert set(env.observation_spec()) == {'way', 'arm_joint', 'arm_on'}


def test_a_function_may_return_one():
  env = environments.make(f'{WORLDS}:load', 0)
  assert env.step_limit == 4
  timesteps = episode(env)
  assert len(timesteps) == 5 and timesteps[-1].discount == 1.0


def test_pictures_of_others_are_neither_cropped_nor_gray():
  for option in (dict(crop=(1, 0, 0, 0)), dict(gray=True)):
    with pytest.raises(errors.OptionError, match='is for tasks of Gymnasium'):
      environments.make('hill', 0, **option)
  with pytest.raises(errors.OptionError, match="'rendered', but .* observed"):
    environments.make('hill', 0, image='rendered')
  env = environments.make('hill', 0, image='none')
  assert set(env.observation_spec()) == {'position', 'velocity'}


# ----------------------------------------------------------------- errors ----


@pytest.mark.parametrize(
  'name, options, message',
  [
    ('Needy', {}, "is missing: No module named 'no_such_package'"),
    ('Dark', {}, 'neither a picture nor a vector'),
    ('Observed', dict(image='none'), 'there is no vector'),
    ('Blind', dict(image='rendered'), 'shows no pixels'),
    ('Blind', dict(image='observed'), 'no picture in its observation Box'),
    ('Several', {}, r'action space is MultiDiscrete\(.*ActionWrapper'),
    ('Whole', {}, 'action space is Box.*expected one Box of floats'),
    ('Unseeded', {}, 'takes no seed, which is the old gym interface'),
    ('Optionless', {}, 'takes no options, which is the old gym interface'),
    ('Ancient', {}, 'old gym interface: docs/gymnasium.md'),
    ('World', dict(crop=(1, 2)), r'crop is \(1, 2\); it is the pixels'),
    ('World', dict(image='seen'), "image is 'seen'; it is one of auto"),
    ('World', dict(camera=0), 'camera is 0, but task'),
  ],
)
def test_what_no_agent_could_use_is_refused(name, options, message):
  with pytest.raises(errors.UserError, match=message) as caught:
    make(name, **options)
  assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
  'name, options, message',
  [
    ('Old', {}, 'its step returned 4 values, expected 5, which is the old'),
    ('OldReset', {}, 'its reset returned a ndarray'),
    ('Undrawn', {}, 'its render gives None, expected uint8'),
    ('Lost', {}, 'its reward is nan'),
    ('Shifty', {}, r"its observation 'way' is 7, not of its space Discrete\(3"),
    ('World', dict(crop=(20, 20, 0, 0)), 'leaves nothing of its picture'),
  ],
)
def test_what_breaks_its_word_is_refused(name, options, message):
  env = make(name, **options)
  with pytest.raises(errors.UserError, match=message) as caught:
    episode(env)
  assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
  'task, message',
  [
    ('gymnasium:CartPol-v1', 'did you mean gymnasium:CartPole-v1'),
    ('gymnasium:', "has no ''; gymnasium:MODULE:ID imports"),
    ('gymnasium:no_such_module:A-v0', "no module 'no_such_module'"),
    (f'{WORLDS}:unrendered', "render_mode is None, .*render_mode='rgb_array'"),
    (f'{WORLDS}:several', 'a vector of environments: make a single one'),
  ],
)
def test_what_is_not_there_is_named(task, message):
  with pytest.raises(errors.UserError, match=message) as caught:
    environments.make(task)
  assert '\n' not in str(caught.value)


def test_packages_that_register_environments_are_named(monkeypatch):
  known = {'Nowhere-': ('no_such_package', 'no-such-package')}
  monkeypatch.setattr(gymnasium_ids, '_PACKAGES', known)
  with pytest.raises(errors.UserError, match='pip install no-such-package br'):
    resolve.resolve('gymnasium:Nowhere-v0')


def test_without_the_extra_it_is_named(monkeypatch):
  monkeypatch.setitem(sys.modules, 'gymnasium', None)
  with pytest.raises(errors.UserError, match=r"'worldmodels-tf\[gymnasium\]'"):
    resolve.resolve('gymnasium:CartPole-v1')


# ------------------------------------------------------- the documentation ----


class OldWorld:
  """The interface that Crafter has."""

  def __init__(self, seed=None):
    self.seed = seed

  def reset(self):
    self.count = 0
    return self.picture()

  def step(self, action):
    self.count += 1
    over = self.count == 3
    discount = float(self.seed == 1 or not over)
    return self.picture(), action, over, {'discount': discount}

  def picture(self):
    return np.full((64, 64, 3), 10 * self.count, np.uint8)


def test_the_adapter_in_the_docs_is_one(monkeypatch):
  text = (ROOT / 'docs' / 'gymnasium.md').read_text()
  (code,) = [
    block.partition('```')[0]
    for block in text.split('```python')
    if 'import crafter' in block
  ]
  crafter = types.ModuleType('crafter')
  crafter.Env = OldWorld
  monkeypatch.setitem(sys.modules, 'crafter', crafter)
  module = types.ModuleType('survival')
  monkeypatch.setitem(sys.modules, 'survival', module)
  exec(code, vars(module))  # noqa: S102
  env = environments.make('survival:load', 0)
  assert env.discrete and env.action_size == 17
  for seed, discount in ((0, 0.0), (1, 1.0)):
    last = episode(env, seed, np.eye(17)[5])[-1]
    assert (last.reward, last.discount) == (5.0, discount)
    assert last.observation['image'].max() == 30


# --------------------------------------------------- those that are known ----


@pytest.mark.parametrize(
  'name, size, limit', [('CartPole-v1', 2, 500), ('Pendulum-v1', 1, 200)]
)
def test_classic_control_is_seen_and_sound(name, size, limit):
  options = dict(vectors=['observation'], action_repeat=5)
  with workers.start(f'gymnasium:{name}', **options) as worker:
    assert (worker.action_size, worker.step_limit) == (size, limit // 5)
    assert worker.discrete == (name == 'CartPole-v1')
    episodes = [soundness.play(worker, seed) for seed in (0, 1)]
    assert soundness.examine(worker, (0, 1), episodes) == []
  first = episodes[0]
  assert first['image'].shape[1:] == (64, 64, 3)
  assert len(np.unique(first['image'])) > 10
  assert first['discount'][-1] == (name == 'Pendulum-v1')


def test_a_run_of_it_is_trained(wheel_program, tmp_path):
  done = wheel_program(
    *('train', '--config=gymnasium:debug', f'--logdir={tmp_path}/run'),
    *('--config.overshooting.steps=0', '--config.heads.image.share=1'),
  )
  assert done.returncode == 0, done.stdout + done.stderr
  assert 'task       gymnasium:CartPole-v1, action repeat 1' in done.stdout
  last = done.stdout.splitlines()[-1]
  # Random choices keep the pole up for about twenty steps.
  assert 8 < float(last.split('random policy ')[1].split(',')[0]) < 60
  config = json.loads((tmp_path / 'run' / 'config.json').read_text())
  assert config['planner']['kind'] == 'categorical_cem'
  assert config['heads']['discount']['kind'] == 'bernoulli'


def test_atari_is_seen_as_it_observes():
  task = 'gymnasium:ALE/Pong-v5'
  with workers.start(task, crop=(34, 16, 0, 0), step_limit=40) as worker:
    assert worker.discrete and worker.action_size == 6
    assert list(worker.observation_spec()) == ['image']
    episodes = [soundness.play(worker, seed) for seed in (0, 1)]
    assert soundness.examine(worker, (0, 1), episodes) == []
  assert len(episodes[0]['reward']) == 41 and episodes[0]['discount'][-1] == 1


def test_a_game_is_learned_continued_and_filmed(wheel_program, tmp_path):
  run = f'--logdir={tmp_path / "run"}'
  flags = (
    *('train', '--config=planet:debug', '--config.task=gymnasium:ALE/Pong-v5'),
    *('--config.environment.step_limit=40', '--config.overshooting.steps=0'),
    *('--config.heads.image.share=1', '--config.evaluate.last_episodes=1', run),
  )
  for episodes, says in ((3, 'new'), (4, 'continues  after 5 updates')):
    done = wheel_program(*flags, f'--config.train.episodes={episodes}')
    assert done.returncode == 0, done.stdout + done.stderr
    assert says in done.stdout
  out = tmp_path / 'game.webp'
  film = ('--real', '--episodes=1', '--scale=1')
  done = wheel_program('video', run, f'--out={out}', *film)
  assert done.returncode == 0 and not done.stderr, done.stderr
  assert '41 frames' in done.stdout and out.stat().st_size


def test_a_task_of_ours_does_not_import_it():
  code = (
    'import sys; from worldmodels.data import environments;'
    'environments.make("hill").reset(); print("gymnasium" in sys.modules)'
  )
  done = subprocess.run(
    [sys.executable, '-c', code], capture_output=True, text=True, check=True
  )
  assert done.stdout.strip() == 'False'
  assert not gymnasium_tasks.is_environment(environments.make('hill'))
