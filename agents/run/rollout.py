"""Episodes in the real environment."""

import numpy as np
import tensorflow as tf

from data import rows


def seed_of(*parts):
  """Returns a seed below 2**31 that is a pure function of whole numbers."""
  sequence = np.random.SeedSequence([int(part) for part in parts])
  return int(sequence.generate_state(1)[0] >> 1)


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
  timesteps = [
      [environment.reset(seed)]
      for environment, seed in zip(environments, seeds, strict=True)]
  taken = [[] for _ in environments]
  over = [False] * len(environments)
  step = 0
  while not all(over):
    observation = {
        key: np.stack([past[-1].observation[key] for past in timesteps])
        for key in timesteps[0][-1].observation}
    actions = act(observation, np.full(len(over), step == 0), step)
    going = [index for index, done in enumerate(over) if not done]
    for index in going:
      environments[index].send(actions[index])
    for index in going:
      timesteps[index].append(environments[index].receive())
      taken[index].append(actions[index])
      over[index] = timesteps[index][-1].last()
    step += 1
    on_step()
  return [rows.stack(*pair) for pair in zip(timesteps, taken, strict=True)]


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
