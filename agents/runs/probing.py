"""Probes the model of a run for the true state of its task.

A probe is fitted to the posterior's features in episodes that were learned from
and measured in those that were held out. The state is recorded in them, or the
task gives it when they are played again.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import ml_collections
import numpy as np
import tensorflow as tf

from worldmodels import errors
from worldmodels import states
from worldmodels.agents.runs import linear_probe
from worldmodels.agents.runs import selection
from worldmodels.agents.runs import true_states
from worldmodels.agents.runs.run_directory import RunDirectory
from worldmodels.agents.runs.run_directory import RunError
from worldmodels.data.store import Store
from worldmodels.world_model import WorldModel

# Episodes that are looked at, at even distances, and chunks of them.
_LEARNED, _HELDOUT = 40, 16
_CHUNKS, _LENGTH = 128, 50
_BATCH = 16
# Steps after which a model has seen what moves.
CONTEXT = 5

Episode = dict[str, np.ndarray]


def probe(
  model: WorldModel,
  directory: RunDirectory,
  config: ml_collections.ConfigDict,
  log: Callable[[str], Any],
  **limits: float,
) -> dict[str, Any]:
  """Probes a model for each vector of its task.

  Args:
    model: of the run.
    directory: of the run.
    config: of the run.
    log: called with a line of text.
    **limits: `timeout` and `start_timeout` of workers.start.

  Returns:
    {states: where the true states are from, fitted, tested: rows, vectors:
    {name: see linear_probe.Probe.measure}}; no vectors where there is no state.

  Raises:
    RunError: the run has no episode that is long enough.
  """
  parts = [
    _chosen(path, count, log)
    for path, count in (
      (directory.episodes, _LEARNED),
      (directory.heldout, _HELDOUT),
    )
  ]
  if not all(parts):
    raise RunError(
      f'{directory.path} has no episodes of {CONTEXT + 2} rows, both learned '
      'from and held out'
    )
  source, names = 'recorded', true_states.recorded(parts[0][0][1])
  if not names:
    source = 'played again'
    try:
      names = _add_states(parts, config, **limits)
    except errors.UserError as error:
      log(f'no states to probe for: {error}')
      source = f'none: {error}'
  found = {'states': source, 'fitted': 0, 'tested': 0, 'vectors': {}}
  if not names:
    return found
  fitted, tested = (_rows(model, part, names) for part in parts)
  found |= {'fitted': len(fitted['']), 'tested': len(tested[''])}
  for name in names:
    made = linear_probe.fit(fitted[''], fitted[name])
    found['vectors'][name] = made.measure(tested[''], tested[name])
  return found


def _chosen(
  path: Any,  # noqa: ANN401 (a path)
  count: int,
  log: Callable[[str], Any],
) -> list[tuple[int | None, Episode]]:
  """Returns (number, episode) of some episodes of a store."""
  if not path.is_dir():
    return []
  store = Store(path, log=log, reading=True)
  places = [i for i, x in enumerate(store.lengths) if x >= CONTEXT + 2]
  places = places[:: -(-len(places) // count) or 1]
  return [(store.numbers[i], store.episode(i)) for i in places]


def _add_states(
  parts: Sequence[list[tuple[int | None, Episode]]],
  config: ml_collections.ConfigDict,
  **limits: float,
) -> list[str]:
  """Adds the true states to episodes that lack them; returns their names."""
  if config.train.updates_total:
    raise true_states.StateError('the episodes are of others')
  replay = true_states.Replay(config, **limits)
  try:
    for heldout, part in enumerate(parts):
      for number, episode in part:
        if number is None:
          raise true_states.StateError('some of the episodes are of others')
        seed = replay.seed(number, bool(heldout))
        episode |= replay.states(episode, seed)
  finally:
    replay.close()
  return replay.names


def _rows(
  model: WorldModel,
  part: list[tuple[int | None, Episode]],
  names: Sequence[str],
) -> dict[str, np.ndarray]:
  """Returns features [N, F] as '', and vectors [N, V] by name."""
  episodes = [episode for _, episode in part]
  length = min(_LENGTH, *(len(x['reward']) for x in episodes))
  batch = selection.cut(episodes, length, _CHUNKS)
  features = []
  for start in range(0, len(batch['reward']), _BATCH):
    some = {key: x[start : start + _BATCH] for key, x in batch.items()}
    features.append(_features(model, states.tensors(some)).numpy())
  found = {'': np.concatenate(features), **{x: batch[x] for x in names}}
  return {
    key: x[:, CONTEXT:].reshape(-1, x.shape[-1]).astype(np.float64)
    for key, x in found.items()
  }


@functools.partial(tf.function, reduce_retracing=True, autograph=False)
def _features(model: WorldModel, batch: dict[str, tf.Tensor]) -> tf.Tensor:
  posterior, _ = model.observe(batch)
  return model.features(posterior)
