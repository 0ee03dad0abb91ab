"""Reads the commands that the docs give, and says what is wrong with each.

A command is a line of code that has `worldmodels PROGRAM` in it, or code within
a sentence that begins so. It is parsed as its program parses it, and nothing is
run: this file is also a program, which has a process for each command, because
a program defines its flags where it is imported.

  python tests/docs_commands.py < COMMANDS.json
"""

import contextlib
import importlib
import io
import itertools
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

from absl.testing import flagsaver

ROOT = pathlib.Path(__file__).parent.parent
# What a program needs that absl does not know of: one of these flags.
ONE_OF = {'audit': ('logdir', 'maze')}
# How long a run goes on; the same command with another of these continues it.
BUDGET = ('train.episodes', 'train.env_steps', 'train.minutes')
BUDGET += ('train.updates_total',)
# Those that make a run, or runs, at --logdir.
MAKING = ('train', 'fit', 'sweep')

# Programs whose name begins code within a sentence without `worldmodels`.
_SHORT = 'train|fit|sweep|evaluate|video|check|convert|report|play|export'
# Beside `--config.KEY=VALUE` alone, which is a part of some command.
_KEYS = 'keys'
_PRESETS = ['--config=planet:cpu', '--config=dreamer:cpu']
_PRESETS += ['--config=model_free:cpu', '--config=plan2explore:cpu']
_NUMBERS = ('N', 'UPDATES')  # Placeholders of numbers; others are texts.
_PLACEHOLDER = re.compile(r'[A-Z][A-Z_]*')
_FLAG = re.compile(r'--[\w.]+(=.*)?', re.DOTALL)
# How the checkout's own command is called in the Makefile.
_COMMAND = re.compile(r"""(?:^|[\s'"])(?:\.venv/bin/)?worldmodels (?=\S)""")


class Command(NamedTuple):
  """A command, or a part of one.

  Attributes:
    page: that gives it.
    line: of the page, from 1.
    program: its name; `keys` of a part that names none.
    words: what follows.
    whole: whether it can be given as it stands.
  """

  page: str
  line: int
  program: str
  words: list[str]
  whole: bool

  @property
  def place(self) -> str:
    """Where it stands, and what it is."""
    return f'{self.page}:{self.line}: {" ".join([self.program, *self.words])}'

  def values(self, flag: str) -> list[str]:
    """Returns the values of a flag, which may be a list."""
    begin = f'--{flag}='
    given = [x.removeprefix(begin) for x in self.words if x.startswith(begin)]
    return [value for text in given for value in text.split(',')]


# ---------------------------------------------------------------- reading ----


def pages() -> list[str]:
  """Returns the pages whose commands are read."""
  found = ['README.md', 'CONTRIBUTING.md', 'results/README.md']
  patterns = ('docs/*.md', 'docs/sweeps/*.toml', 'agents/examples/*/card.md')
  for pattern in patterns:
    found += [x.relative_to(ROOT).as_posix() for x in ROOT.glob(pattern)]
  return sorted(found)


def of_page(page: str, text: str) -> list[Command]:
  """Returns the commands that a page gives, in their order."""
  if page.endswith('.toml'):
    text = re.sub('^#', ' ', text, flags=re.MULTILINE)  # A comment.
  code, prose = _apart(text)
  found = [
    Command(page, line, *_named(words), '...' not in words)
    for line, words in _of_code(code)
  ]
  for line, words, whole in _of_prose(prose):
    found.append(Command(page, line, *_named(words), whole))
  return sorted(
    (x for x in found if not _PLACEHOLDER.fullmatch(x.program)),
    key=lambda command: command.line,
  )


def of_makes(page: str, text: str) -> list[tuple[int, list[str]]]:
  """Returns (line, arguments) of each `make train` of a page."""
  code, prose = _apart(text)
  lines = [(number, line) for number, line in code if 'make train' in line]
  for match in re.finditer(r'`(make train[^`]*)`', prose):
    lines.append((_line(prose, match), match[1].replace('\n', ' ')))
  found = []
  for number, line in lines:
    words = _words(line.partition('make train')[2])
    if '...' not in ' '.join(words):
      found.append((number, words))
  return sorted(found)


def _apart(text: str) -> tuple[list[tuple[int, str]], str]:
  """Returns the numbered lines of code, with those that continue one, and text.

  Where code was there are empty lines in the text.
  """
  code, prose, fenced, open_ended = [], [], False, False
  for number, line in enumerate(text.splitlines(), 1):
    fence = line.startswith('```')
    is_code = line.startswith('    ')
    prose.append('' if fence or fenced or is_code else line)
    fenced ^= fence
    if is_code and not fenced:
      if open_ended:
        code[-1] = code[-1][0], code[-1][1] + line[4:]
      else:
        code.append((number, line[4:]))
      open_ended = line.endswith('\\')
      if open_ended:
        code[-1] = code[-1][0], code[-1][1].removesuffix('\\')
  return code, '\n'.join(prose)


def _of_code(code: list[tuple[int, str]]) -> Iterator[tuple[int, list[str]]]:
  """Yields (line, words) of commands; of those in loops, each they give."""
  loops = {}
  for number, line in code:
    match = re.match(r'\s*for (\w+) in ([^;]+); do', line)
    if match:
      loops[f'${match[1]}'] = match[2].split()
    for start in _COMMAND.finditer(line):
      rest = line[start.end() :]
      names = [name for name in loops if name in rest]
      for values in itertools.product(*(loops[name] for name in names)):
        text = rest
        for name, value in zip(names, values):
          text = text.replace(name, value)
        yield number, _words(text)


def _of_prose(prose: str) -> Iterator[tuple[int, list[str], bool]]:
  """Yields (line, words, whether it is whole) of code within sentences."""
  for match in re.finditer(r'`([^`]+)`', prose):
    text = ' '.join(match[1].split())
    short = re.match(rf'({_SHORT}) --', text)
    if text.startswith('worldmodels '):
      words = _words(text.removeprefix('worldmodels '))
    elif short:
      words = _words(text)
    elif text.startswith('--config'):
      words = [_KEYS, *_words(text)]
    else:
      continue
    flags = [word for word in words[1:] if word != '...']
    if not all(map(_FLAG.fullmatch, flags)):
      continue  # A line of the terminal, or the name of what it is about.
    # What has no flag, or one without its value, is talked about, not given.
    whole = text.startswith('worldmodels ') and '...' not in words
    whole = whole and any('=' in flag for flag in flags)
    yield _line(prose, match), words, whole and '--help' not in flags


def _named(words: list[str]) -> tuple[str, list[str]]:
  return words[0], words[1:]


def _line(prose: str, match: re.Match) -> int:
  return prose.count('\n', 0, match.start()) + 1


def _words(text: str) -> list[str]:
  """Returns the words of a command, as a shell has them, to its end."""
  lexer = shlex.shlex(text, posix=True, punctuation_chars='<>|&;')
  lexer.whitespace_split = True
  lexer.commenters = '#'
  found = []
  for word in lexer:
    if {*word} <= {*'<>|&;'}:
      if word[0] in '<>' and found and found[-1].isdecimal():
        found.pop()  # As in 2>&1.
      break
    found.append(word)
  return found


# ----------------------------------------------------------------- asking ----


def judged(
  commands: list[Command], folder: pathlib.Path
) -> list[dict[str, Any]]:
  """Returns what is said of each command.

  Args:
    commands: any number.
    folder: the user's project, where they are given.

  Returns:
    for each `problem`, '' if there is none, and, of what trains, `config`.
  """
  done = subprocess.run(
    [sys.executable, __file__],
    input=json.dumps([command._asdict() for command in commands]),
    capture_output=True,
    text=True,
    cwd=folder,
    env={**os.environ, 'PYTHONPATH': str(ROOT)},
    timeout=120,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  return json.loads(done.stdout)


def main() -> None:
  """Judges the commands on standard input."""
  from worldmodels.agents.programs import usage
  from worldmodels.agents.runs import config_keys
  from worldmodels.agents.runs import overrides  # noqa: F401 (for all forks)

  config_keys.of_package()
  asked = [Command(**command) for command in json.load(sys.stdin)]
  found: dict[int, dict[str, Any]] = {}
  for program in {command.program for command in asked}:
    mine = [n for n, command in enumerate(asked) if command.program == program]
    if program in (*usage.programs(), _KEYS):
      answers = _forked(_of_program, program, [asked[n] for n in mine])
    else:
      answers = [{'problem': f'no program {program!r}'} for _ in mine]
    found |= zip(mine, answers)
  print(json.dumps([found[n] for n in range(len(asked))]))


def _forked(function, *arguments) -> Any:  # noqa: ANN401 (any that JSON has)
  """Returns what a function returns in a process of its own."""
  read, write = os.pipe()
  process = os.fork()
  if not process:
    status = 1
    try:
      os.close(read)
      with os.fdopen(write, 'w') as file:
        json.dump(function(*arguments), file)
      status = 0
    finally:
      os._exit(status)
  os.close(write)
  with os.fdopen(read) as file:
    text = file.read()
  _, status = os.waitpid(process, 0)
  assert status == 0, 'see what it has printed'
  return json.loads(text)


def _of_program(program: str, commands: list[Command]) -> list[dict[str, Any]]:
  name = 'train' if program == _KEYS else program
  module = importlib.import_module(f'worldmodels.agents.programs.{name}')
  if program == _KEYS:
    return [_of_keys(module, command) for command in commands]
  return [_of_command(module, command) for command in commands]


def _of_keys(module, command: Command) -> dict[str, Any]:
  """Judges flags that belong to no program: some preset has all the keys."""
  presets = [] if command.values('config') else _PRESETS
  for preset in presets or ['']:
    words = [*filter(None, [preset]), *command.words]
    tried = command._replace(program='train', words=words, whole=False)
    found = _of_command(module, tried)
    if not found['problem']:
      break
  return {'problem': found['problem']}


@flagsaver.flagsaver  # The next one begins with what the program defines.
def _of_command(module, command: Command) -> dict[str, Any]:
  """Judges a command by what its program does with it before its main."""
  from absl import flags

  from worldmodels.agents.programs import launch
  from worldmodels.agents.programs import run_config
  from worldmodels.agents.runs import config_checks

  words = _with_values(command, flags.FLAGS)
  sys.argv = [f'worldmodels {command.program}', *words]
  said = io.StringIO()
  try:
    with contextlib.redirect_stderr(said):
      config = getattr(module, 'CONFIG', None)
      take = getattr(module, 'TAKE', list)
      rest = launch._parse(config, take, sys.argv)
  except SystemExit:
    return {'problem': said.getvalue().strip()}
  given = flags.FLAGS
  problem = f'unexpected argument {rest[1]!r}' if rest[1:] else ''
  problem = problem or _missing_members(words)
  needed = ONE_OF.get(command.program, ())
  if command.whole and needed and not any(given[x].value for x in needed):
    problem = problem or f'--{needed[0]} is missing, or --{needed[1]}'
  if command.program == 'convert' and given.out in command.values('data'):
    problem = problem or f'--out is {given.out}, as --data'
  if run_config.FLAG in given:
    problem = problem or _overridden(given[run_config.FLAG].value or [])
  if 'config' not in given:
    return {'problem': problem}
  config = config_checks.flatten(given['config'].value.to_dict())
  if command.program == 'fit' and command.whole:
    if not config['train.updates_total']:
      problem = problem or '--config.train.updates_total is missing'
  kept = {key: repr(x) for key, x in config.items() if key not in BUDGET}
  return {'problem': problem, 'config': kept}


def _with_values(command: Command, defined) -> list[str]:
  """Returns words for the parser: placeholders get values, `...` goes.

  What is no whole command gets what it lacks.
  """
  found = []
  for word in command.words:
    flag, equals, value = word.partition('=')
    name = flag.lstrip('-')
    if word in ('...', '--help', '--trace'):
      continue
    if any(map(_PLACEHOLDER.fullmatch, name.split('.'))):
      continue  # --config.KEY=VALUE
    if value in _NUMBERS:
      value = '1'
    if flag == '--config' and not _is_config(value):
      continue
    if not command.whole and not equals:  # Named without a value.
      if name in defined and not defined[name].boolean:
        continue
      if name.startswith('config.'):
        found += [] if _has_key(command, name[7:]) else [f'{flag}=0']
        continue
    found.append(flag + equals + value)
  if command.whole:
    return found
  there = {word.partition('=')[0].lstrip('-') for word in found}
  for name in [*defined]:
    if any(not check.checker(None) for check in defined[name].validators):
      found += [] if name in there else [f'--{name}=hill']
  return found


def _is_config(value: str) -> bool:
  """Whether a value of --config is one, and not where one belongs."""
  return value not in ('', '...') and not any(
    map(_PLACEHOLDER.fullmatch, value.split(':'))
  )


def _has_key(command: Command, name: str) -> bool:
  """Whether the preset of a command has a key, or a group of that name."""
  from worldmodels.agents.programs import config_flag
  from worldmodels.agents.runs import config_checks

  (preset,) = command.values('config') or ['planet:cpu']
  keys = config_checks.flatten(config_flag.load(preset).to_dict())
  return any(key == name or key.startswith(f'{name}.') for key in keys)


def _overridden(texts: list[str]) -> str:
  """Returns what is wrong with keys that are laid over the config of a run."""
  from worldmodels.agents.runs import build
  from worldmodels.agents.runs import overrides
  from worldmodels.configs import dreamer
  from worldmodels.configs import pets
  from worldmodels.configs import planet
  from worldmodels.spec import Spec

  values = dict(text.split('=', 1) for text in texts)
  if ':' in values.get('planner.kind', ''):
    # One of the user's, whose options are not known here.
    values = {k: v for k, v in values.items() if k[:8] != 'planner.'}
  problem = ''
  for config in (
    planet.get_config('cpu'),
    dreamer.get_config('cpu'),
    pets.get_config('aggregate'),
  ):
    try:
      overrides.laid_over(config, Spec(actions=1), values)
      return ''
    except build.ConfigError as error:
      problem = str(error)
  return problem


def _missing_members(words: list[str]) -> str:
  """Returns which `my_lab.module:name` of a command is not in the folder."""
  for module, name in re.findall(r'\b(my_lab\.\w+):(\w+)', ' '.join(words)):
    file = pathlib.Path(*module.split('.')).with_suffix('.py')
    if not file.exists():
      return f'no page has a reader write {file}'
    if not re.search(rf'^((def|class) )?{name}\b', file.read_text(), re.M):
      return f'{file} has no {name}'
  return ''


if __name__ == '__main__':
  main()
