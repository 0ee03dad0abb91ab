"""Take an exam, or leave it: a small task that no fixed plan can win.

The first choice refuses the exam (choice 0) or accepts it (any other). One that
is refused is over and gives 0. One that is accepted shows a question, a lit
quarter of the sheet; the answer is the number of that quarter, and gives 1 if
it is right and -1 if it is wrong. Then it is over.

Whoever has to choose all actions beforehand does best to refuse: of four
guesses one is right, so that guessing gives -0.5 on average. Who looks at the
question before answering gets 1 every time. So the task tells planners that
judge fixed sequences of actions from policies, which know that they will see: a
planner refuses even where it plans anew at each step, unless the value of what
it comes to is counted. hill.py says what a task has to be.

An episode has at most two steps. Random choices get -0.375 on average, the best
fixed plan 0, the best policy 1.
"""

import dm_env
import numpy as np
from dm_env import specs

ACTION_REPEAT = 1

QUESTIONS = 4  # and as many answers; fewer than three would make guessing pay
REFUSE = 0  # as the first choice
RIGHT, WRONG = 1.0, -1.0

_OFFERED, _ASKED, _OVER = range(3)

_SIZE = 64  # pixels
_EDGE = 4  # width of the frame, and of the cross between the quarters
_DESK = (70, 60, 50)
_SHEET = (150, 150, 145)
_LIT = (255, 230, 80)
_GOOD, _BAD, _GONE = (70, 190, 90), (205, 70, 60), (40, 45, 60)


def load(seed: int) -> dm_env.Environment:
  """Loads the task; `seed` decides which questions are asked."""
  return Exam(seed)


class Exam(dm_env.Environment):
  """The task, see the top of the file."""

  step_limit = 2
  ends_early = True

  def __init__(self, seed: int):
    self.reseed(seed)
    self._phase = _OVER  # A step begins an episode.

  def reseed(self, seed: int) -> None:
    """Makes the episodes from the next reset on a pure function of `seed`."""
    self._random = np.random.default_rng(seed)

  def reset(self) -> dm_env.TimeStep:
    self._question = int(self._random.integers(QUESTIONS))
    self._phase, self._sheet = _OFFERED, _SHEET
    return dm_env.restart(self._observe())

  def step(self, action: int | np.integer) -> dm_env.TimeStep:
    if self._phase == _OVER:
      return self.reset()
    if self._phase == _OFFERED:
      if action != REFUSE:
        self._phase = _ASKED
        return dm_env.transition(0.0, self._observe())
      return self._end(0.0, _GONE)
    if action == self._question:
      return self._end(RIGHT, _GOOD)
    return self._end(WRONG, _BAD)

  def action_spec(self) -> specs.DiscreteArray:
    return specs.DiscreteArray(QUESTIONS, np.int32, 'refuse, or which quarter')

  def observation_spec(self) -> dict[str, specs.Array]:
    return {
      'image': specs.BoundedArray((_SIZE, _SIZE, 3), np.uint8, 0, 255),
      'phase': specs.Array((3,), np.float32),
      'question': specs.Array((QUESTIONS,), np.float32),
    }

  def _end(self, reward: float, sheet: tuple[int, int, int]) -> dm_env.TimeStep:
    self._phase, self._sheet = _OVER, sheet
    return dm_env.termination(reward, self._observe())

  def _observe(self) -> dict[str, np.ndarray]:
    asked = self._phase == _ASKED
    question = np.eye(QUESTIONS, dtype=np.float32)[self._question]
    return {
      'image': _draw(self._sheet, self._question if asked else None),
      'phase': np.eye(3, dtype=np.float32)[self._phase],
      'question': question * asked,
    }


def _draw(sheet: tuple[int, int, int], question: int | None) -> np.ndarray:
  """Draws the image uint8 [64, 64, 3]: four quarters, of which one may be lit.

  They are numbered from left to right, the upper ones first.
  """
  image = np.full((_SIZE, _SIZE, 3), _DESK, np.uint8)
  side = (_SIZE - 3 * _EDGE) // 2
  for number in range(QUESTIONS):
    top, left = (_EDGE + place * (side + _EDGE) for place in divmod(number, 2))
    lit = number == question
    image[top : top + side, left : left + side] = _LIT if lit else sheet
  return image
