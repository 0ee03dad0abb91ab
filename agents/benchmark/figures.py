"""Figures of the benchmark, their ceilings and their goals."""

import operator
from typing import Any, NamedTuple

from worldmodels.agents.benchmark import clock
from worldmodels.agents.benchmark.clock import Timing

Figure = dict[str, Any]
Goal = tuple[str, float]

OPERATORS = {'>=': operator.ge, '<=': operator.le}


class Rate(NamedTuple):
  """A rate of this hardware that figures are compared with: a ceiling.

  Attributes:
    name: of what was computed.
    gflops: GFLOP/s.
    timing: how it was measured.
  """

  name: str
  gflops: float
  timing: Timing


def figure(
  work: str,
  what: str,
  value: float,
  unit: str,
  timing: Timing | None = None,
  goal: Goal | None = None,
  **more: float,
) -> Figure:
  """Makes a figure.

  Args:
    work: its name, W1 to W8, start or memory.
    what: says what was measured.
    value: the number.
    unit: of the number.
    timing: how it was measured; a figure without is a count or a size.
    goal: (operator, bound), as ('>=', 0.6).
    **more: further numbers.
  """
  values = dict(work=work, what=what, value=value, unit=unit, **more)
  if timing is not None:
    values.update(
      spread=timing.spread, others=timing.others, clean=timing.clean
    )
  if goal is not None:
    sign, bound = goal
    values.update(goal=f'{sign} {bound}', met=OPERATORS[sign](value, bound))
  return values


def compared(
  work: str,
  what: str,
  operations: float,
  timing: Timing,
  ceiling: Rate,
  goal: Goal | None = None,
) -> list[Figure]:
  """Makes the figures of a computation: its time, its share of a ceiling.

  Args:
    work: its name.
    what: says what was measured.
    operations: floating point operations.
    timing: of them.
    ceiling: measured beside it.
    goal: of the share.
  """
  achieved = operations / timing.seconds / 1e9
  return [
    figure(
      work,
      what,
      timing.seconds * 1e3,
      'ms',
      timing,
      gflop=operations / 1e9,
      gflops=achieved,
    ),
    figure(
      work,
      f'share of the {ceiling.name} ceiling',
      achieved / ceiling.gflops,
      '',
      clock.noisiest(timing, ceiling.timing),
      goal,
      ceiling=ceiling.gflops,
    ),
  ]
