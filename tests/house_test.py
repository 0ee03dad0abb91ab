"""Holds the code to the house rules, by reading it: nothing is imported.

Every rule is shown to hold here, and to fail on a small repository into which
a violation was planted. The rules of imports are in import_rules_test.py, those
of BUILD in build_rules_test.py.
"""

import ast
import re

import pytest
import reading_sources as reading
from small_house import SMALL
from small_house import add
from small_house import drop
from small_house import swap

# Folders whose tests list them, so that a new file needs no test of its own.
LISTED = {
  'worldmodels.agents.action_distributions',
  'worldmodels.agents.benchmark',
  'worldmodels.agents.learners',
  'worldmodels.agents.planners',
  'worldmodels.agents.programs',
  'worldmodels.agents.runs.sinks',
  'worldmodels.configs',
  'worldmodels.data.tasks',
  'worldmodels.dynamics',
  'worldmodels.encoders',
  'worldmodels.heads',
}
LINES = 300
FRONT, FRONT_LINES = 'README.md', 180
BYTES = 2_000_000
PICKLES = {'pickle', 'cPickle', 'cloudpickle', 'dill', 'joblib', 'shelve'}
VAGUE = re.compile(r'(.*_)?(utils?|common|tools?|helpers?|misc)')
# A verb in the third person; among the words that end like one are nouns.
VERB = re.compile(r'[A-Z][a-z]+s[,:]?')
NOUNS = {
  *('Actions', 'Chunks', 'Episodes', 'Features', 'Images', 'Its'),
  *('Options', 'Pixels', 'Rewards', 'States', 'This', 'Thus', 'Values'),
}
FLAGS = re.compile(
  r'absl\.flags|argparse|optparse|ml_collections\.config_flags'
)
AT_IMPORT = re.compile(
  r'(.*\.)?(warnings\.(filter|simplefilter|filterwarnings)'
  r'|environ\.(setdefault|update|pop|popitem|clear)|putenv|unsetenv'
  r'|set_seed|set_random_seed|random\.seed|set_global_policy'
  r'|enable_op_determinism|config\..*set_.*|tf\.device)'
)
DEVICE = re.compile(r'/?(device:)?(cpu|gpu|tpu|cuda):\d+', re.IGNORECASE)
FOLDERS = '|'.join(['work', 'farm', 'root', 'home', 'Users', 'opt', 'tmp/w'])
MACHINE = re.compile(rf'(?<![\w.])/(?:{FOLDERS})/[\w.~-]')
INDEX = re.compile(
  r'--(?:(?:extra-)?index-url|find-links|trusted-host)|PIP_(?:EXTRA_)?INDEX_URL'
)
PIN = re.compile(r'[\w-]+==[\w.]+( *; *python_version .*)?')


RULES = reading.Rules()


# ------------------------------------------------------------------ files ----


@RULES.add(
  add('worldmodels/heads.py', ''),
  swap('tests/rssm_test.py', 'from worldmodels.data import rows', '# rows'),
  swap('tests/rssm_test.py', "FOLDER = 'data/tasks'", ''),
  swap('tests/rssm_test.py', 'import planners', 'import planet'),
  swap('tests/rssm_test.py', "/ 'programs'", "/ 'runs'"),
  drop('tests/rssm_test.py'),
  fine=(
    add('agents/planners/mppi.py', ''),
    lambda files: add('worldmodels/heads.py', '')(
      add('tests/rssm_test.py', "X = 'from worldmodels import heads'")(files)
    ),
  ),
)
def named_in_a_test(files):
  """Every source file is imported or named in a test (not in a comment)."""
  mentioned = set()
  for path, tree in reading.python(files, 'tests/'):
    if path.endswith('_test.py') and path not in reading.OF_RULES:
      for found in reading.imports(tree):
        mentioned.add(reading.module_of(found.file(files) or ''))
      for node in reading.strings(tree):
        for word in re.findall(r'[\w./]+', node.value):
          mentioned.add(reading.module_of(word.strip('./')))
        # A script for another process.
        for pair in re.findall(r'from ([\w.]+) import (\w+)', node.value):
          mentioned.add('.'.join(pair))
      mentioned |= set(map(reading.module_of, _joined(tree)))
  bad = []
  for path, _ in reading.python(files, *reading.SOURCES):
    module = reading.module_of(path)
    if path.endswith('__.py') or path.startswith(reading.OLD_COMMANDS):
      continue  # __init__ and __main__: a line or two.
    if module in mentioned or module.rpartition('.')[0] in mentioned & LISTED:
      continue
    bad.append(f'{path}: no test imports or names it')
  return bad


def _joined(tree):
  """The paths that are joined with /: ROOT / 'data' / 'tasks' is data/tasks."""
  for node in ast.walk(tree):
    names = []
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
      names.insert(0, getattr(node.right, 'value', None))
      node = node.left
    if names and all(isinstance(name, str) for name in names):
      yield '/'.join(names)


@RULES.add(
  add('worldmodels/rssm.py', '\n' * 300),
  fine=(add('tests/rssm_test.py', '\n' * 300),),
)
def lines(files):
  """One reason to a file: at most 300 lines, tests excepted."""
  return [
    f'{path}: {files[path].count(chr(10))} lines, at most {LINES}'
    for path, _ in reading.python(files, *reading.SOURCES)
    if files[path].count('\n') > LINES
  ]


@RULES.add(
  add(FRONT, '\n' * FRONT_LINES),
  fine=(
    add(FRONT, '\n' * (FRONT_LINES - 1)),
    add('docs/running.md', '\n' * (FRONT_LINES + 1)),
  ),
)
def front_page(files):
  """README.md is read at one go: what is longer is a page of docs."""
  count = files.get(FRONT, '').count('\n')
  more = f'{FRONT}: {count} lines, at most {FRONT_LINES}'
  return [more] if count > FRONT_LINES else []


@RULES.add(
  add('worldmodels/utils.py', ''),
  add('data/image_utils.py', ''),
  add('agents/common/__init__.py', '"""Things."""'),
  fine=(add('data/toolbox.py', ''),),
)
def vague(files):
  """No utils, common, tools or helpers: a helper lives with its first user."""
  return [
    f'{path}: says nothing about what is in it'
    for path, _ in reading.python(files, *reading.ALL)
    if any(VAGUE.fullmatch(x) for x in path.removesuffix('.py').split('/'))
  ]


# -------------------------------------------------------------- functions ----


@RULES.add(
  add('worldmodels/rssm.py', 'def f(a) -> int: pass'),
  add('worldmodels/rssm.py', 'def f(a: int): pass'),
  add('worldmodels/rssm.py', 'def f(*, a=1) -> int: pass'),
  add('worldmodels/rssm.py', 'def f(*a) -> int: pass'),
  add('worldmodels/rssm.py', 'def f(**a) -> int: pass'),
  add('worldmodels/rssm.py', 'class A:\n  def f(self): pass'),
  add('worldmodels/rssm.py', 'class A:\n  def __init__(self, a): pass'),
  add('worldmodels/rssm.py', 'class A:\n  def __call__(self, a) -> int: pass'),
  add('data/rows.py', 'class A:\n  @staticmethod\n  def f(a) -> int: pass'),
  add('configs/planet.py', 'def paper(): pass'),
  fine=(
    add('worldmodels/rssm.py', 'def _f(a): pass'),
    add('worldmodels/rssm.py', 'def f() -> int:\n  def g(a): pass'),
    add('worldmodels/rssm.py', 'class A:\n  def __init__(self): pass'),
    add('worldmodels/rssm.py', 'class _A:\n  def f(self): pass'),
    add('worldmodels/rssm.py', 'class A:\n  def f(self, *a: int) -> int: pass'),
    add('tests/rssm_test.py', 'def test_a(b): pass'),
  ),
)
def typed(files):
  """Public functions say the types that they take and return."""
  bad = []
  for path, tree in reading.python(files, *reading.SOURCES):
    for node, method in reading.public_functions(tree):
      given = node.args
      named = [*given.posonlyargs, *given.args]
      if method and 'staticmethod' not in reading.decorators(node):
        named = named[1:]
      named += [*given.kwonlyargs, given.vararg, given.kwarg]
      untyped = [x.arg for x in named if x and not x.annotation]
      if node.returns is None and node.name != '__init__':
        untyped.append('return')
      if untyped:
        names = ', '.join(untyped)
        bad.append(f'{path}:{node.lineno}: {node.name}: no type of {names}')
  return bad


@RULES.add(
  add('worldmodels/rssm.py', 'def f() -> int:\n  """What it is."""'),
  add('worldmodels/rssm.py', 'def f() -> int:\n  """Whether it is."""'),
  add('worldmodels/rssm.py', 'def f() -> int:\n  """The image."""'),
  add('worldmodels/rssm.py', 'def f() -> int:\n  """From a to b."""'),
  add('worldmodels/rssm.py', 'def f() -> int:\n  """Values of it."""'),
  add('worldmodels/rssm.py', 'class A:\n  def f(self) -> int:\n    """A b."""'),
  fine=(
    add('worldmodels/rssm.py', 'def f() -> int:\n  """Returns it."""'),
    add('worldmodels/rssm.py', 'def f() -> int:\n  pass'),
    add('worldmodels/rssm.py', 'def _f() -> int:\n  """The image."""'),
    add('worldmodels/rssm.py', 'class A:\n  """The image."""'),
    add(
      'worldmodels/rssm.py',
      'class A:\n  @property\n  def f(self) -> int:\n    """The image."""',
    ),
  ),
)
def verbs(files):
  """The docstring of a function begins with a verb: Returns, Maps, Writes."""
  bad = []
  for path, tree in reading.python(files, *reading.SOURCES):
    for node, _ in reading.public_functions(tree):
      first = (ast.get_docstring(node) or 'Is').split()[0]
      if reading.decorators(node) & {'property', 'cached_property'}:
        continue
      if first != 'Is' and (first in NOUNS or not VERB.fullmatch(first)):
        bad.append(f'{path}:{node.lineno}: {node.name}: {first!r} is no verb')
  return bad


@RULES.add(
  add('worldmodels/rssm.py', 'from absl import flags'),
  add('agents/planet.py', 'import argparse'),
  add('agents/runs/loop.py', 'from absl import flags'),
  add('data/rows.py', 'from ml_collections import config_flags'),
  fine=(add('agents/programs/check.py', 'from absl import flags'),),
)
def flags(files):
  """Components take keyword values: flags only in the programs."""
  return [
    f'{path}:{found.line}: {found.full}'
    for path, tree in reading.python(files, *reading.SOURCES)
    if not path.startswith('agents/programs/')
    for found in reading.imports(tree)
    if FLAGS.match(found.full)
  ]


@RULES.add(
  add('data/rows.py', "os.environ['MUJOCO_GL'] = 'egl'"),
  add('data/rows.py', "if 1: os.environ.setdefault('A', 'b')"),
  add('data/rows.py', "del os.environ['A']"),
  add('agents/programs/train.py', "warnings.filterwarnings('ignore')"),
  add('agents/planet.py', 'tf.config.threading.set_inter_op_threads(1)'),
  add('worldmodels/rssm.py', 'tf.random.set_seed(1)'),
  add('worldmodels/rssm.py', 'class A:\n  np.random.seed(1)'),
  add('worldmodels/rssm.py', "def f(device='/GPU:0'): pass"),
  add('worldmodels/rssm.py', "DEVICE = 'cuda:0'"),
  fine=(
    add('data/rows.py', "def f():\n  os.environ['A'] = 'b'"),
    add('data/rows.py', "HOME = os.environ['HOME']"),
    add('data/rows.py', 'F = lambda: np.random.seed(1)'),
  ),
)
def at_import(files):
  """Importing changes no environment, warning filter, device or seed."""
  bad = []
  for path, tree in reading.python(files, *reading.ALL):
    for node in reading.at_import(tree):
      what = ''
      if isinstance(node, ast.Call):
        name = reading.dotted(node.func)
        what = name if AT_IMPORT.fullmatch(name) else ''
      elif isinstance(node, ast.Subscript):
        changed = not isinstance(node.ctx, ast.Load)
        if changed and reading.dotted(node.value).split('.')[-1] == 'environ':
          what = 'os.environ'
      elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        if not path.startswith('tests/') and DEVICE.fullmatch(node.value):
          what = node.value
      if what:
        bad.append(f'{path}:{node.lineno}: {what} at import')
  return bad


@RULES.add(
  add('data/rows.py', 'import pickle'),
  add('data/rows.py', 'np.load(f, allow_pickle=True)'),
  fine=(add('data/rows.py', 'np.load(f, allow_pickle=False)'),),
)
def pickle(files):
  """Pickles run what is in them: none written, none read."""
  bad = []
  for path, tree in reading.python(files, *reading.SOURCES):
    for found in reading.imports(tree):
      if found.module.split('.')[0] in PICKLES:
        bad.append(f'{path}:{found.line}: imports {found.full}')
    for node in ast.walk(tree):
      if isinstance(node, ast.keyword) and node.arg == 'allow_pickle':
        if not (isinstance(node.value, ast.Constant) and not node.value.value):
          bad.append(f'{path}:{node.value.lineno}: allow_pickle')
  return bad


@RULES.add(
  add('worldmodels/rssm.py', '@tf.function\ndef _f(a): pass'),
  add('worldmodels/rssm.py', 'X = tf.function(_f, reduce_retracing=True)'),
  add('worldmodels/rssm.py', 'X = tf.function(_f, autograph=True)'),
  add(
    'worldmodels/rssm.py', '@functools.partial(tf.function)\ndef _f(a): pass'
  ),
  fine=(
    add(
      'worldmodels/rssm.py', '@tf.function(autograph=False)\ndef _f(a): pass'
    ),
    add('worldmodels/rssm.py', 'X = partial(tf.function, autograph=False)'),
    add('tests/rssm_test.py', '@tf.function\ndef f(a): pass'),
  ),
)
def graphs(files):
  """Nothing is translated by AutoGraph: a third of the start of a program."""
  bad = []
  for path, tree in reading.python(files, *reading.SOURCES):
    without = set()
    for node in ast.walk(tree):
      if isinstance(node, ast.Call) and any(
        word.arg == 'autograph' and ast.unparse(word.value) == 'False'
        for word in node.keywords
      ):
        without |= {id(part) for part in (node.func, *node.args)}
    bad += [
      f'{path}:{node.lineno}: tf.function without autograph=False'
      for node in ast.walk(tree)
      if isinstance(node, ast.Attribute) and ast.unparse(node) == 'tf.function'
      if id(node) not in without
    ]
  return bad


# -------------------------------------------------------------- every file ----


@RULES.add(
  add('README.md', 'cd /' + 'home/ann/worldmodels'),
  add('worldmodels/rssm.py', "PATH = '/" + "tmp/w/x'"),
  add('Makefile', 'pip install --' + 'extra-index-url=https://a.b'),
  fine=(
    add('README.md', 'https://example.org/home/x, configs/home/x'),
    add('README.md', 'the root / of work/ and a/opt/b'),
  ),
)
def paths(files):
  """Nothing names one machine: no absolute paths, no package indexes."""
  bad = []
  for path, text in files.items():
    if '\0' in text:
      continue
    for number, line in enumerate(text.splitlines(), 1):
      found = MACHINE.search(line) or INDEX.search(line)
      if found:
        bad.append(f'{path}:{number}: {found.group()}')
  return bad


@RULES.add(
  add('requirements.txt', 'scipy>=1.17'),
  add('requirements-dev.txt', '-r requirements.txt'),
  fine=(add('requirements.txt', 'scipy==1.18 ; python_version >= "3.12"'),),
)
def pins(files):
  """The checkout's requirements are exact, and nothing else is in the files."""
  return [
    f'{path}:{number}: {line}'
    for path in ('requirements.txt', 'requirements-dev.txt')
    for number, line in enumerate(files[path].splitlines(), 1)
    if line and not line.startswith('#') and not PIN.fullmatch(line)
  ]


@RULES.add(add('results/dream.webm', 'x' * 2_000_001))
def size(files):
  """A clone stays small."""
  return [
    f'{path}: over {BYTES} bytes'
    for path, text in files.items()
    if len(text.encode(errors='surrogateescape')) > BYTES
  ]


# ------------------------------------------------------------------ tests ----


@pytest.fixture(scope='module')
def files():
  return reading.read_repository()


@pytest.mark.parametrize('name', RULES)
def test_house(name, files):
  bad = RULES[name].find(files)
  assert not bad, '\n'.join([RULES[name].find.__doc__, *bad])


def test_reads_the_repository(files):
  assert {'BUILD', 'requirements.txt', 'tests/house_test.py'} <= files.keys()
  for folder in reading.SOURCES:
    assert f'{folder}__init__.py' in files


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
