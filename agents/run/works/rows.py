"""A row of the benchmark: a figure, what it is compared with, and the goal."""

OPERATORS = {'>=': lambda value, bound: value >= bound,
             '<=': lambda value, bound: value <= bound}


def row(work, what, value, unit, timing=None, goal=None, **more):
  """Returns one row.

  Args:
    work: its name, W1 to W8, start or memory.
    what: what was measured.
    value: the figure, or None where it cannot be had.
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
    values.update(goal=f'{operator} {bound}', met=(
        None if value is None else OPERATORS[operator](value, bound)))
  return values
