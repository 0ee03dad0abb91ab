"""Episodes in the real environment, as rows for the store.

Row t holds what action[t] led to; row 0 is the reset, with action and reward
zero (the convention of PlaNet's and Dreamer's episodes).
"""

import numpy as np
import tensorflow as tf


def seed_of(*parts):
  """Returns a seed below 2**31 that is a pure function of whole numbers."""
  sequence = np.random.SeedSequence([int(part) for part in parts])
  return int(sequence.generate_state(1)[0] >> 1)


def row(timestep, action):
  """Returns one row of an episode from what the environment answered."""
  return dict(
      {key: np.asarray(value)
       for key, value in timestep.observation.items()},
      action=np.asarray(action, np.float32),
      reward=np.float32(timestep.reward or 0.0),
      discount=np.float32(
          1.0 if timestep.discount is None else timestep.discount),
      is_first=timestep.first(),
      is_last=timestep.last(),
      is_terminal=bool(timestep.last() and timestep.discount == 0.0))


def rollouts(act, environments, seeds, on_step=lambda: None):
  """Runs one episode in each environment, side by side.

  Args:
    act: function of (observation {key: [B, ...]}, is_first [B], step) that
      returns actions [B, A]; it is not asked about the episodes' last rows.
    environments: workers, B of them.
    seeds: the seed of each episode.
    on_step: called after every step, for a progress bar.

  Returns:
    list of episodes {key: [L, ...]}.
  """
  none = np.zeros([environments[0].action_size], np.float32)
  timesteps = [
      environment.reset(seed)
      for environment, seed in zip(environments, seeds, strict=True)]
  episodes = [[row(timestep, none)] for timestep in timesteps]
  over = [False] * len(environments)
  step = 0
  while not all(over):
    observation = {
        key: np.stack([timestep.observation[key] for timestep in timesteps])
        for key in timesteps[0].observation}
    actions = act(observation, np.full(len(over), step == 0), step)
    for index, environment in enumerate(environments):
      if not over[index]:
        environment.send(actions[index])
    for index, environment in enumerate(environments):
      if not over[index]:
        timesteps[index] = environment.receive()
        episodes[index].append(row(timesteps[index], actions[index]))
        over[index] = timesteps[index].last()
    step += 1
    on_step()
  return [{key: np.stack([row[key] for row in rows]) for key in rows[0]}
          for rows in episodes]


def agent_actor(agent, batch, explore, seed):
  """Returns `act` for `rollouts` from an agent's policy."""
  state = agent.initial(batch)
  explore = tf.constant(explore)

  def act(observation, is_first, step):
    nonlocal state
    observation = {key: tf.constant(value)
                   for key, value in observation.items()}
    observation['is_first'] = tf.constant(is_first)
    action, state = agent.policy(
        observation, state, explore, tf.constant([seed, step], tf.int32))
    return action.numpy()

  return act
