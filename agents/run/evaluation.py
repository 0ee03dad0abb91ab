"""Open-loop error on held-out episodes: what planning lives on.

The loss says how well the model follows what it sees; this says how well it
predicts what it does not see yet, step by step.
"""

import functools

import tensorflow as tf

from worldmodels import open_loop as open_loops
from worldmodels import video

from . import heldout

VIDEO_EPISODES = 3
SCALE = 2  # of TensorBoard's videos: they are many


def open_loop(model, store, config, numbers):
  """Errors by horizon, and a video.

  Args:
    model: a WorldModel.
    store: of held-out episodes; the first train.seed_episodes are random.
    config: of the run.
    numbers: which episodes of the store are of the policy.

  Returns:
    {open_loop_{random, policy}_{error}: [horizon]}, as in open_loop.errors,
    open_loop_video and reconstruction_video uint8 [T, H, W, 3]; nothing for
    episodes that are too short.
  """
  context, horizon = config.evaluate.context, config.evaluate.horizon
  values = {}
  for name, chosen in (('random', range(config.train.seed_episodes)),
                       ('policy', numbers)):
    long = [store.episode(number) for number in chosen
            if store.lengths[number] >= context + horizon]
    if not long:
      continue
    batch = heldout.windows(long, context + horizon)
    errors = _errors(model, _tensors(batch), context)
    values.update({f'open_loop_{name}_{key}': error.numpy()
                   for key, error in errors.items()})
    shown = {key: value[:VIDEO_EPISODES] for key, value in batch.items()}
    truth, prediction = video.open_loop(model, shown, context)
    values['open_loop_video'] = video.compose(
        truth, prediction, context, scale=SCALE)
    truth, prediction = video.reconstruction(model, shown)
    values['reconstruction_video'] = video.compose(
        truth, prediction, context + horizon, scale=SCALE)
  return values


def behaviour(agent, store, config, numbers):
  """How an agent's behaviour fares in its model and in the world.

  Args:
    agent: one that has `diagnose`; another has nothing to say.
    store: of held-out episodes.
    config: of the run.
    numbers: which episodes of the store are of the policy.

  Returns:
    {behaviour_{figure}}, as in `agents.diagnosis`, and own_dream_video uint8
    [T, H, W, 3]: what the agent imagines of its own policy, beside what that
    policy then did; nothing for episodes that are too short.
  """
  context, horizon = config.evaluate.context, config.evaluate.horizon
  long = [store.episode(number) for number in numbers
          if store.lengths[number] >= context + horizon]
  if not long or getattr(agent, 'diagnose', None) is None:
    return {}
  batch = heldout.windows(long, context + horizon)
  figures, drawn = _diagnose(agent, _tensors(batch), context)
  values = {f'behaviour_{key}': value.numpy()
            for key, value in figures.items()}
  truth = batch['image'][:VIDEO_EPISODES]
  values['own_dream_video'] = video.compose(
      truth, drawn.numpy()[:VIDEO_EPISODES], context, scale=SCALE)
  return values


def _tensors(batch):
  return {key: tf.constant(value) for key, value in batch.items()}


# reduce_retracing: the count of chunks differs from one evaluation to the next.
@functools.partial(tf.function, reduce_retracing=True)
def _diagnose(agent, batch, context):
  figures, states = agent.diagnose(batch, context, tf.constant([0, 0]))
  seen, _ = agent.model.observe(
      {key: value[:, :context] for key, value in batch.items()})
  return figures, video.draw(
      agent.model,
      {key: tf.concat([seen[key], states[key]], 1) for key in states})


@functools.partial(tf.function, reduce_retracing=True)
def _errors(model, batch, context):
  return open_loops.errors(model, batch, context)
