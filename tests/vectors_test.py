"""A model of vectors without pixels: trained, continued, scored and filmed."""

import json

import numpy as np
import pytest

import worldmodels
from worldmodels.agents.runs import animation
from worldmodels.agents.runs import build
from worldmodels.agents.runs import config_checks
from worldmodels.agents.runs import task_checks
from worldmodels.agents.runs.run_directory import RunDirectory
from worldmodels.agents.runs.run_directory import RunError
from worldmodels.configs import dreamer
from worldmodels.configs import planet
from worldmodels.data.store import Store
from worldmodels.spec import Spec

SPEC = Spec(1, image=None, vectors={'position': 1, 'velocity': 2})
FLAGS = (
  '--config=pets:debug',  # Of several members: what they differ about is seen.
  '--config.task=hill',
  '--config.environment.image=none',
  '--config.train.env_steps=130',
)


@pytest.mark.parametrize('configs', [planet, dreamer])
def test_each_vector_gets_a_head_and_the_image_none(configs):
  config = configs.get_config('debug')
  config.overshooting.image, config.heads.reward.relative = 2.0, 0.5
  chosen = build.chosen(config, SPEC)
  assert chosen.heads.image.kind == 'none' and chosen.overshooting.image == 0
  for key in SPEC.vectors:
    assert chosen.heads[key].kind == 'normal'
    assert chosen.heads[key].units == config.heads.reward.units
    assert chosen.heads[key].relative == 0.0  # Its unit is said by `std`.
  assert config.heads.image.kind == 'keypoints'  # It stays as it is.
  config_checks.check(chosen, stored=True)
  task_checks.check(chosen, SPEC)
  # Once more changes nothing, nor what somebody has set.
  chosen.heads.position.scale = 7.0
  assert build.chosen(chosen, SPEC).to_dict() == chosen.to_dict()


def test_where_there_is_an_image_it_has_a_head():
  config = planet.get_config('debug')
  config.heads.image.kind = 'none'
  with pytest.raises(build.ConfigError, match='environment.image is none as'):
    config_checks.check(config)
  # Or nobody knew before the task was there.
  config_checks.check(config, stored=True)
  with pytest.raises(build.ConfigError, match='environment.image=none'):
    task_checks.check(build.chosen(config, Spec(1)), Spec(1))
  assert 'position' not in build.chosen(config, Spec(1)).heads


@pytest.fixture(scope='module')
def trained(wheel_program, tmp_path_factory):
  """A run whose steps are spent before its episodes; what it printed."""
  logdir = tmp_path_factory.mktemp('vectors') / 'run'
  done = wheel_program('train', *FLAGS, f'--logdir={logdir}')
  assert done.returncode == 0, done.stdout + done.stderr
  return logdir, done.stdout


def test_it_learns_from_vectors_until_its_steps_are_spent(trained):
  logdir, printed = trained
  episode = Store(logdir / 'episodes', reading=True).episode(0)
  assert 'image' not in episode and episode['velocity'].shape == (51, 1)
  lines = [json.loads(x) for x in (logdir / 'metrics.jsonl').open()]
  assert lines[-1]['episodes'] == 3 and lines[-1]['env_steps'] == 150
  assert lines[-1]['updates'] == 5
  learned = next(line for line in lines if 'position_loss' in line)
  assert 'image_loss' not in learned and learned['velocity_loss'] > 0
  for error in ('position', 'copy_position', 'mean_velocity', 'reward'):
    assert np.isfinite(lines[-1][f'open_loop_random_{error}']).all()
  for key in ('', 'position_', 'velocity_', 'reward_'):
    apart = lines[-1][f'open_loop_random_{key}disagreement']
    assert len(apart) == 6 and min(apart) > 0
    ranks = lines[-1][f'open_loop_random_{key}disagreement_correlation']
    assert np.max(np.abs(ranks)) < 1.001
  assert 'open loop of position, nats at step 1/5: random' in printed
  assert 'random policy' in printed.splitlines()[-1]


def test_the_same_config_goes_on_with_it(tmp_path):
  """What was chosen for its vectors is no other config."""
  asked = planet.get_config('debug')
  directory = RunDirectory(tmp_path)
  directory.claim(asked)
  directory.start(build.chosen(asked, SPEC, ends_early=True), SPEC)
  RunDirectory(tmp_path)._check(planet.get_config('debug'))
  other = planet.get_config('debug')
  other.heads.reward.units += 1
  with pytest.raises(RunError, match='units: .* here, .* asked'):
    RunDirectory(tmp_path)._check(other)


def test_it_is_filmed_as_curves(trained, wheel_program, tmp_path):
  out = tmp_path / 'dream.webm'
  done = wheel_program('video', f'--logdir={trained[0]}', f'--out={out}')
  assert done.returncode == 0 and not done.stderr, done.stderr
  assert 'position, nats per step' in done.stdout
  assert 'the position is below both baselines at' in done.stdout
  assert 'members apart, and rank correlation with the error' in done.stdout
  assert len(list(animation.decode(out.read_bytes(), '.webm'))) == 50


def test_a_library_decodes_what_members_do_not_agree_about(trained):
  run = worldmodels.load(trained[0])
  episode = run.heldout[-1]
  seen = {key: episode[key][:5] for key in run.spec.vectors}
  state = run.observe(None, episode['action'][:5], vectors=seen)
  dream = run.imagine(state, episode['action'][5:20])
  for key in ('disagreement', 'reward_disagreement'):
    found = dream.decode(key)
    assert found.shape == (15,) and (found > 0).all()
    assert state.decode(key) == 0.0  # It was observed.


def test_a_vector_is_what_is_worth_something(trained, wheel_program):
  run = f'--logdir={trained[0]}'
  goal = ('--linear=position:-1', '--config.planner.horizon=2')
  done = wheel_program('evaluate', run, '--episodes=1', *goal)
  assert done.returncode == 0, done.stderr
  found = json.loads(done.stdout)
  (total,), (reward,) = found['objective']['sums'], found['returns']
  assert found['objective']['name'] == 'linear position:-1'
  assert abs(total) <= 50 and 0 <= reward <= 50


def test_a_task_of_vectors_is_checked(wheel_program):
  done = wheel_program(
    'check', '--task=hill', '--image=none', '--out=film.webm'
  )
  assert done.returncode == 0, done.stdout
  assert 'observation  position float32 [1], velocity float32 [1]' in (
    done.stdout
  )
  assert 'none: a model learns from the vectors alone' in done.stdout
  assert 'film         none' in done.stdout
