"""Our task `hill`, in episodes of unlike lengths, which end as a task ends."""

import dm_env

from worldmodels.data.tasks import hill

_LEAST, _MOST = 4, 24  # steps


class Brief(hill.Hill):
  """The seed of an episode says how long it is."""

  ends_early = True

  def reset(self):
    found = super().reset()
    self._last = self._random.integers(_LEAST, _MOST, endpoint=True)
    return found

  def step(self, action):
    found = super().step(action)
    if self._step == self._last:
      return dm_env.termination(found.reward, found.observation)
    return found


load = Brief
