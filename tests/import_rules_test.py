"""Holds imports, names and layers to the house rules, by reading the code.

Every rule is shown to hold here, and to fail on a small repository into which
a violation was planted.
"""

import ast
import re
import sys
import types

import pytest
import reading_sources as reading
from small_house import SMALL
from small_house import add
from small_house import swap

# The parts of the house, the longest beginning of a path first, and which of
# them each may import besides itself. Tests see everything.
PARTS = {
  'agents/run/': 'old commands',
  'data/check/': 'old commands',
  'agents/programs/': 'programs',
  'worldmodels/__main__.py': 'programs',
  'agents/benchmark/': 'benchmark',
  'agents/cluster/': 'cluster',
  'agents/play/': 'play',
  'agents/reports/': 'reports',
  'agents/sweeps/': 'sweeps',
  'agents/runs/': 'runs',
  'agents/': 'agents',
  'configs/': 'configs',
  'data/': 'data',
  'worldmodels/__init__.py': 'errors',
  'worldmodels/checkout.py': 'errors',
  'worldmodels/errors.py': 'errors',
  'worldmodels/kinds.py': 'errors',
  'worldmodels/spec.py': 'errors',
  'worldmodels/users.py': 'errors',
  'worldmodels/': 'model',
}
_RUNS = {'errors', 'model', 'agents', 'data'}
MAY_IMPORT = {
  'errors': set(),
  'data': {'errors'},
  'model': {'errors'},
  'agents': {'errors', 'model'},
  'runs': _RUNS,
  'benchmark': {*_RUNS, 'runs', 'cluster'},
  'cluster': {*_RUNS, 'runs', 'reports', 'sweeps'},
  'play': {*_RUNS, 'runs'},
  'reports': {*_RUNS, 'runs'},
  'sweeps': {*_RUNS, 'runs', 'reports'},
  'programs': {
    *(*_RUNS, 'runs', 'benchmark', 'cluster', 'configs', 'play', 'reports'),
    'sweeps',
  },
  'configs': set(),
  'old commands': {'programs'},
}

# Tests of the model's inside: of one kind of dynamics, and of its numbers.
BEHIND_THE_SEAM = {
  f'tests/{name}_test.py'
  for name in (
    *('golden', 'latent_dynamics', 'latent_overshooting', 'latents', 'nets'),
    *('rssm', 'states', 'world_model'),
  )
}
SEAM = {'rssm', 'deter'}
# A group that configs had once was called as a kind is now.
OLD_GROUP = 'agents/runs/stored_config.py'
# What tries or times the parts of a model one by one.
OF_PARTS = {'agents/benchmark/model.py', 'agents/runs/trial.py'}
# Run with `python -m`, each in a process of its own.
PROGRAMS = {
  'worldmodels/__main__.py',
  'agents/programs/bound.py',
  'data/graphics.py',
  'data/worker_main.py',
}

TENSORFLOW = {
  *('tensorflow', 'tensorflow_probability', 'tensorboard'),
  *('keras', 'tf_keras'),
}

RULES = reading.Rules()


def part_of(path):
  """The part of the house that a file is in, or None."""
  return next((x for start, x in PARTS.items() if path.startswith(start)), None)


# ---------------------------------------------------------------- imports ----


@RULES.add(
  add('agents/planet.py', 'import agents.planners'),
  add('agents/planet.py', 'from agents import planners'),
  add('agents/planet.py', 'from agents.planners import cem'),
  add('agents/planet.py', 'from . import planners'),
  add('agents/planet.py', 'from .planners import cem'),
  add('data/rows.py', 'import data.tasks'),
  add('data/rows.py', 'def f():\n  from data import tasks'),
  add('data/rows.py', 'from ... import agents'),
  add('data/rows.py', "import_module('.tasks', __package__)"),
  add('data/rows.py', "import_module(f'.{x}', __name__)"),
  add('data/rows.py', "import_module('data.tasks')"),
  add('data/rows.py', "importlib.import_module(f'data.tasks.{name}')"),
  add('data/rows.py', "RUN = ['-m', 'data.tasks.hill']"),
  add('configs/dreamer.py', 'import configs.planet'),
  add('tests/rssm_test.py', 'from configs import planet'),
  add('tests/rssm_test.py', "FILE = 'agents.planners'"),
  fine=(
    add('agents/planet.py', 'from worldmodels.agents.planners import cem'),
    add('data/rows.py', "LOG = 'see data.tasks.hill'"),
    add('data/rows.py', "KEY = 'data.size'"),
    add('data/rows.py', "import_module(f'{__package__}.{name}')"),
    add('tests/rssm_test.py', "OLD = ['-m', 'agents.run.train']"),
  ),
)
def one_name(files):
  """What is ours is worldmodels..., absolute: no module has two names."""
  bad = []
  for path, tree in reading.python(files, *reading.ALL):
    if path in reading.OF_RULES:
      continue
    for found in reading.imports(tree):
      if found.level:
        bad.append(f'{path}:{found.line}: a relative import')
      elif found.module.split('.')[0] in reading.BESIDE:
        bad.append(f'{path}:{found.line}: {found.full}, not worldmodels...')
    for node in reading.strings(tree):
      name = node.value.rstrip('.')
      if not re.fullmatch(rf'({"|".join(reading.BESIDE)})(\.\w+)+', name):
        continue
      old = f'{name.replace(".", "/")}/'.startswith(reading.OLD_COMMANDS)
      if old and path.startswith(('tests/', 'agents/programs/')):
        continue
      if old or reading.file_of(name, files):
        bad.append(f'{path}:{node.lineno}: {name!r}, not worldmodels...')
  return bad


@RULES.add(
  add('worldmodels/errors.py', 'from worldmodels import model'),
  add('worldmodels/rssm.py', 'from worldmodels.agents import planet'),
  add('worldmodels/rssm.py', 'from worldmodels.data import rows'),
  add('worldmodels/rssm.py', 'def f():\n  import worldmodels.data.rows'),
  add('worldmodels/rssm.py', "NAME = 'worldmodels.agents.planet'"),
  add('worldmodels/rssm.py', 'from worldmodels import gone'),
  add('worldmodels/rssm.py', 'from worldmodels import agents'),
  add('agents/planet.py', 'from worldmodels.data import rows'),
  add('agents/planet.py', 'from worldmodels.configs import planet'),
  add('agents/planet.py', 'from worldmodels.agents.programs import train'),
  add('agents/planet.py', "import_module(f'worldmodels.data.{name}')"),
  add('agents/runs/loop.py', 'from worldmodels.agents.programs import train'),
  add('agents/runs/loop.py', 'from worldmodels.configs import planet'),
  add('agents/benchmark/a.py', 'from worldmodels.agents.programs import train'),
  add('data/rows.py', 'from worldmodels import rssm'),
  add('data/rows.py', 'from worldmodels.agents import planet'),
  add('configs/planet.py', 'from worldmodels import rssm'),
  add('tests/rssm_test.py', 'from worldmodels.agents import gone'),
  fine=(
    add('data/rows.py', 'from worldmodels import errors'),
    add('agents/runs/loop.py', 'from worldmodels.data import rows'),
    add('tests/rssm_test.py', 'from worldmodels.configs import planet'),
    add('tests/rssm_test.py', "LOG = 'worldmodels.log'"),
  ),
)
def layers(files):
  """errors <- data; model <- agents <- runs -> data; runs <- programs."""
  bad = []
  for path, tree in reading.python(files, *reading.ALL):
    here = part_of(path)
    for found in reading.imports(tree):
      if found.level or found.module.split('.')[0] != 'worldmodels':
        continue
      where = f'{path}:{found.line}: {found.full}'
      file = found.file(files)
      there = part_of(file) if file else None
      if not file and not found.is_text:
        bad.append(f'{where}: there is no such module')
      elif here and there and here != there and there not in MAY_IMPORT[here]:
        bad.append(f'{where}: {here} may not import {there}')
  return bad


@RULES.add(
  add('worldmodels/errors.py', 'import numpy as np'),
  add('data/graphics.py', 'from absl import logging'),
  add('data/graphics.py', 'from worldmodels.data import rows'),
  fine=(add('data/graphics.py', 'from worldmodels import errors'),),
)
def standard_library(files):
  """data.graphics runs before anything is installed; errors cost nothing."""
  return [
    f'{path}:{found.line}: imports {found.full}'
    for path, tree in reading.python(files, *reading.SOURCES)
    if part_of(path) == 'errors' or path == 'data/graphics.py'
    for found in reading.imports(tree)
    if found.module.split('.')[0] not in sys.stdlib_module_names
    and part_of(found.file(files) or '') != 'errors'
  ]


@RULES.add(
  add('agents/planet.py', 'import worldmodels.model as m'),
  add('agents/planet.py', 'from worldmodels import model as m'),
  add('tests/rssm_test.py', 'from worldmodels.rssm import RSSM as Model'),
  fine=(add('agents/planet.py', 'import numpy as np'),),
)
def no_aliases(files):
  """What is ours goes by its name: a module by the name of its file."""
  return [
    f'{path}:{found.line}: {found.full} as {found.renamed}'
    for path, tree in reading.python(files, *reading.ALL)
    for found in reading.imports(tree)
    if found.renamed and found.module.split('.')[0] == 'worldmodels'
  ]


@RULES.add(
  add('data/rows.py', 'import tensorflow as tf'),
  add('data/tasks/hill.py', 'def f():\n  from keras import layers'),
  fine=(add('worldmodels/rssm.py', 'import keras'),),
)
def tensorflow(files):
  """TensorFlow and OpenGL in software crash in one process: none in data."""
  return [
    f'{path}:{found.line}: imports {found.full}'
    for path, tree in reading.python(files, 'data/')
    for found in reading.imports(tree)
    if found.module.split('.')[0] in TENSORFLOW
  ]


@RULES.add(
  add('agents/__init__.py', 'from worldmodels.agents import planet'),
  add('worldmodels/__init__.py', 'from worldmodels import rssm'),
  add('worldmodels/__init__.py', 'def load(): pass'),
  add('data/__init__.py', 'def __getattr__(name): pass'),
  swap('data/__init__.py', '"""', '# '),
  fine=(add('worldmodels/__init__.py', 'def __getattr__(name): pass'),),
)
def init(files):
  """A package's __init__ is its docstring, so importing it costs nothing.

  That of worldmodels also finds the folders of a checkout, and hands `load` on
  when it is asked for.
  """
  bad = []
  for path, tree in reading.python(files, *reading.ALL):
    if not path.endswith('/__init__.py'):
      continue
    rest = tree.body[1:]
    if path == 'worldmodels/__init__.py':
      allowed = (ast.Import, ast.If)
      rest = [
        node
        for node in rest
        if not isinstance(node, allowed)
        and getattr(node, 'name', '') != '__getattr__'
      ]
    if not ast.get_docstring(tree) or rest:
      bad.append(f'{path}: holds more than a docstring')
  return bad


# ----------------------------------------------------------- what is where ----


@RULES.add(
  add(
    'agents/planet.py', 'def f(model: Model) -> Tensor:\n  model.rssm.step()'
  ),
  add('agents/planet.py', "SIZE = state['deter']"),
  add('agents/planet.py', 'f(deter=2)'),
  add('agents/runs/film.py', 'deter = 2'),
  add('agents/runs/film.py', 'from worldmodels import rssm'),
  add(
    'agents/runs/film.py', "ROWS = 3 if config.dynamics.kind == 'rssm' else 4"
  ),
  add('agents/runs/film.py', "ALONE = kind in ('rssm', 'other')"),
  add('agents/runs/film.py', "FOUND = find('worldmodels.dynamics.rssm')"),
  add('agents/runs/film.py', "match kind:\n  case 'rssm':\n    pass"),
  add('data/rows.py', 'class A:\n  def rssm(self) -> None: pass'),
  add('tests/planet_test.py', "state['deter']"),
  add('tests/planet_test.py', 'class World:\n  def rssm(self): return self'),
  add('tests/planet_test.py', 'model.dynamics.deter = 2'),
  add('tests/planet_test.py', 'from worldmodels import rssm'),
  fine=(
    add('agents/planet.py', '# deter is of the rssm'),
    add('agents/planet.py', '"""Not rssm."""'),
    add('agents/planet.py', "SAYS = 'what an rssm makes'"),
    add('agents/runs/stored_config.py', "_OLD_GROUP = 'rssm'"),
    add('configs/planet.py', "config.dynamics.kind = 'rssm'"),
    add('worldmodels/model.py', 'self.rssm = 1'),
    add('tests/rssm_test.py', "state['deter']"),
    add('tests/planet_test.py', "FLAG = '--config.dynamics.deter=2'"),
    add('tests/planet_test.py', "make(kind='rssm', deter=2)"),
    add('tests/planet_test.py', 'asked.dynamics.deter = 2'),
    add('tests/planet_test.py', "config['rssm'] = 2"),
  ),
)
def seam(files):
  """A state is opaque outside the model, which is of no one kind.

  A test may choose a kind and its options, but not reach through.
  """
  bad = []
  for path, tree in reading.python(files, 'agents/', 'data/', 'tests/'):
    if path in BEHIND_THE_SEAM or path in reading.OF_RULES:
      continue
    in_test = path.startswith('tests/')
    found = [(node, _names(node)) for node in ast.walk(tree)]
    if in_test:
      found = [(node, names | _key(node)) for node, names in found]
      found = [pair for pair in found if not _of_config(pair[0])]
    elif path != OLD_GROUP:
      found += [(node, _named(node)) for node in reading.strings(tree)]
    bad += [
      f'{path}:{getattr(node, "lineno", 0)}: {", ".join(names & SEAM)}'
      for node, names in found
      if names & SEAM
    ]
  return bad


def _of_config(node):
  """Whether a test says what it wants: f(deter=8), config.dynamics.deter."""
  if isinstance(node, (ast.Attribute, ast.Subscript)):
    wanted = r'config\[|(?!model|world|agent|self)\w+\.dynamics\.'
    return bool(re.match(wanted, ast.unparse(node)))
  return isinstance(node, ast.keyword)


def _names(node):
  """The names that a node of a syntax tree holds itself."""
  names = set()
  for field in ('id', 'attr', 'arg', 'name', 'asname', 'module'):
    value = getattr(node, field, None)
    if isinstance(value, str):
      names |= set(value.split('.'))
  return names


def _key(node):
  """The string by which an expression looks something up."""
  key = getattr(node, 'slice', None)
  return {key.value} if isinstance(key, ast.Constant) else set()


def _named(node):
  """The parts of the name that a string is; none of a sentence."""
  name = node.value
  return set(name.split('.')) if re.fullmatch(r'[\w.]+', name) else set()


@RULES.add(
  add('agents/runs/film.py', 'X = model.dynamics.divergence(a, b)'),
  add('agents/runs/film.py', 'X = run.agent.model.dynamics.step(a, b)'),
  add(
    'agents/planet.py', 'class A:\n  def f(self):\n    self.model.dynamics()'
  ),
  fine=(
    add('agents/runs/film.py', 'X = config.dynamics.kind'),
    add('agents/runs/trial.py', 'X = model.dynamics.step(a, b)'),
    add('worldmodels/model.py', 'X = model.dynamics.step(a, b)'),
    add('tests/planet_test.py', 'X = model.dynamics.step(a, b)'),
  ),
)
def past_the_model(files):
  """The model is what agents and programs call, and none of its parts."""
  return [
    f'{path}:{node.lineno}: {ast.unparse(node)}'
    for path, tree in reading.python(files, 'agents/')
    if path not in OF_PARTS
    for node in ast.walk(tree)
    if isinstance(node, ast.Attribute)
    and node.attr == 'dynamics'
    and reading.dotted(node.value).split('.')[-1] == 'model'
  ]


@RULES.add(
  add('agents/run/train.py', '#\n#\n#'),
  add('agents/run/film.py', 'import numpy'),
  add('data/check/__main__.py', 'import sys'),
  fine=(
    add('agents/run/film.py', 'from worldmodels.agents.programs import train'),
  ),
)
def old_commands(files):
  """An old command is at most five lines that hand over to worldmodels."""
  bad = []
  for path, tree in reading.python(files, *reading.OLD_COMMANDS):
    if files[path].count('\n') > 5:
      bad.append(f'{path}: more than five lines')
    bad += [
      f'{path}:{found.line}: imports {found.full}'
      for found in reading.imports(tree)
      if found.module.split('.')[0] != 'worldmodels'
    ]
  return bad


@RULES.add(
  add('data/rows.py', "if __name__ == '__main__': main()"),
  add('agents/programs/train.py', "if __name__ == '__main__': main()"),
  swap('worldmodels/__main__.py', 'if __name__', 'if name'),
  fine=(add('tests/strange.py', "if __name__ == '__main__': main()"),),
)
def one_program(files):
  """One console program; besides, what a process of its own is made of."""
  return [
    f'{path}: '
    + ('a program beside `worldmodels`' if guarded else 'does not start')
    for path, tree in reading.python(files, *reading.SOURCES)
    for guarded in [any(reading.is_main_guard(node) for node in tree.body)]
    if guarded != (path in PROGRAMS)
  ]


# ------------------------------------------------------------------ tests ----


@pytest.fixture(scope='module')
def files():
  return reading.read_repository()


@pytest.mark.parametrize('name', RULES)
def test_imports(name, files):
  bad = RULES[name].find(files)
  assert not bad, '\n'.join([RULES[name].find.__doc__, *bad])


@pytest.mark.parametrize('name', RULES)
def test_small_house_is_clean(name):
  assert RULES[name].find(SMALL) == []
  assert RULES[name].planted


@pytest.mark.parametrize('name,plant', RULES.cases('planted'))
def test_planted_violation_is_found(name, plant):
  assert RULES[name].find(plant(SMALL))


@pytest.mark.parametrize('name,plant', RULES.cases('fine'))
def test_what_is_fine_passes(name, plant):
  assert RULES[name].find(plant(SMALL)) == []


@pytest.mark.parametrize(
  'path,module',
  [
    ('worldmodels/model.py', 'worldmodels.model'),
    ('worldmodels/__init__.py', 'worldmodels'),
    ('agents/planners/cem.py', 'worldmodels.agents.planners.cem'),
    ('data/tasks/__init__.py', 'worldmodels.data.tasks'),
  ],
)
def test_a_file_has_one_name(path, module):
  assert reading.module_of(path) == module
  assert reading.file_of(module, {path: ''}) == path
  assert reading.file_of(module, {}) is None


def test_modules_with_another_name_are_found():
  """The check that every session ends with, see conftest.py."""
  modules = {}
  for name, path in (
    ('worldmodels.agents', 'agents/__init__.py'),
    ('agents', 'agents/__init__.py'),
    ('worldmodels.rssm', 'worldmodels/rssm.py'),
    ('house_test', 'tests/house_test.py'),
    ('numpy', '.venv/numpy/__init__.py'),
  ):
    modules[name] = types.SimpleNamespace(__file__=str(reading.ROOT / path))
  modules['namespace'] = types.SimpleNamespace(__file__=None)
  found = reading.other_names(modules)
  assert found == ['agents/__init__.py is agents']
