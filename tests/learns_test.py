"""The regression guard: a small task is learned, and a broken model is not.

The preset `small` on our task `hill`: 18 episodes of 50 steps, 700 updates. A
random policy collects about 10 of 50, planning with the true dynamics 48. Each
planted fault has to miss a threshold that the sound program passes with margin:
a guard that cannot fail guards nothing.

A model that learned from shifted actions plans well all the same (46 of 50: it
remembers the action and replans at every step). What gives it away is that it
predicts better when it is told the actions shifted than when it is told them
as they were.
"""

import json
import pathlib
import runpy

import numpy as np
import pytest
import tensorflow as tf

from agents.run import build
from agents.run import heldout
from agents.run import loop
from agents.run import run_directory
from data import episodes
from worldmodels import open_loop

_CONFIGS = pathlib.Path(__file__).parent.parent / 'configs'

# Measured, sound program: docs/experiments.md, "The regression guard".
LEAST_RETURN = 36
MOST_REWARD_ERROR = 0.8  # of the rewards' variance, 3 to 7 steps ahead
MOST_IMAGE_ERROR = 0.75  # of a copy of the last seen image, 3 to 7 steps ahead
MOST_MISALIGNMENT = 0.9  # image error with true over that with shifted actions


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
  training = loop.Training(config, run, build.environment(config))
  training.run()
  returns = json.loads(
      run.metrics.read_text().splitlines()[-1])['last_evaluation_mean']
  evaluate = config.evaluate
  batch = heldout.windows(
      [training.heldout.episode(number)
       for number in range(training.heldout.episodes)],
      evaluate.context + evaluate.horizon)
  errors = tf.function(open_loop.errors)

  def error(key, shift=0):
    told = dict(batch, action=np.roll(batch['action'], shift, axis=1))
    told = {key: tf.constant(value) for key, value in told.items()}
    return float(np.mean(
        errors(training.agent.model, told, evaluate.context)[key][2:7]))

  return {
      'return': returns,
      'reward': error('reward') / error('reward_variance'),
      'image': error('image') / error('copy_image'),
      'misalignment': error('image') / min(error('image', shift)
                                           for shift in (-1, 1)),
  }


def passes(seen):
  """Whether every threshold is met."""
  return (seen['return'] >= LEAST_RETURN
          and seen['reward'] <= MOST_REWARD_ERROR
          and seen['image'] <= MOST_IMAGE_ERROR
          and seen['misalignment'] <= MOST_MISALIGNMENT)


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
