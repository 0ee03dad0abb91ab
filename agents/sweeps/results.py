"""What came of the runs of a sweep, a row for each."""

import math
import pathlib
import statistics
from collections.abc import Mapping
from typing import Any

from worldmodels import errors
from worldmodels.agents.reports import records
from worldmodels.agents.reports import scores
from worldmodels.agents.sweeps import jobs
from worldmodels.data import reading

# Steps after the last image seen whose error is in a table.
HORIZONS = (1, 5, 15)
# Variance of rewards below which an error is no share of it: where all chunks
# have about the same reward, whatever error there is would be many times that.
_SOME_VARIANCE = 1e-6
# Episodes whose open-loop error is taken: the first of these that there are.
_EPISODES = ('recorded', 'policy', 'random')
_ERRORS = {
  'image': 'image',
  'copy_image': 'image_of_copy',
  'mean_image': 'image_of_mean',
}
_MEANS = {
  'divergence': 'kl',
  'gradient_norm': 'gradient_norm',
  'image_loss': 'image_loss',
}
VERSIONS = ('python', 'tensorflow', 'tensorflow-probability', 'keras', 'numpy')

EARLIER = 'of an earlier command'  # the state of such a run

Row = dict[str, Any]


def row(path: pathlib.Path, run: Mapping[str, Any]) -> Row:
  """Returns the figures of a run, {column: value}; what is not known lacks.

  Args:
    path: of the run.
    run: setting, task, seed and command.
  """
  found: Row = {key: run[key] for key in ('setting', 'task', 'seed')}
  found['state'], found['command'] = 'not begun', run['command']
  if not (path / records.METRICS).exists():
    return found
  try:
    (record,) = records.read([str(path)])
  except (errors.UserError, OSError) as error:
    return found | {'state': 'damaged', 'said': str(error)}
  found['state'] = 'begun'
  if record.lines:
    last = record.lines[-1]
    for key in ('episodes', 'env_steps', 'updates'):
      found[key] = last[key]
    found['minutes'] = last['wall_seconds'] / 60
  score = record.score()
  if score is not None:
    found['return'], std, found['return_episodes'], found['return_of'] = score
    if std is not None:
      found['return_std'] = std
  found['ended'] = _has_ended(record, found)
  found |= _open_loop(record) | _learning(record) | _probes(record)
  found |= scores.made_by(record.versions)
  if record.versions:
    newest = record.versions[-1]
    found |= {key: newest[key] for key in VERSIONS if newest.get(key)}
  return found


def _has_ended(record: records.Record, found: Row) -> bool:
  """Returns whether a fit is at its end, or a run was evaluated after it."""
  train = record.config.get('train')
  total = train.get('updates_total') if isinstance(train, dict) else None
  if total:
    return found.get('updates') == total
  return found.get('return_of') == 'evaluate'


def _open_loop(record: records.Record) -> Row:
  """Returns errors by horizon: of images in nats, of rewards as shares."""
  for kind in _EPISODES:
    line = record.last(f'open_loop_{kind}_reward')
    if line is not None:
      break
  else:
    return {}
  found: Row = {'open_loop_of': kind}
  for key, name in _ERRORS.items():
    found |= _at_steps(name, line.get(f'open_loop_{kind}_{key}'))
  variance = line.get(f'open_loop_{kind}_reward_variance')
  for key, name in (('reward', 'reward'), ('copy_reward', 'reward_of_copy')):
    values = line.get(f'open_loop_{kind}_{key}')
    if isinstance(values, list) and isinstance(variance, list):
      shares = [_share(x, y) for x, y in zip(values, variance)]
      found |= _at_steps(name, shares)
  return found


def _at_steps(name: str, values: object) -> Row:
  if not isinstance(values, list) or not values:
    return {}
  steps = [x for x in HORIZONS if x <= len(values)]
  found = {f'{name}_{step}': values[step - 1] for step in steps}
  return {key: x for key, x in found.items() if reading.is_number(x)}


def _share(value: object, variance: object) -> float | None:
  """Returns an error as a share of a variance; of none there is no share."""
  if not (reading.is_number(value) and reading.is_number(variance)):
    return None
  return value / variance if variance > _SOME_VARIANCE else None


def _learning(record: records.Record) -> Row:
  """Returns the newest losses, and the seconds of an update."""
  found = {}
  for key, name in _MEANS.items():
    if lines := record.curve(key):
      found[name] = lines[-1][key]
  paces = [line['update_seconds'] for line in record.curve('update_seconds')]
  if paces:  # The first has the building of the training step in it.
    found['update_seconds'] = statistics.median(paces[1:] or paces)
  return found


def _probes(record: records.Record) -> Row:
  """Returns the R2 of linear probes, by vector: the mean of its parts."""
  path = record.path / jobs.PROBE
  probe = records.record_json(record, path, dict)
  if record.lines and probe.get('checkpoint') != record.lines[-1]['updates']:
    return {}  # The run has gone on since.
  vectors, found = probe.get('vectors'), {}
  for name, about in (vectors if isinstance(vectors, dict) else {}).items():
    parts = about.get('r2') if isinstance(about, dict) else None
    parts = [x for x in parts or () if reading.is_number(x)]
    if parts and math.isfinite(mean := statistics.fmean(parts)):
      found[f'probe_{name}'] = mean
  return found
