"""Writes figures of a run as text."""

from typing import Any

_HORIZONS = (1, 5, 15)  # steps whose open-loop error is shown


def result(values: dict[str, Any], seconds: float) -> str:
  """Returns the result of a run, beside what random actions get.

  Args:
    values: of the evaluation at the end.
    seconds: that the run took.
  """
  random = values.get('random_mean')
  beside = '' if random is None else f', random policy {random:.2f}'
  return (
    f'evaluation mean {values["last_evaluation_mean"]:.2f} +- '
    f'{values["last_evaluation_std"]:.2f} over '
    f'{len(values["last_evaluation_returns"])} episodes{beside}, '
    f'{clock(seconds)} in all'
  )


def budget(env_steps: int, minutes: float = 0.0) -> str:
  """Says when a run ends before its episodes are done, if it does."""
  budgets = [f'{env_steps} env_steps'] * bool(env_steps)
  budgets += [f'{minutes:g} minutes'] * bool(minutes)
  return f' or {" or ".join(budgets)}, whichever is first' if budgets else ''


def bound(more: float, fewer: float) -> str:
  """Says before a count, if need be, that there may be more of it, or fewer."""
  if more and fewer:
    return 'about '
  return 'at least ' if more else 'at most ' if fewer else ''


def open_loop(values: dict[str, Any]) -> str | None:
  """Returns the error of the image some steps after the last one seen.

  Where there are no images it is that of the first vector; None if there is
  neither.

  Args:
    values: of an evaluation.
  """
  known = [
    key.removeprefix('open_loop_random_copy_').removeprefix(
      'open_loop_policy_copy_'
    )
    for key in values
    if key.startswith(('open_loop_random_copy_', 'open_loop_policy_copy_'))
  ]
  name = known[0] if known and 'image' not in known else 'image'
  errors = {
    group: values[key]
    for group in ('random', 'policy')
    if (key := f'open_loop_{group}_{name}') in values
  }
  if not errors:
    return None
  horizon = min(map(len, errors.values()))
  steps = [step for step in _HORIZONS if step <= horizon]
  shown = '  '.join(
    f'{group} {"/".join(_error(found[step - 1]) for step in steps)}'
    for group, found in errors.items()
  )
  at = '/'.join(map(str, steps))
  of = '' if name == 'image' else f' of {name}'
  return f'  open loop{of}, nats at step {at}: {shown}'


def rounded(number: int) -> str:
  """Returns a count that is easy to read."""
  return f'{number:,}' if number < 10**6 else f'{number / 1e6:.1f} million'


def cell(value: float, width: int, form: str) -> str:
  """Returns a number right-aligned, with a space before it."""
  text = f'{float(value):{form}}'
  if len(text) >= width:
    text = f'{float(value):.1e}'
  return f'{text:>{width}}'


def _error(nats: float) -> str:
  return f'{nats:.1f}' if nats < 1000 else f'{nats:.0f}'


def clock(seconds: float) -> str:
  """Returns minutes and seconds, and hours if there are any."""
  minutes, seconds = divmod(int(seconds), 60)
  hours, minutes = divmod(minutes, 60)
  if hours:
    return f'{hours}:{minutes:02d}:{seconds:02d}'
  return f'{minutes}:{seconds:02d}'
