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

import numpy as np
import pytest
import tensorflow as tf

from worldmodels import prediction
from worldmodels import states
from worldmodels.agents.runs import build
from worldmodels.agents.runs import loop
from worldmodels.agents.runs import selection
from worldmodels.agents.runs.run_directory import RunDirectory
from worldmodels.configs import planet
from worldmodels.data.store import Store

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
  sample = Store.sample

  def shifted(self, *args, **kwargs):
    batch = sample(self, *args, **kwargs)
    batch['action'] = np.roll(batch['action'], 1, axis=1)
    return batch

  monkeypatch.setattr(Store, 'sample', shifted)


def heavy_kl(config, monkeypatch):
  """The posterior may not say more than the prior."""
  del monkeypatch
  config.kl.scale = 100.0


def learn(directory, monkeypatch, fault=None):
  """Trains; returns what the guard looks at."""
  config = planet.get_config('small')
  if fault is not None:
    fault(config, monkeypatch)
  run = RunDirectory(directory)
  run.claim(config)
  training = loop.Training(config, run, build.environment(config))
  training.run()
  # Open-loop errors of what was held out, with true and with shifted actions.
  store, evaluate = training.experience.heldout, config.evaluate
  batch = selection.cut(
    [store.episode(position) for position in range(store.episodes)],
    evaluate.context + evaluate.horizon,
  )
  measure = tf.function(prediction.errors)

  def errors(shift):
    told = dict(batch, action=np.roll(batch['action'], shift, axis=1))
    found = measure(
      training.agent.model, states.tensors(told), evaluate.context
    )
    return {key: np.mean(value[2:7]) for key, value in found.items()}

  true, early, late = errors(0), errors(-1), errors(1)
  end = json.loads(run.metrics.read_text().splitlines()[-1])
  return {
    'return': end['last_evaluation_mean'],
    'reward': true['reward'] / true['reward_variance'],
    'image': true['image'] / true['copy_image'],
    'misalignment': true['image'] / min(early['image'], late['image']),
  }


def passes(seen):
  """Whether every threshold is met."""
  return (
    seen['return'] >= LEAST_RETURN
    and seen['reward'] <= MOST_REWARD_ERROR
    and seen['image'] <= MOST_IMAGE_ERROR
    and seen['misalignment'] <= MOST_MISALIGNMENT
  )


@pytest.mark.timeout(900)
def test_small_task_is_learned(tmp_path, monkeypatch):
  seen = learn(tmp_path / 'run', monkeypatch)
  print(seen)
  assert passes(seen), seen


@pytest.mark.timeout(900)
@pytest.mark.parametrize('fault', [untrained_reward, shifted_actions, heavy_kl])
def test_a_planted_fault_is_found(tmp_path, monkeypatch, fault):
  seen = learn(tmp_path / 'run', monkeypatch, fault)
  print(fault.__name__, seen)
  assert not passes(seen), seen
