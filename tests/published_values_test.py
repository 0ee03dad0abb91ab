"""Each preset of a published system has the values that were published.

Where a value of ours differs, docs/model.md says so and why.
"""

import pytest

from worldmodels.agents.runs import build
from worldmodels.agents.runs import config_checks
from worldmodels.agents.runs.schedule import Schedule
from worldmodels.configs import dreamer
from worldmodels.spec import Spec

# Of the successors: `paper` has these keys too, and nothing that reads them.
LATER = {
  'dynamics.classes': 32,  # DreamerV2, as up to `mix`
  'learner.actor.distributions.truncated_normal.init_std': 1.0,
  'learner.actor.distributions.truncated_normal.min_std': 0.1,
  'learner.critic.slow_share': 1.0,
  'learner.mix': 0.9,  # It has 0.1, of the other gradient.
  'dynamics.unimix': 0.01,  # DreamerV3, and all after it
  'heads.reward.bins': 255,
  'heads.reward.limit': 20.0,
  'learner.normalize_decay': 0.99,
  'learner.actor.distributions.bounded_normal.min_std': 0.1,
  'learner.actor.distributions.bounded_normal.max_std': 1.0,
  'learner.actor.distributions.one_hot.unimix': 0.01,
  'learner.critic.bins': 255,
  'learner.critic.limit': 20.0,
}
# danijar/dreamer: dreamer.py, models.py, tools.py.
PAPER = LATER | {
  'agent.kind': 'dreamer',
  'agent.sample_states': True,
  'acting': 'policy',
  'exploring': 'policy',
  'dreaming': 'trained',
  'environment.action_repeat': 2,
  'environment.size': 64,
  'store.capacity': 0,  # All are kept.
  'train.episodes': 5000,  # 5e6 steps
  'train.seed_episodes': 5,  # 5000 steps
  'train.updates': 100,  # every 1000 steps
  'train.first_updates': 0,  # "pretrain" is in place of the first of these.
  'train.batch': 50,
  'train.length': 50,
  'train.margin': 0.0,  # "dataset_balance" is off.
  'train.recency': 0.0,
  'train.overlap': False,
  'evaluate.every': 10,  # 1e4 steps
  'evaluate.episodes': 1,
  'evaluate.context': 5,  # of films, whose chunks have 50
  'evaluate.horizon': 45,
  'encoder.kind': 'convolutional',
  'encoder.bits': 8,
  'encoder.center': False,
  'encoder.channels': (32, 64, 128, 256),
  'encoder.kernel': 4,
  'encoder.padding': 'valid',
  'encoder.activation': 'relu',
  'encoder.initializer': 'glorot_uniform',
  'encoder.normalization': 'none',
  'encoder.precision': 'float32',  # Ours, here and below: the code has 16 bits.
  'dynamics.kind': 'rssm',
  'dynamics.latent': 'gaussian',
  'dynamics.recurrent': True,
  'dynamics.cell': 'gru',
  'dynamics.deter': 200,
  'dynamics.stoch': 30,
  'dynamics.hidden': 200,
  'dynamics.min_std': 0.1,
  'dynamics.activation': 'elu',
  'dynamics.initializer': 'glorot_uniform',
  'dynamics.fans': 'layer',
  'dynamics.precision': 'float32',
  'heads.image.kind': 'convolutional',
  'heads.image.start': 1,
  'heads.image.linear': 1024,
  'heads.image.channels': (128, 64, 32),
  'heads.image.activation': 'relu',
  'heads.image.initializer': 'glorot_uniform',
  'heads.image.normalization': 'none',
  'heads.image.precision': 'float32',
  'heads.image.scale': 1.0,
  'heads.image.share': 1.0,
  'heads.reward.kind': 'normal',
  'heads.reward.std': 1.0,
  'heads.reward.scale': 1.0,
  'heads.reward.relative': 0.0,
  'heads.reward.units': 400,
  'heads.reward.layers': 2,
  'heads.reward.activation': 'elu',
  'heads.reward.initializer': 'glorot_uniform',
  'heads.reward.normalization': 'none',
  'heads.reward.precision': 'float32',
  'heads.discount.kind': 'none',
  'heads.discount.scale': 5.0,  # Ours, as all of the head where it is on.
  'heads.discount.units': 64,
  'heads.discount.layers': 2,
  'heads.discount.activation': 'elu',
  'heads.discount.initializer': 'he_normal',
  'heads.discount.normalization': 'none',
  'heads.discount.precision': 'float32',
  'kl.scale': 1.0,
  'kl.free_nats': 3.0,
  'kl.free': 'mean',
  'kl.prior_scale': 1.0,
  'kl.posterior_scale': 1.0,
  'overshooting.steps': 0,
  'overshooting.kl': 0.0,
  'overshooting.reward': 0.0,
  'overshooting.image': 0.0,
  'optimizer.rate': 6e-4,
  'optimizer.epsilon': 1e-7,  # of Keras
  'optimizer.clip': 100.0,
  'optimizer.warmup': 0,
  'optimizer.average': 0.0,
  'learner.kind': 'actor_critic',
  'learner.horizon': 15,
  'learner.gamma': 0.99,
  'learner.lambda_': 0.95,
  'learner.starts': 0,
  'learner.gradient': 'pathwise',
  'learner.entropy': 0.0,
  'learner.normalize': 0.0,
  'learner.actor.kind': 'tanh_normal',
  'learner.actor.continuous': 'tanh_normal',
  'learner.actor.distributions.tanh_normal.mean_scale': 5.0,
  'learner.actor.distributions.tanh_normal.init_std': 5.0,
  'learner.actor.distributions.tanh_normal.min_std': 1e-4,
  'learner.actor.distributions.tanh_normal.mode_samples': 100,
  'learner.actor.units': 400,
  'learner.actor.layers': 4,
  'learner.actor.activation': 'elu',
  'learner.actor.initializer': 'glorot_uniform',
  'learner.actor.normalization': 'none',
  'learner.actor.precision': 'float32',
  'learner.actor.optimizer.rate': 8e-5,
  'learner.actor.optimizer.epsilon': 1e-7,
  'learner.actor.optimizer.clip': 100.0,
  'learner.actor.optimizer.warmup': 0,
  'learner.actor.optimizer.average': 0.0,
  'learner.critic.kind': 'normal',
  'learner.critic.std': 1.0,
  'learner.critic.units': 400,
  'learner.critic.layers': 3,
  'learner.critic.activation': 'elu',
  'learner.critic.initializer': 'glorot_uniform',
  'learner.critic.normalization': 'none',
  'learner.critic.precision': 'float32',
  'learner.critic.slow': 'none',
  'learner.critic.slow_every': 1,
  'learner.critic.optimizer.rate': 8e-5,
  'learner.critic.optimizer.epsilon': 1e-7,
  'learner.critic.optimizer.clip': 100.0,
  'learner.critic.optimizer.warmup': 0,
  'learner.critic.optimizer.average': 0.0,
  'exploration': 0.3,
  'exploration_color': 'white',
}
# danijar/dreamerv2: configs.yaml, defaults and dmc_vision; common/nets.py.
V2 = PAPER | {
  'train.episodes': 2000,  # The curves published end at 2e6 frames.
  'train.updates': 100,  # one every 5 steps, of 500
  'train.batch': 16,
  'encoder.channels': (48, 96, 192, 384),
  'encoder.activation': 'elu',
  'dynamics.latent': 'categorical',
  'dynamics.stoch': 32,
  'dynamics.unimix': 0.0,
  'dynamics.cell': 'layer_norm_gru',
  'heads.image.linear': 1536,
  'heads.image.channels': (192, 96, 48),
  'heads.image.activation': 'elu',
  'heads.reward.layers': 4,
  'kl.free_nats': 1.0,
  'kl.prior_scale': 0.8,
  'kl.posterior_scale': 0.2,
  'optimizer.rate': 3e-4,
  'optimizer.epsilon': 1e-5,
  'learner.entropy': 1e-4,
  'learner.actor.kind': 'truncated_normal',
  'learner.actor.continuous': 'truncated_normal',
  'learner.actor.optimizer.epsilon': 1e-5,
  'learner.critic.layers': 4,
  'learner.critic.slow': 'target',
  'learner.critic.slow_every': 100,
  'learner.critic.optimizer.epsilon': 1e-5,
  'exploration': 0.0,
}
# danijar/dreamerv3 of June 2023: configs.yaml, defaults and dmc_vision.
V3 = V2 | {
  'train.episodes': 1000,  # The curves published end at 1e6 frames.
  'train.updates': 250,  # 512 replayed steps for each agent_step
  'train.length': 64,
  'evaluate.every': 10,  # Ours: the code has the returns of training alone.
  'evaluate.horizon': 45,  # Ours: the code has 59, of chunks of 64.
  'encoder.channels': (32, 64, 128, 256),
  'encoder.padding': 'same',
  'encoder.activation': 'silu',
  'encoder.normalization': 'layer',
  'encoder.initializer': 'glorot_normal',
  'dynamics.deter': 512,
  'dynamics.hidden': 512,
  'dynamics.unimix': 0.01,
  'dynamics.activation': 'silu',
  'dynamics.initializer': 'glorot_normal',
  'heads.image.start': 4,
  'heads.image.linear': 0,
  'heads.image.channels': (256, 128, 64, 32),
  'heads.image.activation': 'silu',
  'heads.image.normalization': 'layer',
  'heads.image.initializer': 'glorot_normal',
  'heads.image.scale': 2.0,  # Half the squared error times 2.
  'heads.reward.kind': 'two_hot',
  'heads.reward.units': 512,
  'heads.reward.layers': 2,
  'heads.reward.activation': 'silu',
  'heads.reward.normalization': 'layer',
  'heads.reward.initializer': 'glorot_normal',
  'heads.discount.kind': 'bernoulli',  # And all of it is published.
  'heads.discount.scale': 1.0,
  'heads.discount.units': 512,
  'heads.discount.layers': 2,
  'heads.discount.activation': 'silu',
  'heads.discount.normalization': 'layer',
  'heads.discount.initializer': 'glorot_normal',
  'kl.free': 'side',
  'kl.prior_scale': 0.5,
  'kl.posterior_scale': 0.1,
  'optimizer.rate': 1e-4,
  'optimizer.epsilon': 1e-8,
  'optimizer.clip': 1000.0,
  'learner.gamma': 1.0 - 1.0 / 333.0,
  'learner.entropy': 3e-4,
  'learner.normalize': 1.0,
  'learner.actor.kind': 'bounded_normal',
  'learner.actor.continuous': 'bounded_normal',
  'learner.actor.units': 512,
  'learner.actor.layers': 2,
  'learner.actor.activation': 'silu',
  'learner.actor.normalization': 'layer',
  'learner.actor.initializer': 'glorot_normal',
  'learner.actor.optimizer.rate': 3e-5,
  'learner.critic.kind': 'two_hot',
  'learner.critic.units': 512,
  'learner.critic.layers': 2,
  'learner.critic.activation': 'silu',
  'learner.critic.normalization': 'layer',
  'learner.critic.initializer': 'glorot_normal',
  'learner.critic.slow': 'regularizer',
  'learner.critic.slow_every': 1,
  'learner.critic.slow_share': 0.02,
  'learner.critic.optimizer.rate': 3e-5,
}
PUBLISHED = {'paper': PAPER, 'v2': V2, 'v3': V3}
# Keys for which these systems have no value, beside those of a planner, which
# they have not either.
OURS = (
  *('preset', 'task', 'seed'),
  *('environment.camera', 'environment.quality', 'environment.step_limit'),
  *('environment.crop', 'environment.gray', 'environment.image'),
  *('environment.vectors', 'store.memory_mb'),
  *('train.env_steps', 'train.minutes', 'train.checkpoints'),
  'train.deterministic_ops',
  *('train.updates_total', 'train.heldout_share', 'evaluate.last_episodes'),
  *('encoder.nats', 'dynamics.members'),
)


@pytest.mark.parametrize('preset', PUBLISHED)
def test_a_preset_has_the_published_values(preset):
  # With what `auto` is for tasks of the suite, which do not end early.
  config = build.chosen(dreamer.get_config(preset), Spec(actions=6))
  found = config_checks.flatten(config.to_dict())
  golden = PUBLISHED[preset]
  assert {key: found[key] for key in golden} == golden


@pytest.mark.parametrize('preset', PUBLISHED)
def test_every_key_has_a_published_value_or_cannot_have_one(preset):
  """So that a new key says which of them it is."""
  found = config_checks.flatten(dreamer.get_config(preset).to_dict())
  left = {key for key in found if not key.startswith('planner.')}
  assert sorted(left - PUBLISHED[preset].keys()) == sorted(OURS)


@pytest.mark.parametrize('preset,each', [('paper', 100), ('v3', 250)])
def test_updates_before_each_episode(preset, each):
  config = dreamer.get_config(preset)
  schedule = Schedule(config.train, config.evaluate)
  first = config.train.seed_episodes
  # How many in all, when the episode has been learned for and is collected.
  found = [schedule.updates_before(first + more) for more in (1, 2, 3)]
  assert found == [each, 2 * each, 3 * each]
