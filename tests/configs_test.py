"""Every file in configs/ is under these tests as soon as it exists."""

import ast
import collections
import functools
import importlib
import inspect
import json
import pathlib
import pkgutil
import textwrap

import keras
import ml_collections
import pytest
import tensorflow as tf

from worldmodels import configs
from worldmodels import kinds
from worldmodels import latents
from worldmodels import losses
from worldmodels import nets
from worldmodels import trajectories
from worldmodels.agents import critic
from worldmodels.agents import dreamer
from worldmodels.agents.actor import Actor
from worldmodels.agents.critic import Critic
from worldmodels.agents.curiosity import Ensemble
from worldmodels.agents.learners import actor_critic
from worldmodels.agents.optimizers import Optimizer
from worldmodels.agents.planner import Planner
from worldmodels.agents.runs import build
from worldmodels.agents.runs import config_checks
from worldmodels.agents.runs import config_keys
from worldmodels.agents.runs import ranges
from worldmodels.agents.soft_actor_critic import SoftActorCritic
from worldmodels.data import rendering
from worldmodels.encoder import Encoder
from worldmodels.spec import Spec

ROOT = pathlib.Path(__file__).parent.parent
CONFIGS = {
  module.name: importlib.import_module(f'{configs.__name__}.{module.name}')
  for module in pkgutil.iter_modules(configs.__path__)
}
PRESETS = [
  pytest.param(name, preset, id=f'{name}:{preset}')
  for name, config in CONFIGS.items()
  for preset in config.PRESETS
]


def config_of(name, preset):
  return CONFIGS[name].get_config(preset)


def leaves(config):
  return config_checks.flatten(config.to_dict())


# -------------------------------------------------------------- every one ----


@pytest.mark.parametrize(
  'name,more',
  [
    ('planet', set()),
    ('dreamer', {'v2', 'v3', 'v2_small', 'v3_small'}),
    ('model_free', set()),
  ],
)
def test_they_have_their_presets(name, more):
  presets = CONFIGS[name].PRESETS
  more = more | ({'paper'} if name != 'model_free' else set())
  assert {'cpu', 'small', 'debug'} | more == presets.keys()


@pytest.mark.parametrize('name', CONFIGS)
def test_an_unknown_preset_is_named(name):
  with pytest.raises(ValueError, match=r"no preset 'papre'.*there are .*debug"):
    config_of(name, 'papre')


@pytest.mark.parametrize('name,preset', PRESETS)
def test_it_loads_is_its_own_and_can_be_written(name, preset):
  config = config_of(name, preset)
  # A file that is not called like its agent says which file it is.
  own = config.agent.kind == name
  assert config.preset == (preset if own else f'{name}:{preset}')
  config_checks.check(config)
  before = config.to_json()
  # A preset that is changed changes no other.
  config.train.batch += 1
  config.optimizer.rate *= 2
  assert config_of(name, preset).to_json() == before
  # What config.json holds is the config again.
  again = ml_collections.ConfigDict(json.loads(before))
  for key, value in leaves(config_of(name, preset)).items():
    stored = leaves(again)[key]
    assert stored == (list(value) if isinstance(value, tuple) else value), key
  # Flags set keys of the type that is there, and no others.
  config.lock()
  with pytest.raises(AttributeError):
    config.train.bacth = 3
  with pytest.raises(TypeError):
    config.train.batch = 'three'


@pytest.mark.parametrize('name,preset', PRESETS)
def test_an_agent_is_made_of_it(name, preset):
  agent = build.agent(
    config_of(name, preset), Spec(actions=2, vectors={'speed': 3})
  )
  assert agent.initial(3)['action'].shape == [3, 2]


# --------------------------------------------------------------- comments ----


def commented(source):
  """Yields (key, whether a comment is beside it) of each place it is set."""
  for key, _, comment in config_keys.places(source):
    yield key, bool(comment)


@functools.cache
def all_commented():
  """{key: whether there is a comment on it in any of the files}."""
  found = {}
  for config in CONFIGS.values():  # One may start from another.
    for key, beside in commented(inspect.getsource(config)):
      found[key] = found.get(key, False) or beside
  return found


@pytest.mark.parametrize('name', CONFIGS)
def test_every_key_has_a_comment(name):
  found = all_commented()
  lacking = {
    key
    for preset in CONFIGS[name].PRESETS
    for key in leaves(config_of(name, preset))
    if not found.get(key)
  }
  assert sorted(lacking) == []


def test_a_key_without_a_comment_is_found():
  source = """
config.task = 'a'  # Which.
config.seed = 0
config.train = config_dict.create(
    batch=3,  # Chunks.
    length=4,
    head=dict(kind='b', scale=1.0),
)
config.dynamics.update(
    deter=3,  # Units.
    stoch=4)
"""
  assert dict(commented(source)) == {
    'task': True,
    'seed': False,
    'train.batch': True,
    'train.length': False,
    'train.head.kind': False,
    'train.head.scale': False,
    'dynamics.deter': True,
    'dynamics.stoch': False,
  }


# ------------------------------------------------------- types and ranges ----

# Text that no list of choices could hold.
FREE = ('task', 'camera', 'preset')


@pytest.mark.parametrize('name,preset', PRESETS)
def test_every_key_has_a_type_and_a_range(name, preset):
  """A number an interval, a word choices, a tuple that of its parts."""
  keys = config_keys.of_package()
  lacking = []
  for path, value in leaves(config_of(name, preset)).items():
    key = keys.get(path)
    free = type(value) is bool or path.split('.')[-1] in (*FREE, 'vectors')
    right = (
      ranges.Choices
      if isinstance(value, str)
      else (ranges.Interval, ranges.Choices)
    )
    if key is None or key.type is None or key.problem(value):
      lacking.append(path)
    elif not free and not isinstance(key.range, right):
      lacking.append(path)
  assert lacking == []


def test_a_range_is_stated_once():
  """Two of them would come to differ."""
  stated = collections.Counter(
    key
    for config in CONFIGS.values()
    for key, _, comment in config_keys.places(inspect.getsource(config))
    if config_keys.read(f'config.x = 0  # {comment}')['x'].range
  )
  assert [key for key, count in stated.items() if count > 1] == []
  there = {
    key for name, preset in both() for key in leaves(config_of(name, preset))
  }
  assert stated.keys() <= there


def both():
  return [param.values for param in PRESETS]


def test_choices_are_those_of_the_code():
  keys = config_keys.of_package()
  for key, choices in {
    'dynamics.latent': latents.LATENTS,
    'encoder.normalization': nets.NORMALIZATIONS,
    'environment.quality': tuple(rendering.QUALITIES),
    'kl.free': losses.FREE_FORMS,
    'planner.propagation': trajectories.PROPAGATIONS,
    'planner.risk': trajectories.RISKS,
    'acting': dreamer.ACTING,
    'exploring': dreamer.EXPLORING,
    'dreaming': dreamer.DREAMING,
    'learner.gradient': actor_critic.GRADIENTS,
    'learner.critic.slow': critic.SLOW,
    'dynamics.cell': tuple(nets._CELLS),
  }.items():
    assert keys[key].range == ranges.Choices(choices), key


@pytest.mark.parametrize('name', ranges.KERAS['activations'])
def test_keras_has_each_activation(name):
  found = keras.activations.get(name)(tf.constant([[-1.0, 2.0]]))
  assert found.shape == (1, 2)


@pytest.mark.parametrize('name', ranges.KERAS['initializers'])
def test_keras_has_each_initializer(name):
  assert keras.initializers.get(name)((3, 2)).shape == (3, 2)


# -------------------------------------------------------------- dead keys ----

# Kinds of heads for one number. A group has the options of all of them, so that
# its kind can be changed by itself; of one that is turned off, those of the
# kind that it can be turned on with.
NUMBERS = ('normal', 'symlog', 'two_hot')


def unused(function):
  """Parameters that a function, or a class of its own, makes no use of."""
  tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
  loaded, kept = set(), {}
  for node in ast.walk(tree):
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.Name):
      if isinstance(node.targets[0], ast.Attribute):
        # self._x = x is no use of x; that of self._x is.
        kept[id(node.value)] = (node.value.id, node.targets[0].attr)
  for node in ast.walk(tree):
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
      if id(node) not in kept:
        loaded.add(node.id)
    elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
      loaded |= {
        name for name, attribute in kept.values() if attribute == node.attr
      }
  return set(parameters_of(function)) - loaded


def parameters_of(function):
  if inspect.isclass(function):
    function = function.__init__
  return inspect.signature(function).parameters


def taken(function, group):
  """The keys of a group that a kind, or its bases, names and makes use of."""
  names = set(kinds.named(function, group))
  for owner in getattr(function, '__mro__', [function]):
    if owner.__module__.partition('.')[0] not in ('keras', 'builtins'):
      if not inspect.isclass(owner) or '__init__' in vars(owner):
        names -= unused(owner)
  return names


def part(config, key):
  """The group of a config that a key such as `learner.actor` names."""
  return functools.reduce(
    lambda group, name: group[name], key.split('.'), config
  )


def component_keys(config):
  """The keys of the config that something an agent is made of takes."""
  # With all that `auto` may stand for, but for the other kind of actions.
  config = build.chosen(config, Spec(actions=1), ends_early=True)
  found = set()

  def give(key, *functions, others=()):
    for function in functions:
      found.update(
        f'{key}.{name}' for name in taken(function, part(config, key))
      )
    found.update(f'{key}.{name}' for name in others)

  def kind_of(key, package, member):
    found.add(f'{key}.kind')
    kind = part(config, key).kind
    return kinds.find(package, kind, member)

  def heads_of(key, kind):
    found.add(f'{key}.kind')
    alike = NUMBERS if kind in NUMBERS else (kind,)
    return [kinds.find('worldmodels.heads', each, 'Head') for each in alike]

  # The world model; world_model_test shows the effect of what it takes itself.
  give(
    'encoder',
    Encoder,
    kind_of('encoder', 'worldmodels.encoders', 'ImageEncoder'),
  )
  if 'dynamics' in config:
    # Of dynamics, those of all: the kind can be changed by itself.
    package = 'worldmodels.dynamics'
    kind_of('dynamics', package, 'Dynamics')
    for kind in kinds.names(package, 'Dynamics'):
      give('dynamics', kinds.find(package, kind, 'Dynamics'))
    for key, head in config.heads.items():
      kind = 'bernoulli' if head.kind == 'none' else head.kind
      others = ('scale', 'share') if key == 'image' else ('scale', 'relative')
      give(f'heads.{key}', *heads_of(f'heads.{key}', kind), others=others)
    give('kl', losses.kl_loss, others=('scale',))
    give('overshooting', others=('steps', 'kl', 'reward', 'image'))
  # The agent.
  give('optimizer', Optimizer)
  # Of planners too, those of all.
  if 'planner' in config:
    package = 'worldmodels.agents.planners'
    kind_of('planner', package, 'plan')
    names = kinds.names(package, 'plan')
    plans = [kinds.find(package, x, 'plan') for x in names]
    give('planner', Planner, *plans)
  if 'curiosity' in config:
    give('curiosity', Ensemble)
    give('curiosity.optimizer', Optimizer)
  if 'learner' in config:
    actor, critic = 'learner.actor', 'learner.critic'
    heads = heads_of(critic, config.learner.critic.kind)
    if 'kind' in config.learner:
      package = 'worldmodels.agents.learners'
      give('learner', kind_of('learner', package, 'Learner'))
      give(critic, Critic, *heads)
    else:  # Of an agent without a model.
      give('learner', SoftActorCritic)
      give(critic, *heads, others=('slow_share',))
    give(actor, Actor)
    package = 'worldmodels.agents.action_distributions'
    found.add(f'{actor}.kind')
    for kind in config.learner.actor.distributions:
      made = kinds.find(package, kind, 'Distribution')
      give(f'{actor}.distributions.{kind}', made)
    for group in (actor, critic):
      if 'optimizer' in part(config, group):
        give(f'{group}.optimizer', Optimizer)
  agent = kind_of('agent', 'worldmodels.agents', 'Agent')
  give('agent', agent)
  return found | taken(agent, config)


def reads(source):
  """The keys that a program reads from its config."""
  found = set()
  for function in ast.walk(ast.parse(source)):
    if not isinstance(function, ast.FunctionDef):
      continue
    short = {}  # train = self.config.train
    for node in ast.walk(function):
      if isinstance(node, ast.Assign):
        targets, values = node.targets, [node.value]
        if isinstance(targets[0], ast.Tuple) and isinstance(
          node.value, ast.Tuple
        ):
          targets, values = targets[0].elts, node.value.elts
        for target, value in zip(targets, values):
          _, is_config, key = ast.unparse(value).rpartition('config.')
          if isinstance(target, ast.Name) and is_config:
            short[target.id] = key
    for node in ast.walk(function):
      if isinstance(node, ast.Attribute):
        text = ast.unparse(node)
        first, _, rest = text.partition('.')
        if first in short:
          text = f'config.{short[first]}.{rest}'
        # Or a class keeps a group as an attribute: self.train.batch.
        found.add(text.rpartition('config.')[2].removeprefix('self.'))
  return found


@functools.cache
def program_keys():
  """The keys that programs read, but for those that only check them."""
  sources = [
    path
    for folder in ('runs', 'programs')
    for path in (ROOT / 'agents' / folder).glob('*.py')
    if path.stem != 'config_checks'
  ]
  return set().union(*(reads(path.read_text()) for path in sources))


@pytest.mark.parametrize('name,preset', PRESETS)
def test_no_key_is_dead(name, preset):
  config = config_of(name, preset)
  alive = component_keys(config) | program_keys()
  assert sorted(leaves(config).keys() - alive) == []


@pytest.mark.parametrize(
  'key',
  [
    *('train.bacth', 'encoder.start', 'dynamics.clases', 'heads.reward.scales'),
    *('heads.image.bins', 'kl.nats', 'planner.width', 'sample'),
    *('learner.gama', 'learner.actor.min_std', 'learner.critic.points'),
    *('learner.actor.optimizer.units', 'overshooting.length', 'agent.size'),
  ],
)
def test_a_key_that_nothing_takes_is_found(key):
  config = config_of('dreamer', 'cpu')
  group, _, name = key.rpartition('.')
  (part(config, group) if group else config)[name] = 1
  assert key in leaves(config)
  assert key not in component_keys(config) | program_keys()


class Base:
  """What takes keys, and does nothing with some of them."""

  def __init__(self, *, deep, idle):
    print(deep)


class Part(Base):
  """What takes further ones."""

  def __init__(self, *, used, kept, forgotten, ignored, **kwargs):
    super().__init__(**kwargs)
    self._kept = kept
    self._forgotten = forgotten
    print(used)

  def call(self):
    return self._kept


def test_a_key_that_is_taken_and_not_used_is_found():
  names = ('used', 'kept', 'forgotten', 'ignored', 'deep', 'idle', 'other')
  assert taken(Part, dict.fromkeys(names, 1)) == {'used', 'kept', 'deep'}


def test_a_key_that_a_program_reads_is_found():
  source = """
def run(self, config):
  train, every = self.config.train, config.evaluate.every
  print(train.batch, self.config.store.capacity, self.evaluate.episodes)
"""
  found = reads(source)
  assert {'train.batch', 'store.capacity', 'evaluate.every'} <= found
  assert 'evaluate.episodes' in found and 'train.length' not in found


# ------------------------------------------------------------------ paper ----

# PlaNet's code (google-research/planet), file and line where it is not obvious.
PAPER = {
  'environment.action_repeat': 0,  # Its own table: tasks.py.
  'environment.size': 64,
  'environment.quality': 'exact',
  'encoder.kind': 'convolutional',
  'encoder.bits': 5,  # preprocess.py:22-30
  'encoder.channels': (32, 64, 128, 256),  # conv_ha.py:26-38
  'encoder.kernel': 4,
  'encoder.padding': 'valid',
  'encoder.activation': 'relu',
  'encoder.center': False,
  'heads.image.start': 1,  # conv_ha.py:41-54
  'heads.image.linear': 1024,
  'heads.image.channels': (128, 64, 32),
  'heads.image.activation': 'relu',
  'heads.image.scale': 1.0,
  'heads.image.share': 1.0,
  'dynamics.kind': 'rssm',
  'dynamics.latent': 'gaussian',
  'dynamics.recurrent': True,
  'dynamics.cell': 'gru',  # GRUBlockCell
  'dynamics.deter': 200,  # configs.py:121
  'dynamics.hidden': 200,
  'dynamics.stoch': 30,
  'dynamics.min_std': 0.1,  # configs.py:135
  'dynamics.activation': 'relu',
  'dynamics.fans': 'layer',
  'heads.reward.units': 300,  # configs.py:110-111; paper: 200
  'heads.reward.layers': 3,  # paper: 2
  'heads.reward.std': 1.0,
  'heads.reward.activation': 'relu',
  'heads.reward.scale': 10.0,  # configs.py:186; paper: 1
  'heads.reward.normalization': 'none',
  'optimizer.rate': 1e-3,  # configs.py:193-198
  'optimizer.epsilon': 1e-4,
  'optimizer.clip': 1000.0,
  'optimizer.warmup': 0,
  'train.batch': 50,  # configs.py:81
  'train.length': 50,
  'train.seed_episodes': 5,
  'train.updates': 100,  # collect_every 5000, in samples: configs.py:252-253
  'train.first_updates': 0,
  'train.overlap': False,
  'evaluate.episodes': 1,  # per 1000 updates, which are 10 episodes
  'evaluate.every': 10,
  'kl.scale': 1.0,  # configs.py:182
  'kl.free_nats': 3.0,  # configs.py:189
  'kl.free': 'step',
  'kl.prior_scale': 1.0,
  'kl.posterior_scale': 1.0,
  'overshooting.steps': 0,
  'overshooting.kl': 0.0,
  'overshooting.reward': 0.0,
  'planner.kind': 'cem',  # cem, where actions are continuous
  'planner.horizon': 12,  # configs.py:250,293-295
  'planner.iterations': 10,
  'planner.candidates': 1000,
  'planner.elites': 100,
  'planner.spread': 1.0,
  'planner.min_std': 0.0,
  'planner.sample': True,
  'agent.sample_states': True,
  'exploration': 0.3,  # mpc_agent.py:72-77
}


def test_paper_has_the_figures_of_planets_code():
  config = build.chosen(config_of('planet', 'paper'), Spec(actions=6))
  found = leaves(config)
  assert {key: found[key] for key in PAPER} == PAPER


def test_paper_has_the_networks_of_planets_code():
  config = config_of('planet', 'paper')
  model = build.agent(config, Spec(actions=6)).model
  shapes = {x.path: tuple(x.shape) for x in model.variables}
  kernels = {
    path.removesuffix('/kernel'): shape
    for path, shape in shapes.items()
    if path.endswith('/kernel')
  }
  assert model.encoder.embed == 1024
  assert model.features_size == 230
  assert kernels == {
    'encoder/conv0': (4, 4, 3, 32),
    'encoder/conv1': (4, 4, 32, 64),
    'encoder/conv2': (4, 4, 64, 128),
    'encoder/conv3': (4, 4, 128, 256),
    # One layer over the sample and the action: rssm.py:98-113.
    'dynamics/from_stoch': (30, 200),
    'dynamics/from_action': (6, 200),
    'dynamics/gates': (400, 400),
    'dynamics/candidate': (400, 200),
    'dynamics/prior_hidden': (200, 200),
    'dynamics/prior_out': (200, 60),
    # One layer over the memory and the embedding.
    'dynamics/from_deter': (200, 200),
    'dynamics/from_embed': (1024, 200),
    'dynamics/posterior_out': (200, 60),
    'image/linear': (230, 1024),
    'image/map': (1024, 5 * 5 * 128),  # Kernel 5 on a map of 1x1.
    'image/deconv0': (5, 5, 64, 128),
    'image/deconv1': (6, 6, 32, 64),
    'image/deconv2': (6, 6, 3, 32),
    'reward/dense0': (230, 300),
    'reward/dense1': (300, 300),
    'reward/dense2': (300, 300),
    'reward/out': (300, 1),
  }
