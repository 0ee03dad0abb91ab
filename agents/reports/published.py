"""Published curves: what others have reached on the same tasks.

published.csv has them: mean and standard deviation over seeds of the return
from images, by env_steps (simulator frames). Facts of the files and papers that
SOURCES names; a method's protocol is not ours, see `PROTOCOL`.
"""

import csv
import dataclasses
import functools
import pathlib

SOURCES = {
  'planet': (
    'PlaNet',
    'Hafner et al. (2019), table 1: mean of 5 seeds of 10 episodes, 1,000 '
    'episodes of training',
  ),
  'dreamer': (
    'Dreamer',
    'danijar/dreamer, scores/dreamer.json: 5 seeds, bins of 100,000 frames',
  ),
  'dreamerv2': (
    'DreamerV2',
    'danijar/dreamerv2, scores/dmc-vision-dreamerv2.json: 5 seeds',
  ),
  'dreamerv3': (
    'DreamerV3',
    'danijar/dreamerv3, scores/dmc_vision-*.json.gz: returns of training, mean '
    'of the last 10,000 frames',
  ),
  'drqv2': (
    'DrQ-v2',
    'facebookresearch/drqv2, curves: returns of evaluation, 8 to 10 seeds',
  ),
  'mrq': (
    'MR.Q',
    'facebookresearch/MRQ, results: returns of evaluation, 10 seeds',
  ),
}
PROTOCOL = (
  'Published curves are of others: action repeat 2 (PlaNet: 2 to 8), mostly '
  'several updates a frame on a GPU, rendered as dm_control comes. They say '
  'what is possible, not what a run on two cores should reach.'
)


@dataclasses.dataclass(frozen=True)
class Point:
  """A mean over seeds, and what is known of their spread."""

  env_steps: int
  mean: float
  std: float | None
  seeds: int | None


def curves(task: str) -> dict[str, list[Point]]:
  """Returns the curves of a task, {method: points by env_steps}."""
  return _all().get(task, {})


@functools.cache
def _all() -> dict[str, dict[str, list[Point]]]:
  found = {}
  path = pathlib.Path(__file__).with_name('published.csv')
  with path.open(newline='', encoding='utf-8') as file:
    for row in csv.DictReader(file):
      point = Point(
        int(row['env_steps']),
        float(row['mean']),
        float(row['std']) if row['std'] else None,
        int(row['seeds']) if row['seeds'] else None,
      )
      task = found.setdefault(row['task'], {})
      task.setdefault(row['method'], []).append(point)
  return found
