"""Steers a dream with the keyboard, on a page in the browser.

  worldmodels play --logdir=RUN

Open the printed address. Arrows and letters are actions, and what the model
imagines of them is drawn at once. The agent's own suggestion can be switched
on. The page is served to this machine alone; Ctrl-C ends it.
"""

from absl import flags

from worldmodels.agents.programs import checkpoint_flag
from worldmodels.agents.runs import model_needed
from worldmodels.agents.runs import recordings
from worldmodels.agents.runs import restore
from worldmodels.agents.runs import selection
from worldmodels.agents.runs.run_directory import RunDirectory
from worldmodels.agents.runs.run_directory import RunError
from worldmodels.spec import Spec

_LOGDIR = flags.DEFINE_string(
  'logdir', None, 'Directory of the run.', required=True
)
_PORT = flags.DEFINE_integer(
  'port',
  0,
  'Of the page, on 127.0.0.1; 0 takes a free one.',
  lower_bound=0,
  upper_bound=65535,
)
_EPISODE = flags.DEFINE_string(
  'episode', None, 'File .npz of the recorded episode to start from.'
)
_STARTS = flags.DEFINE_integer(
  'episodes',
  8,
  'Recorded episodes to start from.',
  lower_bound=1,
  upper_bound=64,
)
_CONTEXT = flags.DEFINE_integer(
  'context',
  5,
  'Agent_steps that are observed before the dream begins.',
  lower_bound=1,
)
_FPS = flags.DEFINE_float(
  'fps', 10, 'Agent_steps per second.', lower_bound=0.1, upper_bound=60
)
_CHECKPOINT = checkpoint_flag.define('dream with')


def main(argv: list[str]) -> None:
  """Restores the agent and serves the page."""
  del argv
  directory = RunDirectory(_LOGDIR.value)
  config = directory.load()
  model_needed.check(config, directory.path, 'it has no dream to steer')
  restore.check(directory, _CHECKPOINT.value)
  spec = directory.spec()
  if spec.image is None or spec.image[2] not in (1, 3):
    raise RunError(f'{directory.path} is of a task without an image to see')
  starts = _starts(directory, selection.random_of(config), spec)
  print('starting TensorFlow, which takes some seconds')

  from worldmodels.agents.play import dream
  from worldmodels.agents.play import server
  from worldmodels.agents.runs import operations

  operations.make_deterministic(config)
  agent, counters = restore.agent(directory, config, spec, _CHECKPOINT.value)
  print(f'checkpoint: {counters["updates"]} updates of {config.task}')
  steered = dream.Dream(
    agent,
    config,
    [dream.Start(*start) for start in starts],
    _CONTEXT.value,
  )
  with server.Server(steered, _PORT.value, _FPS.value) as served:
    print(f'page: {served.address}')
    print('Ctrl-C ends it')
    served.serve_forever()


def _starts(
  directory: RunDirectory, random: int | None, spec: Spec
) -> list[tuple[str, selection.Episode]]:
  """Returns the episodes to start from, the newest first, with names."""
  if _EPISODE.value is not None:
    return [recordings.episode(_EPISODE.value, spec, 1)]
  chosen = selection.latest(directory, random, _STARTS.value)
  return list(zip(chosen.titles, chosen.episodes))[::-1]
