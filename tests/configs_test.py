"""Every file in configs/ is under these tests as soon as it exists."""

import ast
import functools
import importlib
import inspect
import io
import json
import pathlib
import runpy
import textwrap
import tokenize

import ml_collections
import pytest

from agents import action_distributions
from agents import actor
from agents import actor_critic
from agents import optimizer
from agents import planning
from agents.run import build
from agents.run import run_directory
from worldmodels import encoder
from worldmodels import heads
from worldmodels import losses
from worldmodels import rssm

ROOT = pathlib.Path(__file__).parent.parent
FILES = sorted((ROOT / 'configs').glob('*.py'))


@functools.cache
def read(path):
  return runpy.run_path(str(path))


PRESETS = [
  pytest.param(path, preset, id=f'{path.stem}:{preset}')
  for path in FILES
  for preset in read(path)['PRESETS']
]


def config_of(path, preset):
  return read(path)['get_config'](preset)


def leaves(config):
  return run_directory.flatten(config.to_dict())


# -------------------------------------------------------------- every one ----


@pytest.mark.parametrize(
  'name,more',
  [
    ('planet', set()),
    ('dreamer', {'v2', 'v3', 'v2_small', 'v3_small'}),
  ],
)
def test_they_have_their_presets(name, more):
  presets = read(ROOT / f'configs/{name}.py')['PRESETS']
  assert {'paper', 'cpu', 'small', 'debug'} | more == presets.keys()


@pytest.mark.parametrize('path', FILES, ids=lambda path: path.stem)
def test_an_unknown_preset_is_named(path):
  with pytest.raises(ValueError, match=r"no preset 'papre'.*there are .*debug"):
    config_of(path, 'papre')


@pytest.mark.parametrize('path,preset', PRESETS)
def test_it_loads_is_its_own_and_can_be_written(path, preset):
  config = config_of(path, preset)
  assert config.preset == preset
  build.check(config)
  before = config.to_json()
  # A preset that is changed changes no other.
  config.train.batch += 1
  config.rssm.deter += 1
  assert config_of(path, preset).to_json() == before
  # What config.json holds is the config again.
  again = ml_collections.ConfigDict(json.loads(before))
  for key, value in leaves(config_of(path, preset)).items():
    stored = leaves(again)[key]
    assert stored == (list(value) if isinstance(value, tuple) else value), key
  # Flags set keys of the type that is there, and no others.
  config.lock()
  with pytest.raises(AttributeError):
    config.train.bacth = 3
  with pytest.raises(TypeError):
    config.train.batch = 'three'


@pytest.mark.parametrize('path,preset', PRESETS)
def test_an_agent_is_made_of_it(path, preset):
  agent = build.agent_for(config_of(path, preset), 2, {'speed': 3})
  assert agent.initial(3)['action'].shape == [3, 2]


# --------------------------------------------------------------- comments ----


def commented(source):
  """{key: whether a comment stands beside it} of each place it is set at."""
  lines = {
    token.start[0]
    for token in tokenize.generate_tokens(io.StringIO(source).readline)
    if token.type == tokenize.COMMENT
  }

  def within(key, node):
    if isinstance(node, ast.Call):  # dict(...) or ConfigDict(dict(...))
      for argument in node.args:
        yield from within(key, argument)
      for word in node.keywords:
        yield from within(f'{key}.{word.arg}', word.value)
    else:
      yield key, bool({node.lineno, node.end_lineno} & lines)

  for node in ast.walk(ast.parse(source)):
    if isinstance(node, ast.Assign):
      target, _, key = ast.unparse(node.targets[0]).partition('.')
      if target == 'config' and key:
        yield from within(key, node.value)
    elif isinstance(node, ast.Call):  # config.KEY.update(...)
      target, _, key = ast.unparse(node.func).partition('.')
      group, _, update = key.rpartition('.')
      if target == 'config' and update == 'update':
        yield from within(group, node)


@functools.cache
def all_commented():
  """{key: whether there is a comment on it in any of the files}."""
  found = {}
  for path in FILES:  # One may start from another.
    for key, beside in commented(path.read_text()):
      found[key] = found.get(key, False) or beside
  return found


@pytest.mark.parametrize('path', FILES, ids=lambda path: path.stem)
def test_every_key_has_a_comment(path):
  found = all_commented()
  lacking = {
    key
    for preset in read(path)['PRESETS']
    for key in leaves(config_of(path, preset))
    if not found.get(key)
  }
  assert sorted(lacking) == []


def test_a_key_without_a_comment_is_found():
  source = """
config.task = 'a'  # Which.
config.seed = 0
config.train = ml_collections.ConfigDict(dict(
    batch=3,  # Chunks.
    length=4,
    head=dict(kind='b', scale=1.0),
))
config.rssm.update(
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
    'rssm.deter': True,
    'rssm.stoch': False,
  }


# -------------------------------------------------------------- dead keys ----


def unused(function):
  """Keyword parameters that a function, or its class, makes no use of."""
  owner = function
  if inspect.isclass(function):
    function = function.__init__
  tree = ast.parse(textwrap.dedent(inspect.getsource(owner)))
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
  parameters = inspect.signature(function).parameters.values()
  names = {x.name for x in parameters if x.kind == x.KEYWORD_ONLY}
  return names, names - loaded


def component_keys(config):
  """{key: the function that it goes to} of what an agent is made of."""
  found = {}

  def give(group, function, *others):
    names, dead = unused(function)
    for name in (names - dead) | set(others):
      found[f'{group}.{name}'] = function

  give('encoder', encoder.Encoder)
  give('encoder', encoder.IMAGE_ENCODERS[config.encoder.image])
  give('rssm', rssm.RSSM)
  for key, head in config.heads.items():
    # What the world model takes of a head: world_model_test shows its effect.
    others = ('kind', 'scale', 'share') if key == 'image' else ('kind', 'scale')
    # What is turned off has the keys of the kind it can be turned on with.
    kind = 'bernoulli' if head.kind == 'none' else head.kind
    give(f'heads.{key}', heads.HEADS[kind], *others, *other_kinds(head))
  give('kl', losses.kl_loss, 'scale')
  give('optimizer', optimizer.Optimizer)
  give('planner', planning.load(config.planner.name).plan)
  give('planner', planning.Planning)
  if 'actor' in config:
    give_behaviour(config, give)
  module = importlib.import_module(f'agents.{config.agent}')
  names, dead = unused(module.Agent)
  return found | dict.fromkeys(names - dead, module.Agent)


def other_kinds(head):
  """Options of the kinds of number that this head could be by its name."""
  if head.kind not in ('normal', 'symlog', 'two_hot'):
    return ()
  return ('std', 'bins', 'limit')


def give_behaviour(config, give):
  """What an actor-critic is made of."""
  give('actor', actor.Actor)
  for name, (kind, _) in action_distributions.KINDS.items():
    give(f'actor.distributions.{name}', kind)
  # What ActorCritic takes of the critic's group before the head gets the rest.
  slow = {'slow', 'slow_every', 'slow_share'}
  text = inspect.getsource(actor_critic)
  assert all(f"'{name}'" in text for name in slow)
  give('critic', heads.HEADS[config.critic.kind], 'kind', *slow)
  give('critic', heads.HEADS['normal'], *other_kinds(config.critic))
  for group in ('actor', 'critic'):
    give(f'{group}.optimizer', optimizer.Optimizer)
  give('behaviour', actor_critic.ActorCritic)


def reads(source):
  """Keys that a program reads from its config, `check` apart."""
  found = set()
  for function in ast.walk(ast.parse(source)):
    if not isinstance(function, ast.FunctionDef) or function.name == 'check':
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
        found.add(text.rpartition('config.')[2])
  return found


@functools.cache
def program_keys():
  sources = (ROOT / 'agents/run').glob('*.py')
  return set().union(*(reads(path.read_text()) for path in sources))


@pytest.mark.parametrize('path,preset', PRESETS)
def test_no_key_is_dead(path, preset):
  config = config_of(path, preset)
  alive = component_keys(config).keys() | program_keys()
  # Each of these terms is there or not: world_model_test shows their effect.
  alive |= {f'overshooting.{x}' for x in ('steps', 'kl', 'reward', 'image')}
  assert sorted(leaves(config).keys() - alive) == []


def test_a_dead_key_is_found():
  class Part:
    def __init__(self, *, used, kept, forgotten, ignored):
      self._kept = kept
      self._forgotten = forgotten
      print(used)

    def call(self):
      return self._kept

  names, dead = unused(Part)
  assert names == {'used', 'kept', 'forgotten', 'ignored'}
  assert dead == {'forgotten', 'ignored'}
  source = """
def run(self, config):
  train, every = self.config.train, config.evaluate.every
  print(train.batch, self.config.store.capacity)
def check(config):
  print(config.train.length)
"""
  found = reads(source)
  assert {'train.batch', 'store.capacity', 'evaluate.every'} <= found
  assert 'train.length' not in found


# ------------------------------------------------------------------ paper ----

# PlaNet's code (google-research/planet), file and line where it is not obvious.
PAPER = {
  'environment.action_repeat': 0,  # Its own table: tasks.py.
  'environment.size': 64,
  'environment.quality': 'exact',
  'encoder.image': 'convolutional',
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
  'rssm.kind': 'recurrent',
  'rssm.cell': 'gru',  # GRUBlockCell
  'rssm.deter': 200,  # configs.py:121
  'rssm.hidden': 200,
  'rssm.stoch': 30,
  'rssm.min_std': 0.1,  # configs.py:135
  'rssm.activation': 'relu',
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
  'planner.name': 'cem',
  'planner.horizon': 12,  # configs.py:250,293-295
  'planner.iterations': 10,
  'planner.candidates': 1000,
  'planner.elites': 100,
  'planner.spread': 1.0,
  'planner.min_std': 0.0,
  'planner.sample': True,
  'exploration': 0.3,  # mpc_agent.py:72-77
}


def test_paper_has_the_figures_of_planets_code():
  found = leaves(config_of(ROOT / 'configs/planet.py', 'paper'))
  assert {key: found[key] for key in PAPER} == PAPER


def test_paper_has_the_networks_of_planets_code():
  config = config_of(ROOT / 'configs/planet.py', 'paper')
  model = build.agent_for(config, 6, {}).model
  shapes = {x.path: tuple(x.shape) for x in model.variables}
  kernels = {
    path.removesuffix('/kernel'): shape
    for path, shape in shapes.items()
    if path.endswith('/kernel')
  }
  assert model.encoder.embed == 1024
  assert model.rssm.size == 230
  assert kernels == {
    'encoder/conv0': (4, 4, 3, 32),
    'encoder/conv1': (4, 4, 32, 64),
    'encoder/conv2': (4, 4, 64, 128),
    'encoder/conv3': (4, 4, 128, 256),
    # One layer over the sample and the action: rssm.py:98-113.
    'rssm/from_stoch': (30, 200),
    'rssm/from_action': (6, 200),
    'rssm/gates': (400, 400),
    'rssm/candidate': (400, 200),
    'rssm/prior_hidden': (200, 200),
    'rssm/prior_out': (200, 60),
    # One layer over the memory and the embedding.
    'rssm/from_deter': (200, 200),
    'rssm/from_embed': (1024, 200),
    'rssm/posterior_out': (200, 60),
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
