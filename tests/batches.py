"""What environments show and stores hand out, as random numbers of a spec."""

import numpy as np
import tensorflow as tf


def observation(spec, first, seed=0):
  """Makes what environments show at a step: {key: [B, ...]}.

  Args:
    spec: of the task.
    first: whether each member begins an episode, [B].
    seed: of the numbers.
  """
  random = np.random.default_rng(seed)
  found = {key: shown(spec, key, [len(first)], random) for key in keys(spec)}
  return tensors(found | {'is_first': np.array(first)})


def chunks(spec, count, steps, seed=0):
  """Makes what a store hands out: {key: [B, T, ...]}, of unlike lengths."""
  random = np.random.default_rng(seed)
  shape = [count, steps]
  row = np.arange(steps)[None].repeat(count, 0)
  mask = np.ones(shape, np.float32)
  mask[-1, -2:] = 0
  action = random.uniform(-1, 1, [*shape, spec.actions])
  if spec.discrete:
    action = np.eye(spec.actions)[action.argmax(-1)]
  found = {key: shown(spec, key, shape, random) for key in keys(spec)}
  return tensors(
    found
    | {
      'action': action.astype(np.float32),
      'reward': random.normal(size=shape).astype(np.float32),
      'discount': np.ones(shape, np.float32),
      'is_first': row == 0,
      'is_last': row == steps - 1,
      'is_terminal': np.zeros(shape, bool),
      'mask': mask,
    }
  )


def keys(spec):
  return [*(['image'] if spec.image else []), *spec.vectors]


def shown(spec, key, lead, random):
  if key == 'image':
    return random.integers(0, 256, [*lead, *spec.image], np.uint8)
  size = [*lead, *spec.shape(key)]
  return random.normal(size=size).astype(np.float32)


def tensors(arrays):
  return {key: tf.constant(value) for key, value in arrays.items()}
