"""Tasks that are made with dm_control: its own by name, and a user's.

All are rendered in workers: TensorFlow may be in the process of the tests.
"""

import importlib.util
import json
import pathlib
import subprocess
import sys
import types

import numpy as np
import pytest

from worldmodels import errors
from worldmodels.data import composer
from worldmodels.data import environments
from worldmodels.data import graphics
from worldmodels.data import workers

ROOT = pathlib.Path(__file__).parent.parent
OWN = 'tests.control_tasks:{}'
needs_labmaze = pytest.mark.skipif(
  importlib.util.find_spec('labmaze') is None,
  reason='labmaze is not installed: it has no wheel for Python 3.13',
)


@pytest.fixture(scope='module', autouse=True)
def opengl():
  try:
    graphics.backend()
  except graphics.GraphicsError as error:
    pytest.skip(str(error))


def start(task, seed=0, **options):
  return workers.start(task, seed, **{'quality': 'fast', **options})


def play(worker, seed, steps=2):
  """Returns the images of the beginning of an episode."""
  timesteps = [worker.reset(seed)]
  for _ in range(steps):
    timesteps.append(worker.step(np.full(worker.action_size, 0.5)))
  return np.stack([t.observation['image'] for t in timesteps])


def outside(code):
  """Runs code that imports dm_control and returns the JSON that it prints."""
  done = subprocess.run(
    [sys.executable, '-W', 'ignore', '-c', code],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=True,
  )
  return json.loads(done.stdout)


# ---------------------------------------------------------- of dm_control ----


@needs_labmaze
def test_names_come_from_dm_control_itself():
  names, wrong = outside("""if True:
    import json
    from worldmodels.data import resolve
    names = [list(tasks()) for tasks in resolve.COLLECTIONS.values()]
    wrong = {}
    for task in ('locomotion/rodent_run_gap', 'manipulation/reach_site',
                 'run_walls', 'manipulation/1'):
      try:
        resolve.resolve(task)
      except resolve.TaskError as error:
        wrong[task] = str(error)
    print(json.dumps([names, wrong]))
  """)
  locomotion, manipulation = names
  assert {'rodent_run_gaps', 'cmu_humanoid_maze_forage'} <= set(locomotion)
  assert len(locomotion) >= 10 and len(manipulation) >= 25
  assert {'reach_site_features', 'reach_site_vision'} <= set(manipulation)
  hints = {
    'locomotion/rodent_run_gap': 'did you mean locomotion/rodent_run_gaps',
    'manipulation/reach_site': 'did you mean manipulation/reach_site_vision',
    'run_walls': 'locomotion/cmu_humanoid_run_walls',
    'manipulation/1': 'there are manipulation/',
  }
  for task, hint in hints.items():
    assert hint in wrong[task] and '\n' not in wrong[task]


def test_without_labmaze_there_are_the_other_tasks():
  found = outside("""if True:
    import json, sys
    from worldmodels.data import resolve
    sys.modules['labmaze'] = None
    assert resolve.manipulation_tasks()
    found = []
    for task in ('locomotion/rodent_run_gaps', 'cartpole_swing'):
      try:
        resolve.resolve(task)
      except resolve.TaskError as error:
        found.append(str(error))
    print(json.dumps(found))
  """)
  missing, unknown = found
  assert missing.startswith(
    "task 'locomotion/rodent_run_gaps': labmaze is not installed; "
  )
  assert '\n' not in missing
  assert 'did you mean cartpole_swingup' in unknown


@needs_labmaze
def test_a_maze_is_that_of_its_seed():
  with start('locomotion/cmu_humanoid_maze_forage', 2) as worker:
    assert worker.action_repeat == 2 and worker.step_limit == 500
    assert worker.bounds == [[-1, 1]] * 56
    fresh, other, again = (play(worker, seed) for seed in (None, 3, 2))
  assert (fresh == again).all() and (fresh != other).any()


@pytest.mark.parametrize(
  'task, camera, vector, options, actions, numbers, rows',
  [
    (  # The arm: 10 s of 0.04 s, ten at a time.
      'manipulation/reach_site_features',
      *('front_close', 'jaco_arm/joints_pos', {'action_repeat': 10}),
      *(9, 12, 26),
    ),
    pytest.param(  # A body, cut before it has fallen, two at a time, then one.
      'locomotion/cmu_humanoid_go_to_target',
      *('auto', 'walker/joints_pos', {'step_limit': 9}),
      *(56, 56, 6),
      marks=needs_labmaze,
    ),
  ],
)
def test_a_task_by_name_is_trained(
  task, camera, vector, options, actions, numbers, rows, program, tmp_path
):
  """For a few updates."""
  done = program(
    'train',
    '--config=planet:debug',
    f'--config.task={task}',
    *(f'--config.environment.{key}={x}' for key, x in options.items()),
    f'--config.environment.camera={camera}',
    f"--config.environment.vectors=('{vector}',)",
    '--config.train.episodes=2',
    '--config.train.seed_episodes=1',
    '--config.train.updates=2',
    '--config.overshooting.steps=0',
    '--config.heads.image.share=1',
    '--config.evaluate.last_episodes=1',
    f'--logdir={tmp_path}',
  )
  assert done.returncode == 0, done.stderr
  spec = json.loads((tmp_path / 'spec.json').read_text())
  assert spec['actions'] == actions
  assert spec['vectors'] == {vector: numbers}
  stored = json.loads((tmp_path / 'episodes' / 'metadata.json').read_text())
  assert stored['camera'] == camera
  found = [*tmp_path.glob('episodes/*.npz')]
  assert len(found) == 2
  for path in found:
    with np.load(path) as file:
      assert len(file['image']) == rows
      assert len(np.unique(file['image'], axis=0)) == rows  # Things move.
      assert file[vector].shape == (rows, numbers)


# -------------------------------------------------------------- of a user ----


@pytest.mark.parametrize('quality', ['exact', 'near', 'fast'])
def test_an_own_composer_task_is_rendered(quality):
  """Though it draws a larger picture itself, in the same context."""
  with start(OWN.format('roll'), quality=quality, vectors=['place']) as worker:
    assert worker.step_limit == 10 and worker.bounds == [[-3, 3]]
    timestep = worker.reset(1)
    assert timestep.observation['image'].shape == (64, 64, 3)
    assert timestep.observation['image'].max() > 100
    assert timestep.observation['place'].shape == (1,)
    for _ in range(10):
      assert not timestep.last()
      timestep = worker.step([0.5])
    assert timestep.last() and timestep.discount == 1
    worker.reset()


def test_an_own_composer_task_is_a_pure_function_of_its_seed():
  with start(OWN.format('roll'), 1) as one, start(OWN.format('roll'), 2) as two:
    fresh, first = play(two, None), play(one, 2)
    other, again = play(one, 3), play(one, 2)
    assert (play(two, 2) == first).all()
  assert (first == fresh).all() and (first == again).all()
  assert (first != other).any()


def test_a_wrapper_is_what_it_wraps():
  with start(OWN.format('wrapped')) as worker:
    assert worker.step_limit == 10
    first, other, again = play(worker, 5), play(worker, 6), play(worker, 5)
  assert (first == again).all() and (first != other).any()
  looped = types.SimpleNamespace()
  looped._env = looped
  assert not composer.is_composer(looped)


def test_a_start_that_fails_is_tried_again():
  with start(OWN.format('narrow')) as worker:
    assert (play(worker, 5) == play(worker, 5)).all()


def test_tasks_of_another_kind_are_left_as_they_are():
  hill = environments.make('hill')
  assert not composer.is_composer(hill) and not composer.step_limit(hill)
  assert composer.reset(hill).first()


def test_a_composer_task_without_a_limit():
  with start(OWN.format('endless')) as worker:
    assert worker.step_limit is None


# ---------------------------------------------------------------- cameras ----


def test_a_camera_by_index_or_name():
  seen = {}
  for camera in ('auto', 'front', 0, 'above', '1', '2', -1):
    with start(OWN.format('slide'), camera=camera) as worker:
      seen[camera] = worker.reset(0).observation['image']
  assert (seen['auto'] == seen['front']).all()
  assert (seen[0] == seen['front']).all()
  assert (seen['above'] == seen['1']).all()
  pictures = [seen[key].tobytes() for key in ('front', 'above', '2', -1)]
  assert len(set(pictures)) == 4


def test_a_model_without_a_camera_is_seen_by_the_free_one():
  images = []
  for options in ({}, {'camera': -1}):
    with start(OWN.format('unseen'), **options) as worker:
      images.append(worker.reset(0).observation['image'])
  assert (images[0] == images[1]).all() and images[0].any()


@pytest.mark.parametrize('camera', ['side', '3', -2, ''])
def test_an_unknown_camera_names_those_there_are(camera):
  with pytest.raises(errors.UserError) as caught:
    start(OWN.format('slide'), camera=camera)
  assert str(caught.value) == (
    f'camera is {camera!r}; the model has, by index and name, '
    '0 front, 1 above, 2, -1 (free)'
  )


def test_a_task_that_draws_itself_has_no_camera():
  with pytest.raises(errors.OptionError, match="'hill' draws itself"):
    environments.make('hill', camera='front')


def test_a_frame_larger_than_that_of_the_model():
  """As `exact` takes the model as it is, whose frame here is 200 x 120."""
  with start(OWN.format('slide'), quality='exact', size=160) as worker:
    assert worker.reset(0).observation['image'].shape == (160, 160, 3)
