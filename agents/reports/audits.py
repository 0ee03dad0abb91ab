"""Shows an audit: as a table of text, as charts, as a part of a page.

An audit is what `worldmodels audit` printed. That of a run lies beside its
figures as audit.json, where anybody may have put it: `is_one` says whether a
value from JSON is an audit.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from worldmodels.agents.reports import svg
from worldmodels.agents.reports.chart import COLORS
from worldmodels.agents.reports.chart import INK
from worldmodels.agents.reports.chart import Chart
from worldmodels.agents.reports.chart import Series
from worldmodels.data import reading

Audit = Mapping[str, Any]

# Lists by horizon, which all have; and those that only some have.
_LISTS = (
  *('real', 'replayed', 'gap', 'rms_error', 'reward_error', 'divergence'),
  *('classic', 'tight', 'largest'),
)
_SOME = ('predicted', 'gap_error')
_NUMBERS = (
  *('step_divergence', 'transition_error', 'largest_transition_error'),
  *('reward_width', 'starts', 'gamma'),
)
_COLUMNS = ('real', 'predicted', 'replayed', 'planned', 'gap')
# Whose returns the gap is of.
_WHOSE = {'agent': 'the agent gets', 'actions': 'the actions taken get'}
_BOUNDS = ('classic', 'tight', 'largest')
_SHOWN = 5  # steps between the rows of a table


def is_one(found: Audit) -> bool:
  """Returns whether an object from JSON is the audit of a run."""
  real = found.get('real')
  length = len(real) if isinstance(real, list) else 0
  lists = [found.get(key) for key in _LISTS]
  lists += [found[x] for x in _SOME if found.get(x) is not None]
  planned = found.get('planned')
  if planned is not None:
    if not _numbers(planned) or not 0 < len(planned) <= length:
      return False
  good = length > 0 and found.get('gap_of') in tuple(_WHOSE)
  good = good and all(
    _numbers(values) and len(values) == length for values in lists
  )
  return good and all(reading.is_number(found.get(key)) for key in _NUMBERS)


def table(found: Audit) -> str:
  """Returns an audit as text.

  Args:
    found: the audit of a run.
  """
  names = [name for name in _COLUMNS if found.get(name) is not None]
  lines = [
    '',
    f'returns of the next steps, mean of {found["starts"]} starts, discount '
    f'{found["gamma"]:g}',
    'steps' + ''.join(f'{name:>11}' for name in (*names, *_BOUNDS)),
  ]
  horizon = len(found['real'])
  for step in range(1, horizon + 1):
    if step == 1 or step % _SHOWN == 0 or step == horizon:
      cells = [found[name][step - 1 : step] for name in (*names, *_BOUNDS)]
      lines.append(
        f'{step:5d}'
        + ''.join(f'{x[0]:11.4g}' if x else f'{"":11}' for x in cells)
      )
  return '\n'.join([*lines, *words(found), ''])


def words(found: Audit) -> list[str]:
  """Returns what an audit says, in sentences."""
  horizon = len(found['real'])
  gap, error = found['gap'][-1], found.get('gap_error')
  more = f' +- {error[-1]:.3g}' if error else ''
  lines = [
    f'after {horizon} steps the model is wrong by {gap:.4g}{more} about what '
    f'{_WHOSE[found["gap_of"]]}, on average, and by '
    f'{found["rms_error"][-1]:.4g} (root mean square) from a single start',
  ]
  if planned := found.get('planned'):
    came = found['real'][len(planned) - 1]
    lines.append(
      f'plans promise {planned[-1]:.4g} for {len(planned)} steps; {came:.4g} '
      'came of the agent that plans at each of them'
    )
  lines.append(
    f'one step: the reward is wrong by {found["reward_error"][0]:.3g}, the KL '
    f'is {found["step_divergence"]:.3g} nats, total variation at most '
    f'{found["transition_error"]:.3g} on average, '
    f'{found["largest_transition_error"]:.3g} where it is largest'
  )
  empty = [
    step
    for step, (bound, most) in enumerate(
      zip(found['classic'], found['largest']), 1
    )
    if bound >= most
  ]
  if empty:
    lines.append(
      f'the classic bound says nothing from {empty[0]} steps on: rewards allow '
      'no larger difference'
    )
  return lines


def charts(found: Audit, label: str) -> list[Chart]:
  """Makes the charts of an audit.

  Args:
    found: the audit of a run.
    label: of the run.
  """
  steps = 'steps after the last image seen'
  returns = [
    _series(found, 'real', 'what came', INK, dots=True),
    _series(found, 'replayed', 'the actions taken', COLORS[2], dashed=True),
  ]
  for key, name, color in (
    ('predicted', 'the agent in its model', COLORS[0]),
    ('planned', 'promised by plans', COLORS[1]),
  ):
    if found.get(key) is not None:
      returns.append(_series(found, key, name, color))
  bounds = [
    _series(found, 'gap', 'true gap', INK, dots=True, log=True),
    _series(found, 'classic', 'classic bound', COLORS[1], log=True),
    _series(found, 'tight', 'tight bound', COLORS[0], log=True),
    _series(
      found, 'largest', 'what rewards allow', COLORS[8], dashed=True, log=True
    ),
  ]
  single = [
    _series(found, 'reward_error', 'error of the reward', COLORS[0], dots=True)
  ]
  apart = [
    _series(found, 'divergence', 'KL of the state', COLORS[1], dots=True)
  ]
  return [
    Chart(f'{label}: predicted and real', steps, 'return so far', returns),
    Chart(f'{label}: gap and its bounds', steps, 'log10', bounds),
    Chart(f'{label}: error by step', steps, 'mean, absolute', single, True),
    Chart(f'{label}: KL by step', steps, 'nats', apart, True),
  ]


def section(found: Audit, label: str, updates: float) -> str:
  """Returns the part of a page that shows the audit of a run.

  Args:
    found: the audit.
    label: of the run.
    updates: that the run has done.
  """
  drawn = ''.join(f'<div>{svg.draw([[x]])}</div>' for x in charts(found, label))
  said = ''.join(f'<p>{svg.escape(line)}.</p>' for line in words(found))
  assumed = found.get('assumes')
  assumed = assumed if isinstance(assumed, list) else []
  listed = '; '.join(str(line) for line in assumed)
  return (
    f'<h4>Audit</h4><p>{svg.escape(_about(found, updates))}</p>{said}'
    f'<div class="charts">{drawn}</div>'
    f'<p class="dim">The bounds assume: {svg.escape(listed)}.</p>'
  )


def _about(found: Audit, updates: float) -> str:
  """Says which agent was audited."""
  text = 'Of a checkpoint that is not named.'
  checkpoint, config = found.get('checkpoint'), found.get('config')
  if reading.is_number(checkpoint):
    text = f'Of the checkpoint of {checkpoint:,} updates'
    text += (
      f'; the run has {updates:,} by now.' if updates > checkpoint else '.'
    )
  if isinstance(config, dict) and config:
    values = ', '.join(f'{key}={value}' for key, value in config.items())
    text += f' It acted with {values}.'
  return text


def maze_table(rows: Sequence[Audit], gamma: float) -> str:
  """Returns exact audits as text.

  Args:
    rows: of tabular.audit.
    gamma: discount per step.
  """
  names = ('transition_error', 'gap', 'tight', 'classic', 'largest', 'regret')
  lines = [
    f'models of the Dyna maze, the best policy, discount {gamma:g}',
    ''.join(f'{name.replace("transition_error", "TV"):>9}' for name in names),
  ]
  lines += [''.join(f'{row[name]:9.4g}' for name in names) for row in rows]
  return '\n'.join(lines)


def maze_chart(rows: Sequence[Audit]) -> Chart:
  """Makes the chart of exact audits: gap and bounds by total variation.

  Args:
    rows: of tabular.audit.
  """
  names = {
    'gap': ('true gap', INK, False),
    'tight': ('tight bound', COLORS[0], False),
    'classic': ('classic bound', COLORS[1], False),
    'largest': ('what rewards allow', COLORS[8], True),
  }
  series = [
    Series(
      name,
      [(row['transition_error'], _log(row[key])) for row in rows],
      color,
      dashed=dashed,
      dots=not dashed,
    )
    for key, (name, color, dashed) in names.items()
  ]
  return Chart(
    'Dyna maze: largest error of a value, and its bounds',
    'total variation of a step',
    'log10',
    series,
  )


def _series(
  found: Audit,
  key: str,
  name: str,
  color: str,
  dashed: bool = False,
  dots: bool = False,
  log: bool = False,
) -> Series:
  points = [
    (float(step), _log(value) if log else float(value))
    for step, value in enumerate(found[key], 1)
  ]
  return Series(name, points, color, dashed=dashed, dots=dots)


def _log(value: float) -> float:
  return math.log10(value) if value > 0 else math.nan


def _numbers(values: object) -> bool:
  return isinstance(values, list) and all(map(reading.is_number, values))
