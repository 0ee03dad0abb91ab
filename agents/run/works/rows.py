"""A row of the benchmark: a figure, what it is compared with, and the goal."""

from . import clock

OPERATORS = {'>=': lambda value, bound: value >= bound,
             '<=': lambda value, bound: value <= bound}


def row(work, what, value, unit, timing=None, goal=None, **more):
  """Returns one row.

  Args:
    work: its name, W1 to W8, start or memory.
    what: what was measured.
    value: the figure.
    unit: of the figure.
    timing: what clock.median returned; a figure without is a count or a size.
    goal: (operator, bound), as ('>=', 0.6).
    **more: further figures.
  """
  values = dict(work=work, what=what, value=value, unit=unit, **more)
  if timing is not None:
    values.update(spread=timing['spread'], others=timing['others'],
                  clean=timing['clean'])
  if goal is not None:
    operator, bound = goal
    values.update(
        goal=f'{operator} {bound}', met=OPERATORS[operator](value, bound))
  return values


def compared(work, what, operations, timing, top, goal=None):
  """The rows of a work of TensorFlow: its time, and its share of a ceiling.

  Args:
    work: its name.
    what: what was measured.
    operations: floating point operations.
    timing: what clock.median returned.
    top: (name of the ceiling, what ceiling.rate returned).
    goal: of the share.
  """
  name, (rate, beside) = top
  achieved = operations / timing['seconds'] / 1e9
  return [
      row(work, what, timing['seconds'] * 1e3, 'ms', timing,
          gflop=operations / 1e9, gflops=achieved),
      row(work, f'share of the {name} ceiling', achieved / rate, '',
          clock.both(timing, beside), goal, ceiling=rate),
  ]
