"""The regression guard: a small task is learned, and a broken model is not.

The preset `small` on our task `hill`: 18 episodes of 50 steps, 700 updates. A
random policy collects about 10 of 50, planning with the true dynamics 48, and
planning one step late 27. Each planted fault has to miss a threshold that the
sound program passes with margin: a guard that cannot fail guards nothing.
"""

import json
import pathlib
import runpy

import numpy as np
import pytest

from agents.run import build
from agents.run import loop
from agents.run import run_directory
from data import episodes

_CONFIGS = pathlib.Path(__file__).parent.parent / 'configs'

# The sound program: returns of 44 to 48, reward error 0.02 to 0.1 of the
# variance, image error a third of the copied image's (docs/experiments.md).
LEAST_RETURN = 38
MOST_REWARD_ERROR = 0.35  # of the rewards' variance, 5 steps ahead
MOST_IMAGE_ERROR = 0.8  # of a copy of the last seen image, 5 steps ahead


def untrained_reward(config, monkeypatch):
  """The reward head never sees a reward."""
  del monkeypatch
  config.heads.reward.scale = 0.0
  config.overshooting.reward = 0.0


def shifted_actions(config, monkeypatch):
  """Batches hold each action one row late."""
  del config
  sample = episodes.Store.sample

  def shifted(self, *args, **kwargs):
    batch = sample(self, *args, **kwargs)
    batch['action'] = np.roll(batch['action'], 1, axis=1)
    return batch

  monkeypatch.setattr(episodes.Store, 'sample', shifted)


def heavy_kl(config, monkeypatch):
  """The posterior may not say more than the prior."""
  del monkeypatch
  config.kl.scale = 100.0


def learn(directory, monkeypatch, fault=None):
  """Trains; returns what the guard looks at."""
  config = runpy.run_path(_CONFIGS / 'planet.py')['get_config']('small')
  if fault is not None:
    fault(config, monkeypatch)
  run = run_directory.RunDirectory(directory)
  run.claim(config)
  loop.Training(config, run, build.environment(config)).run()
  last = json.loads(
      (directory / 'metrics.jsonl').read_text().splitlines()[-1])
  errors = {
      key: np.mean(last[f'open_loop_random_{key}'][2:7])
      for key in ('image', 'copy_image', 'reward', 'reward_variance')}
  return {
      'return': last['last_evaluation_mean'],
      'reward': errors['reward'] / errors['reward_variance'],
      'image': errors['image'] / errors['copy_image'],
  }


def passes(seen):
  """Whether every threshold is met."""
  return (seen['return'] >= LEAST_RETURN
          and seen['reward'] <= MOST_REWARD_ERROR
          and seen['image'] <= MOST_IMAGE_ERROR)


@pytest.mark.timeout(900)
def test_small_task_is_learned(tmp_path, monkeypatch):
  seen = learn(tmp_path / 'run', monkeypatch)
  print(seen)
  assert passes(seen), seen


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    'fault', [untrained_reward, shifted_actions, heavy_kl])
def test_a_planted_fault_is_found(tmp_path, monkeypatch, fault):
  seen = learn(tmp_path / 'run', monkeypatch, fault)
  print(fault.__name__, seen)
  assert not passes(seen), seen
