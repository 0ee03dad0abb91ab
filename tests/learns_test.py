"""The regression guard: a small task is learned, and a broken model is not.

The preset `small` on our task `hill`: 18 episodes of 50 steps, 700 updates. A
random policy collects about 10 of 50, planning with the true dynamics 48. Then
models are trained anew on the episodes of that run, one as it should be and
others with planted faults. Each fault has to miss a threshold of its own that
the sound model passes with margin: a guard that cannot fail guards nothing.

A model that learned from shifted actions plans well all the same (46 of 50: it
remembers the action and replans at every step). What gives it away is that it
predicts better when it is told the actions shifted than when it is told them
as they were.
"""

import contextlib
import json

import keras
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
from worldmodels.data import sampling

# Measured, sound program: docs/experiments.md, "The regression guard".
UPDATES = 700  # of each model that is trained anew
LEAST_RETURN = 36
MOST = {
  'reward': 0.8,  # of the rewards' variance, 3 to 7 steps ahead
  'image': 0.75,  # of a copy of the last seen image, 3 to 7 steps ahead
  'misalignment': 0.9,  # image error with true over that with shifted actions
}


def untrained_reward(config, monkeypatch):
  """The reward head never sees a reward."""
  del monkeypatch
  config.heads.reward.scale = 0.0
  config.overshooting.reward = 0.0


def shifted_actions(config, monkeypatch):
  """Batches hold each action one row late."""
  del config
  sample = sampling.sample

  def shifted(*args, **kwargs):
    batch = sample(*args, **kwargs)
    batch['action'] = np.roll(batch['action'], 1, axis=1)
    return batch

  monkeypatch.setattr(sampling, 'sample', shifted)


def heavy_kl(config, monkeypatch):
  """The posterior may not say more than the prior."""
  del monkeypatch
  config.kl.scale = 100.0


def figures(model, training):
  """Open-loop errors of what was held out, with true and shifted actions."""
  store, evaluate = training.experience.heldout, training.config.evaluate
  batch = selection.cut(
    [store.episode(position) for position in range(store.episodes)],
    evaluate.context + evaluate.horizon,
  )
  measure = tf.function(prediction.errors)

  def errors(shift):
    told = dict(batch, action=np.roll(batch['action'], shift, axis=1))
    found = measure(model, states.tensors(told), evaluate.context)
    return {key: np.mean(value[2:7]) for key, value in found.items()}

  true, early, late = errors(0), errors(-1), errors(1)
  return {
    'reward': true['reward'] / true['reward_variance'],
    'image': true['image'] / true['copy_image'],
    'misalignment': true['image'] / min(early['image'], late['image']),
  }


@pytest.fixture(scope='module')
def training(tmp_path_factory):
  """A run of the preset, at its end."""
  config = planet.get_config('small')
  directory = RunDirectory(tmp_path_factory.mktemp('learns') / 'run')
  directory.claim(config)
  done = loop.Training(config, directory, build.environment(config))
  done.run()
  return done


def learn_again(training, monkeypatch, *faults):
  """Trains a new model on the episodes of a run; returns its figures."""
  config = planet.get_config('small')
  for fault in faults:
    fault(config, monkeypatch)
  keras.utils.set_random_seed(config.seed)
  agent = build.agent(config, training.agent.spec)
  agent.fit_statistics(training.experience.random_images())
  with contextlib.closing(
    training.experience.store.chunks(config.train.batch, config.train.length, 0)
  ) as batches:
    for update, batch in zip(range(UPDATES), batches):
      agent.train(states.tensors(batch), tf.constant([0, update]))
  return figures(agent.model, training)


def missed(seen):
  """The thresholds that are not met."""
  return {name for name, most in MOST.items() if not seen[name] <= most}


@pytest.mark.timeout(900)
def test_small_task_is_learned(training):
  end = json.loads(training.directory.metrics.read_text().splitlines()[-1])
  seen = figures(training.agent.model, training)
  print(end['last_evaluation_mean'], seen)
  assert end['last_evaluation_mean'] >= LEAST_RETURN
  assert not missed(seen), seen


@pytest.mark.timeout(900)
def test_a_sound_model_learns_again(training, monkeypatch):
  seen = learn_again(training, monkeypatch)
  print(seen)
  assert not missed(seen), seen


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
  'faults,found',
  [
    # One says nothing of rewards, the other hardly anything of images.
    ((untrained_reward, shifted_actions), {'reward', 'misalignment'}),
    ((heavy_kl,), {'reward', 'image', 'misalignment'}),
  ],
)
def test_planted_faults_are_found(training, monkeypatch, faults, found):
  seen = learn_again(training, monkeypatch, *faults)
  print(*(fault.__name__ for fault in faults), seen)
  assert missed(seen) == found, seen
