"""Five tasks so small that their rewards, values and best actions are known.

After bsuite and Andy Jones's probe environments: each asks for one thing more
than the one before, so the first that fails says what is broken.

    constant         the reward is 1: the reward head, and the critic
    image            the image at the reset tells it: encoder, memory
    later            so it does, two steps ahead: the recurrence, the discount
    action           the action tells it: planner or actor
    image_action     both do: the behavior is a function of what is seen

An episode is a reset and one step (two of `later`), then it ends. A square on
the left or on the right of the first image is the sign, -1 or 1; later images
have none. No environment is needed: actions are drawn at random.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

SIDE = 16  # pixels of the image
ROWS = 6  # of a chunk: three episodes of one step, or two of two


class Probe(NamedTuple):
  """A task.

  Attributes:
    steps: of an episode; all but the last have reward 0.
    updates: in which it is learned, with room to spare.
    reward: function of (sign [...], action [...]) -> the last reward [...].
    best: function of sign [...] -> the best action [...]; None where any is.
  """

  steps: int
  updates: int
  reward: Callable
  best: Callable | None = None


PROBES = {
  'constant': Probe(1, 60, lambda sign, action: 1 + 0 * action),
  'image': Probe(1, 120, lambda sign, action: sign + 0 * action),
  'later': Probe(2, 200, lambda sign, action: sign + 0 * action),
  'action': Probe(
    1, 120, lambda sign, action: action, lambda sign: 1 + 0 * sign
  ),
  'image_action': Probe(
    1, 160, lambda sign, action: sign * action, lambda sign: sign
  ),
}


def image(sign):
  """Draws signs [...] as images uint8 [..., SIDE, SIDE, 3]; 0 has no square."""
  sign = np.asarray(sign)
  drawn = np.full([*sign.shape, SIDE, SIDE, 3], 60, np.uint8)
  drawn[sign < 0, 4:12, 1:7] = 220
  drawn[sign > 0, 4:12, 9:15] = 220
  return drawn


def batch(probe, count, random):
  """Makes what a store hands out: {key: [count, ROWS, ...]}."""
  rows = probe.steps + 1
  episodes = count * ROWS // rows
  sign = random.choice([-1.0, 1.0], episodes)
  action = random.uniform(-1, 1, [episodes, rows])
  action[:, 0] = 0.0
  row = np.arange(rows)[None].repeat(episodes, 0)
  reward = np.where(
    row == probe.steps, probe.reward(sign[:, None], action), 0.0
  )
  columns = {
    'image': image(np.where(row == 0, sign[:, None], 0.0)),
    'action': action[..., None].astype(np.float32),
    'reward': reward.astype(np.float32),
    'discount': (row < probe.steps).astype(np.float32),
    'is_first': row == 0,
    'is_last': row == probe.steps,
    'is_terminal': row == probe.steps,
    'mask': np.ones_like(row, np.float32),
  }
  return {
    key: value.reshape([count, ROWS, *value.shape[2:]])
    for key, value in columns.items()
  }
