"""The commands of README.md, the docs and the cards can be given as they stand.

Nothing is run. Each is parsed by its program: there is such a program, it has
these flags and all that it needs, the config has these keys, in these ranges;
and what is called `my_lab...` some page has a reader write. Directories are
looked at by themselves: what is looked at is made somewhere, and no directory
is that of two runs, whichever pages somebody follows.
"""

import os
import re
import shutil
import subprocess

import docs_commands
import docs_project
import pytest
from docs_commands import ROOT
from docs_commands import Command

PAGES = docs_commands.pages()
FRONT = 'README.md'


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  """The project that the docs have a reader write."""
  folder = tmp_path_factory.mktemp('project')
  docs_project.write(folder)
  page = (ROOT / 'docs/running.md').read_text()
  (text,) = re.findall(r'```python\n(.*?)```', page, re.DOTALL)
  (folder / 'mine.py').write_text(text)
  return folder


def text_of(page):
  return (ROOT / page).read_text()


def made_of(page):
  """The commands that `make train` gives where a page gives it."""
  found = []
  # Not ARGS and others, which a `make test ARGS=-x` hands on to this test.
  variables = {'PATH': os.environ['PATH']}
  for line, words in docs_commands.of_makes(page, text_of(page)):
    command = ['make', '--dry-run', 'train', 'PYTHON=python3', *words]
    done = subprocess.run(
      command, cwd=ROOT, env=variables, capture_output=True, text=True
    )
    assert done.returncode == 0, f'{page}:{line}: {done.stderr}'
    printed = re.sub('^', '    ', done.stdout, flags=re.MULTILINE)
    given = docs_commands.of_page(page, printed)
    assert [x.program for x in given] == ['train', 'evaluate', 'video']
    found += [command._replace(line=line) for command in given]
  return found


@pytest.fixture(scope='module')
def given(folder):
  """(command, what is said of it) of all pages; those of make as well."""
  commands = [
    x for page in PAGES for x in docs_commands.of_page(page, text_of(page))
  ]
  # Where there is no make there are no such commands. Bazel has no Makefile.
  if shutil.which('make') and (ROOT / 'Makefile').exists():
    commands += [command for page in PAGES for command in made_of(page)]
  return list(zip(commands, docs_commands.judged(commands, folder)))


@pytest.mark.parametrize('page', PAGES)
def test_the_commands_of_a_page_can_be_given(page, given):
  wrong = [
    f'{command.place}: {said["problem"]}'
    for command, said in given
    if command.page == page and said['problem']
  ]
  assert not wrong, '\n'.join(wrong)


def test_no_directory_is_of_two_runs(given):
  assert not (found := shared(given)), '\n'.join(found)


def test_what_is_looked_at_some_command_makes(given):
  assert not (found := unmade(given)), '\n'.join(found)


# ------------------------------------------------------------ directories ----


def of_runs(paths):
  """Those that are no placeholders, and no records that the checkout has."""
  run = re.compile(r'(?!results/)[a-z/].*/')
  return [path for path in paths if run.match(path)]


def shared(given):
  """Lists directories that two commands make, each of another run.

  As a program would refuse it: `RUN is a run of another config`.
  """
  first, found = {}, []
  for command, said in given:
    if command.program not in docs_commands.MAKING or not command.whole:
      continue
    if 'config' not in said:
      continue  # It cannot be given at all.
    what = dict(said['config'], program=command.program)
    if command.program == 'sweep':
      what = {key: command.values(key) for key in ('settings', 'episodes')}
    for path in of_runs(command.values('logdir')):
      other, before = first.setdefault(path, (command, what))
      if before != what:
        found.append(f'{command.place}\n  and {other.place}')
  return found


def unmade(given):
  """Lists commands that look at a run which nobody makes on their page.

  README.md counts for all pages.
  """
  making = [
    (command.page, path)
    for command, _ in given
    if command.program in docs_commands.MAKING
    for path in command.values('logdir')
  ]
  found = []
  for command, _ in given:
    asked = command.values('logdir') if command.whole else []
    if command.program in docs_commands.MAKING:
      # A run whose episodes are used again.
      asked = command.values('episodes') if command.program == 'sweep' else []
    there = {path for page, path in making if page in (command.page, FRONT)}
    for path in of_runs(asked):
      if not any(made == path or made.startswith(f'{path}/') for made in there):
        found.append(f'{command.place}: no command makes {path}')
  return found


# ------------------------------------------------------ what is told apart ----


PAGE = """
Give `worldmodels check --task=hill` or `worldmodels
fit --data=D`, see `worldmodels train`, `worldmodels train --sinks` and
`worldmodels PROGRAM --help`; `sweep --jobs=2`, `--config.seed=1`, `video`
alone, or `worldmodels fit ... --data=D`.

    worldmodels train --config=planet:cpu \\
      --logdir=a    # a comment
    worldmodels benchmark --assume=a=1,\\
    b=2 > figures 2>&1
    for way in one two; do
      worldmodels plot --logdir=runs/$way
    done
    run 'worldmodels play --logdir="a b" & ' and so on
    make train TASK=hill ARGS="--config.seed=1 --config.agent.kind=x"

```python
worldmodels --no-command
```
"""


def test_commands_are_told_from_other_text():
  found = docs_commands.of_page('p', PAGE)
  assert [(x.line, x.program, x.words, x.whole) for x in found] == [
    (2, 'check', ['--task=hill'], True),
    (2, 'fit', ['--data=D'], True),
    (3, 'train', [], False),
    (3, 'train', ['--sinks'], False),
    (4, 'sweep', ['--jobs=2'], False),
    (4, 'keys', ['--config.seed=1'], False),
    (5, 'fit', ['...', '--data=D'], False),
    (7, 'train', ['--config=planet:cpu', '--logdir=a'], True),
    (9, 'benchmark', ['--assume=a=1,b=2'], True),
    (12, 'plot', ['--logdir=runs/one'], True),
    (12, 'plot', ['--logdir=runs/two'], True),
    (14, 'play', ['--logdir=a b'], True),
  ]
  assert docs_commands.of_makes('p', PAGE) == [
    (15, ['TASK=hill', 'ARGS=--config.seed=1 --config.agent.kind=x'])
  ]


def test_the_pages_are_read(given):
  """As many commands as there are at least, and the parts of some."""
  programs = {command.program for command, _ in given if command.whole}
  assert {'train', 'fit', 'sweep', 'evaluate', 'video', 'check'} <= programs
  assert sum(command.whole for command, _ in given) > 130
  assert sum(not command.whole for command, _ in given) > 50


WRONG = {
  'trian --logdir=RUN': "no program 'trian'",
  'train --config=planet:cpu': '--logdir is missing',
  'check --out=check.webm': '--task is missing',
  'check --task=hill --outt=x': "Unknown command line flag 'outt'",
  'check hill --task=hill': "unexpected argument 'hill'",
  'evaluate --logdir=RUN --episodes=0': 'flag --episodes=0',
  'train --config=planet:cup --logdir=RUN': "no preset 'cup'",
  'train --config=plant:cpu --logdir=RUN': 'there is no file',
  'train --logdir=RUN --config.train.bach=3': "no key 'train.bach'",
  'train --logdir=RUN --config.train.batch=0': 'train.batch is 0',
  'fit --data=D --logdir=RUN': '--config.train.updates_total is missing',
  'convert --data=DIR --to=npz --out=DIR': '--out is DIR, as --data',
  'audit --recorded': '--logdir is missing, or --maze',
  'evaluate --logdir=RUN --config.planner.kind=cen': "'cen'",
  'evaluate --logdir=RUN --config.planner.elite=9': 'planner.elite is no',
  'evaluate --logdir=RUN --config.train.batch=9': 'belongs to the run',
  'check --task=my_lab.gone:load': 'write my_lab/gone.py',
  'check --task=my_lab.ball:lode': 'my_lab/ball.py has no lode',
  '`sweep --job=2`': "Unknown command line flag 'job'",
  '`train --sink`': "Unknown command line flag 'sink'",
  '`--config.train.bach`': "no key 'train.bach'",
  '`--config.train.bach=1`': "no key 'train.bach'",
}


@pytest.fixture(scope='module')
def told(folder):
  """What is said of each of WRONG; all in one process."""
  commands = []
  for text in WRONG:
    text = text if text[0] == '`' else f'    worldmodels {text}'
    commands += docs_commands.of_page('p', text)
  said = docs_commands.judged(commands, folder)
  return dict(zip(WRONG, said, strict=True))


@pytest.mark.parametrize('text', WRONG)
def test_what_is_wrong_with_a_command_is_found(text, told):
  assert WRONG[text] in told[text]['problem']


def command(page, text, **config):
  program, *words = text.split()
  return Command(page, 1, program, words, True), {'config': config}


def test_a_directory_of_two_runs_is_found():
  one = command('a', 'train --logdir=runs/a', seed='0')
  assert shared([one, command('b', 'train --logdir=runs/a', seed='0')]) == []
  assert shared([one, command('b', 'train --logdir=runs/b', seed='1')]) == []
  for other in (
    command('b', 'train --logdir=runs/a', seed='1'),
    command('b', 'fit --logdir=runs/a', seed='0'),
    command('b', 'sweep --logdir=runs/a', seed='0'),
  ):
    (found,) = shared([one, other])
    assert found.startswith('b:1') and 'a:1' in found
  # Names that stand for another each time.
  placeholder = command('a', 'train --logdir=RUN', seed='0')
  assert shared([placeholder, command('a', 'train --logdir=RUN')]) == []


def test_a_run_that_no_command_makes_is_found():
  looks = command('a', 'report --logdir=runs/a,runs/b,RUN,example:hill')
  makes = [command('a', f'train --logdir=runs/{x}') for x in 'ab']
  assert unmade([looks, *makes]) == []
  (found,) = unmade([looks, makes[0]])
  assert found.endswith('no command makes runs/b')
  # What another page makes is nothing to who reads this one, but for the first.
  elsewhere = makes[0], command('other', 'train --logdir=runs/b')
  assert len(unmade([looks, *elsewhere])) == 1
  front = makes[0], command(FRONT, 'train --logdir=runs/b')
  assert unmade([looks, *front]) == []
  # The folder of several.
  assert unmade([command('a', 'plot --logdir=runs/x'), makes[0]])
  several = command('a', 'train --logdir=runs/x/one')
  assert unmade([command('a', 'plot --logdir=runs/x'), several]) == []
