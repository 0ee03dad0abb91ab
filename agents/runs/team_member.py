"""What a process does that learns beside the one that leads; it writes nothing.

See team_workers.py.
"""

import keras

from worldmodels.agents.runs import build
from worldmodels.agents.runs import team_workers
from worldmodels.agents.runs.learning import Learning
from worldmodels.agents.runs.run_directory import RunDirectory


def follow(learners: team_workers.Workers, directory: RunDirectory) -> None:
  """Learns until the first one says that there is no more.

  Args:
    learners: of which this is one.
    directory: of the run, which all have.
  """
  config, spec = learners.told()
  keras.utils.set_random_seed(config.seed)
  with learners.scope():
    agent = build.agent(config, spec)
  learning = None
  while (order := learners.hear()) is not None:
    store = team_workers.open_store(order, config, directory.episodes)
    if learning is None:
      learning = Learning(
        *(config, directory, agent, print),
        on_update=lambda updates: None,
        advice='see what the first learner says',
        learners=learners,
        start=order.updates,
      )
    team_workers.check_weights(order, agent.state_variables)
    learning.learn(store, order.until, order.limit)
