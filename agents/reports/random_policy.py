"""The returns of random actions, which a run is compared with."""

from worldmodels import errors
from worldmodels.agents.reports import records
from worldmodels.data import reading
from worldmodels.data import soundness
from worldmodels.data import workers
from worldmodels.data.store import Store

EPISODES = 10  # that are played where a run has kept none
_SEED = 10**6
# Options of environments.make that a config may have.
_OPTIONS = (
  *('size', 'action_repeat', 'quality', 'camera', 'vectors', 'step_limit'),
  *('image', 'crop', 'gray'),
)


def of_run(record: records.Record) -> list[float]:
  """Returns the returns of the random episodes that a run begins with."""
  train = record.config.get('train')
  count = train.get('seed_episodes') if isinstance(train, dict) else None
  if not record.whole or not reading.is_count(count):
    return []
  if train.get('updates_total'):  # They were recorded by others.
    return []
  found = []
  for name in ('episodes', 'heldout'):
    path = record.path / name
    if not path.is_dir():
      continue
    try:
      store = Store(path, log=record.notes.append, reading=True)
    except (errors.UserError, OSError) as error:
      record.notes.append(f'{name}: {error}')
      continue
    own = [number for number in store.numbers if number is not None]
    found += [store.return_of(number) for number in own if number < count]
  return found


def played(record: records.Record, episodes: int = EPISODES) -> list[float]:
  """Plays random episodes of the task of a run; returns their returns.

  Args:
    record: of the run.
    episodes: how many.

  Raises:
    UserError: the task cannot be started, or failed.
  """
  options = record.config.get('environment')
  options = options if isinstance(options, dict) else {}
  given = {key: options[key] for key in _OPTIONS if key in options}
  for key, value in given.items():
    given[key] = tuple(value) if isinstance(value, list) else value
  worker = workers.start(record.task, **given)
  try:
    return [
      float(soundness.play(worker, _SEED + number)['reward'].sum())
      for number in range(episodes)
    ]
  finally:
    worker.close()
