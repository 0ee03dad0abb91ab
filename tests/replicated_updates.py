"""Updates with one replica and with two, for replicas_test.

  python tests/replicated_updates.py NAME ...

Prints, as JSON, of each of CASES after some updates {figure or variable:
[largest difference, largest number, whether the same numbers are NaN]}. The two
processors have to be made before TensorFlow computes anything, so this is a
process of its own. The agents take minutes, and are left to who changes what is
taken over a batch; `parts` is all of that in one small graph.
"""

import functools
import json
import sys

import batches
import keras
import numpy as np
import tensorflow as tf

from worldmodels import imagination
from worldmodels import losses
from worldmodels import replicas
from worldmodels.agents import returns
from worldmodels.agents.action_distributions import bounded_normal
from worldmodels.agents.action_distributions import one_hot
from worldmodels.agents.optimizers import Optimizer
from worldmodels.agents.runs import build
from worldmodels.agents.runs import team
from worldmodels.configs import dreamer
from worldmodels.configs import model_free
from worldmodels.configs import pets
from worldmodels.configs import plan2explore
from worldmodels.configs import planet
from worldmodels.running_variance import RunningVariance
from worldmodels.spec import Spec

UPDATES, BATCH, TIME = 3, 4, 8
SPEC = Spec(actions=2, image=(64, 64, 3), vectors={'speed': 2})
DISCRETE = Spec(actions=3, discrete=True, image=(64, 64, 3))
EXACT = {
  'encoder.precision': 'float32',
  'heads.image.precision': 'float32',
  # A small step, so that rounding is not blown up by Adam.
  'optimizer.rate': 1e-4,
}


def case(config, spec=SPEC, poison=None, **values):
  """Returns (config, spec, update whose rewards are NaN in one share)."""
  for key, value in (EXACT | values).items():
    if config.get(key.split('.')[0]) is not None:
      config.update_from_flattened_dict({key: value})
  return config, spec, poison


def model_values(**values):
  """Of all that is taken over the rows of a batch."""
  return dict(
    values,
    **{
      'kl.free': 'mean',
      'kl.free_nats': 0.5,
      'kl.prior_scale': 0.8,
      'kl.posterior_scale': 0.2,
      'heads.reward.relative': 0.02,
      'heads.image.share': 0.3,
      'optimizer.clip': 1.0,
      'optimizer.average': 0.9,
      'encoder.bits': 5,
    },
  )


class Parts:
  """Whatever is taken over a batch, or drawn for it, in one update."""

  def __init__(self):
    self.kernel = keras.Variable(
      np.linspace(-1.0, 1.0, 6).reshape(6, 1),
      dtype='float32',
      name='kernel',
    )
    self.optimizer = Optimizer(
      [self.kernel],
      name='optimizer',
      **dict(rate=0.1, epsilon=1e-8, clip=0.5, average=0.9, warmup=3),
    )
    self.scale = returns.ReturnScale(0.1, 0.9)
    self.variance = RunningVariance((6,), 'variance')
    self.state_variables = [
      *(self.kernel, *self.optimizer.slots, *self.scale.variables),
      *self.variance.variables,
    ]

  @tf.function
  def train(self, batch, seed):
    mask, found = batch['mask'], {}
    values = tf.concat([batch['action'], batch['speed'], batch['speed']], -1)
    reward = batch['reward']

    def error(values, reward):
      noise = replicas.draw(tf.random.stateless_normal, tf.shape(reward), seed)
      said = tf.tensordot(values, self.kernel.value, 1)[..., 0]
      return tf.square(said + noise - reward)

    def divergence(one, other):
      return tf.square(one['said'] - 0.5 * other['said'])

    with tf.GradientTape() as tape:
      said = {'said': tf.tensordot(values, self.kernel.value, 1)[..., 0]}
      kl, _ = losses.kl_loss(
        *(divergence, said, said),
        **dict(free='mean', free_nats=0.1, prior_scale=0.8),
        mask=mask,
      )
      terms = {
        'all': error(values, reward),
        'some': losses.of_some(error, values, reward, 0.3, seed),
        'kl': kl,
      }
      found |= losses.masked_means(terms, mask)
      self.variance.update(values, mask)
      found['variance'] = self.variance.value()
      loss = tf.add_n([found['all'], found['some'], found['kl']])
      # Of what all have in common, and of rows that all count.
      loss = loss / found['variance'] + tf.reduce_sum(self.kernel.value**2)
      loss += tf.reduce_mean(said['said'])
    found['norm'] = self.optimizer.minimize(loss, tape)
    found['spread'] = self.scale.update(said['said'], mask, True)
    start, weight = imagination.starts(batch, {'values': values}, 6, seed)
    found['starts'] = losses.masked_mean(start['values'][:, 0], weight)
    for name, kind in ('one_hot', one_hot), ('bounded', bounded_normal):
      drawn = kind.Distribution(values).sample(seed)[..., 0]
      found[name] = losses.masked_mean(drawn, mask)
    found['every'] = tf.cast(
      replicas.every(tf.reduce_all(tf.math.is_finite(reward))), tf.float32
    )
    return found


CASES = {
  'planet': lambda: case(planet.get_config('debug'), **model_values()),
  'poisoned': lambda: case(planet.get_config('debug'), poison=1),
  'dreamer': lambda: case(
    dreamer.get_config('debug'),
    **model_values(),
    **{
      'learner.normalize': 1.0,
      'learner.gradient': 'mixed',
      'learner.critic.slow': 'target',
      'dreaming': 'averaged',
    },
  ),
  'bounded': lambda: case(
    dreamer.get_config('debug'),
    **{'learner.starts': 0, 'learner.actor.kind': 'bounded_normal'},
  ),
  'discrete': lambda: case(
    dreamer.get_config('debug'),
    DISCRETE,
    **{'learner.critic.slow': 'regularizer', 'dynamics.latent': 'categorical'},
  ),
  'ensemble': lambda: case(
    pets.get_config('debug'), Spec(actions=2, vectors={'speed': 2})
  ),
  'plan2explore': lambda: case(plan2explore.get_config('debug')),
  'model_free': lambda: case(model_free.get_config('debug')),
}


@functools.cache
def together(count):
  """Returns who does the updates; TensorFlow suffers one of a kind."""
  return team.Mirrored(count) if count > 1 else team.Alone()


def updated(name, count):
  """Returns figures and variables after some updates, {name: array}."""
  config, spec, poison = (None, SPEC, 1)
  if name != 'parts':
    config, spec, poison = CASES[name]()
  members = together(count)
  keras.utils.set_random_seed(0)
  with members.scope():
    agent = build.agent(config, spec) if config else Parts()
  update, found = members.update_of(agent), {}
  for number in range(UPDATES):
    batch = batches.chunks(spec, BATCH, TIME, seed=number)
    batch = {key: value.numpy() for key, value in batch.items()}
    if number == poison:
      batch['reward'][-1] *= np.nan
    figures = update(batch, tf.constant([7, number], tf.int32))
    for key, value in figures.items():
      found[f'{number}/{key}'] = value.numpy()
  for variable in agent.state_variables:
    found[variable.path] = variable.numpy()
    for copy in members.copies(variable)[1:]:
      assert np.array_equal(copy.numpy(), variable.numpy()), variable.path
  return found


def main():
  processors = tf.config.list_physical_devices('CPU')
  tf.config.set_logical_device_configuration(
    processors[0], [tf.config.LogicalDeviceConfiguration()] * 2
  )
  differences = {}
  for name in sys.argv[1:]:
    one, two = updated(name, 1), updated(name, 2)
    assert one.keys() == two.keys()
    differences[name] = {key: compared(one[key], two[key]) for key in one}
  print(json.dumps(differences))


def compared(one, two):
  """Returns [largest difference, largest number, the same are NaN]."""
  alike = np.array_equal(np.isnan(one), np.isnan(two))
  one, two = (np.nan_to_num(x).astype(np.float64) for x in (one, two))
  largest = [float(np.max(np.abs(x), initial=0.0)) for x in (two - one, one)]
  return [*largest, alike]


if __name__ == '__main__':
  main()
