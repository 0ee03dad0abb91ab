"""Which kinds suit a task: what `auto` in a config stands for.

Without TensorFlow, so that it is known before anything is built.
"""

import re
import sys
from typing import Any

from worldmodels import kinds
from worldmodels.spec import Spec

AUTO = 'auto'
_PLANNERS = 'worldmodels.agents.planners'
# How a file says that its kind is for one-hot actions, and that it tries the
# proposals of a problem.
_DISCRETE, _PROPOSALS = (
  re.compile(rf'^{name} = True\b', re.MULTILINE)
  for name in ('DISCRETE', 'PROPOSALS')
)

# Of tasks with few moving parts: poles, a ball and its cup, a finger.
FEW_ACTIONS, FEW_CHOICES = 2, 4
# What stands for a number that is chosen by the task, and that number.
BY_ACTIONS, PROPOSALS = -1, 16

# Of the heads of vectors where there is no image, which alone then say what a
# state is: an error of a tenth costs half a nat.
_VECTOR = {'kind': 'normal', 'scale': 1.0, 'std': 0.1, 'relative': 0.0}


def by_task(key: str, value: object) -> bool:
  """Returns whether the value of a key of the config is left to the task."""
  return value == AUTO or (key, value) == ('planner.proposals', BY_ACTIONS)


def planner(kind: str, discrete: bool) -> str:
  """Returns the kind of planner; `auto` is chosen by the actions.

  Args:
    kind: of the config.
    discrete: whether the actions of the task are one-hot.
  """
  if kind != AUTO:
    return kind
  return 'categorical_cem' if discrete else 'cem'


def planners(discrete: bool) -> list[str]:
  """Lists the package's kinds of planners for the actions of a task.

  Args:
    discrete: whether the actions of the task are one-hot.
  """
  return [
    kind
    for kind in kinds.names(_PLANNERS, 'plan')
    if discrete == bool(_DISCRETE.search(kinds.source(_PLANNERS, kind)))
  ]


def distribution(kind: str, continuous: str, discrete: bool) -> str:
  """Returns the kind of an actor's distribution over actions.

  Args:
    kind: of the config.
    continuous: what `auto` is where the actions are not discrete.
    discrete: whether the actions of the task are one-hot.
  """
  if kind != AUTO:
    return kind
  return 'one_hot' if discrete else continuous


def discount(kind: str, ends_early: bool) -> str:
  """Returns the kind of the discount head.

  Args:
    kind: of the config.
    ends_early: whether episodes of the task may end before their time.
  """
  if kind != AUTO:
    return kind
  return 'bernoulli' if ends_early else 'none'


def eyes(spec: Spec) -> tuple[str, str]:
  """Returns what `auto` is of encoder.embeds and heads.image.draws.

  Few moving parts are where they are; a body of joints on a floor that moves
  under the camera has no place. Pixels of random actions do not tell them
  apart: cheetah_run then moves as little as finger_spin. The number of actions
  does, which is about that of joints.

  Args:
    spec: of the task.
  """
  return ('maps', 'both') if _many_actions(spec) else ('places', 'blobs')


def proposals(count: int, kind: str, spec: Spec, users: bool = False) -> int:
  """Returns how many sequences of the actor a planner tries beside its own.

  With a single action the planner finds better ones by itself, and those of the
  actor, which its own critic likes, keep it from them. With two it may find
  nothing without them (docs/experiments.md, A finger that spins). Planners of
  choices take none, nor do those that do not say so.

  Args:
    count: of the config; BY_ACTIONS for as many as suit planner and task.
    kind: of the planner.
    spec: of the task.
    users: whether a planner of the user's is imported to be asked; else
      BY_ACTIONS stays what it is, for who imports it.
  """
  known = users if ':' in kind else kind in kinds.names(_PLANNERS, 'plan')
  if count != BY_ACTIONS or not known:
    return count  # Who looks for that planner says what is wrong with it.
  takes = takes_proposals(kind) and not spec.discrete
  return PROPOSALS if takes and spec.actions > 1 else 0


def takes_proposals(kind: str) -> bool:
  """Returns whether a planner tries the proposals of a problem.

  Args:
    kind: of the package, whose file is read, or of the user's, whose module is
      imported.
  """
  if ':' not in kind:
    return _PROPOSALS.search(kinds.source(_PLANNERS, kind)) is not None
  plan = kinds.find(_PLANNERS, kind, 'plan')
  return bool(getattr(sys.modules[plan.__module__], 'PROPOSALS', False))


def _many_actions(spec: Spec) -> bool:
  return spec.actions > (FEW_CHOICES if spec.discrete else FEW_ACTIONS)


def vector_head(reward: dict[str, Any]) -> dict[str, Any]:
  """Returns the options of the head of a vector, where there is no image.

  Args:
    reward: those of the reward, whose network it gets.
  """
  return {**reward, **_VECTOR}
