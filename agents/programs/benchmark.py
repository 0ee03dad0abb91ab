"""Measures the speed of the parts, beside the limits of this machine.

  worldmodels benchmark
  worldmodels benchmark --work=model,plan --json=figures.json

Each part runs in a process of its own, one after the other, and is compared
with rates measured beside it. A figure that was taken while other programs
kept the machine busy, or that varies, is marked and called noisy.
docs/performance.md says what the parts are.
"""

import functools
import importlib
import json
import os
import platform
import runpy
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import ml_collections
from absl import flags

from worldmodels import errors
from worldmodels.agents.benchmark import cost
from worldmodels.agents.programs import config_flag
from worldmodels.agents.runs import out_file
from worldmodels.agents.runs import provenance

Figure = dict[str, Any]

# The parts, and which figures they have: those at PlaNet's sizes (W1 to W7)
# or of none (W10), and those of the preset cpu (W8, W11).
PARTS = {
  'model': ('paper', 'cpu'),
  'plan': ('paper', 'cpu'),
  'ensemble': ('cpu',),
  'behavior': ('paper',),
  'environment': ('paper',),
  'replay': ('paper',),
  'loop': ('paper', 'cpu'),
  'start': ('cpu',),
  'collectors': ('paper', 'cpu'),
  'cost': ('cpu',),
}
# Parts that have to be asked for: one needs Ray, and one measures nothing.
ASKED_FOR = ('collectors', 'cost')

INTERNAL = ('child',)

_WORK = flags.DEFINE_list(
  'work',
  [name for name in PARTS if name not in ASKED_FOR],
  f'Which parts, of {", ".join(PARTS)}.',
)
_PRESET = flags.DEFINE_enum(
  'preset',
  None,
  ['paper', 'cpu'],
  "Only the figures at PlaNet's sizes (W1 to W7), or of the preset cpu.",
)
_JSON = flags.DEFINE_string('json', None, 'File to write the figures to.')
_CONFIGS = flags.DEFINE_string(
  'configs',
  'planet',
  'Config of the package, or file of configs, without a preset.',
)
_DREAMER = flags.DEFINE_string(
  'dreamer_configs', 'dreamer', 'The same, for W4.'
)
_REPEATS = flags.DEFINE_integer(
  'repeats',
  15,
  'How often each figure is taken at least; the median counts. (An episode of '
  'the loop is taken four times.)',
  lower_bound=1,
)
_SIZES = flags.DEFINE_enum(
  'sizes',
  'full',
  ['full', 'tiny'],
  'tiny runs every part in seconds, and its figures mean nothing.',
)
_TASK = flags.DEFINE_string(
  'task',
  None,
  'Task of the environment and of the loop; by default cartpole_swingup, and '
  'that of the preset.',
)
_MEASURED = flags.DEFINE_string(
  'measured',
  None,
  'File of --json whose figures the part cost takes; by default those of '
  'docs/cluster_figures.md.',
)
_ASSUME = flags.DEFINE_list(
  'assume',
  [],
  'NAME=VALUE of the part cost, such as network_gbit=1,store_gb=2,ahead=2.',
)
_CHILD = flags.DEFINE_bool(
  'child', False, 'Measure here and print JSON lines (used by itself).'
)

# Further numbers of a figure that are shown.
_SHOWN = ('gflop', 'gflops', 'ceiling')
_SHOWN += ('linear', 'updates', 'age', 'stored_gb')

_HEAD = f'{"":2}{"work":8}{"figure":>12} {"unit":15}{"goal":>9}  what'


def main(argv: list[str]) -> None:
  """Measures, prints a table, and writes JSON."""
  del argv
  # Processes that measure, and their files, end with this program.
  signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
  if _CHILD.value:
    for line in _measure(_WORK.value):
      print(json.dumps(line), flush=True)
    return
  # What to measure.
  for name in _WORK.value:
    if name not in PARTS:
      raise config_flag.FlagError(
        f'--work={name}: it is one of {", ".join(PARTS)}'
      )
  chosen = [
    (name, preset)
    for name in _WORK.value
    for preset in PARTS[name]
    if _PRESET.value in (None, preset)
  ]
  cost.cluster_of(_MEASURED.value, _ASSUME.value)
  # Measure it.
  lines, failed = [], []
  if _JSON.value is not None:
    out_file.check('--json', _JSON.value)
  print(_machine())
  print(_HEAD)
  for name, preset in chosen:
    status = _run(_command(name, preset), lines)
    if status:
      failed.append(f'{name} ({preset})')
    _write(lines, failed)
  _end(lines, failed)


def _end(lines: Sequence[Figure], failed: Sequence[str]) -> None:
  """Says how far the figures can be trusted; raises if a part failed."""
  noisy = [line for line in lines if line.get('clean') is False]
  missed = [line for line in lines if line.get('met') is False]
  others = max((line.get('others', 0.0) for line in lines), default=0.0)
  print(
    f'{len(lines)} figures, {len(noisy)} noisy, {len(missed)} goals '
    f'missed; other programs took at most {others:.2f} cores'
  )
  if noisy:
    print(
      'NOT a clean run: something else was running, or figures varied; '
      'noisy figures are marked with ~'
    )
  if failed:
    raise errors.UserError(f'these parts failed: {", ".join(failed)}')


def _write(lines: Sequence[Figure], failed: Sequence[str]) -> None:
  """Writes the figures so far to --json."""
  if _JSON.value is None:
    return
  timed = [line['clean'] for line in lines if 'clean' in line]
  values = dict(
    machine=_machine(),
    versions=provenance.current(),
    sizes=_SIZES.value,
    repeats=_REPEATS.value,
    clean=bool(timed) and all(timed),
    failed=failed,
    figures=lines,
  )
  out_file.write_json('--json', _JSON.value, values)


def _measure(names: Sequence[str]) -> Iterator[Figure]:
  """Yields the figures of parts, measured in this process."""
  from worldmodels.agents.benchmark.options import SIZES
  from worldmodels.agents.benchmark.options import Options

  options = Options(
    sizes=SIZES[_SIZES.value],
    repeats=_REPEATS.value,
    config=functools.partial(_config, _CONFIGS.value),
    dreamer=functools.partial(_config, _DREAMER.value),
    command=_command,
    preset=_PRESET.value,
    task=_TASK.value,
    cluster=cost.cluster_of(_MEASURED.value, _ASSUME.value),
  )
  for name in names:
    part = importlib.import_module(f'worldmodels.agents.benchmark.{name}')
    yield from part.measure(options)


def _config(name: str) -> ml_collections.ConfigDict:
  """Returns the measured preset of a config of the package, or of a file."""
  found = runpy.run_path(config_flag.path_of(name))
  return found['get_config'](_PRESET.value)


def _command(name: str, preset: str) -> list[str]:
  """Returns the command that measures a part in a process of its own."""
  command = [sys.executable, '-m', 'worldmodels', 'benchmark', '--child']
  command += [
    f'--work={name}',
    f'--preset={preset}',
    f'--configs={_CONFIGS.value}',
    f'--dreamer_configs={_DREAMER.value}',
    f'--repeats={_REPEATS.value}',
    f'--sizes={_SIZES.value}',
  ]
  command += [f'--assume={",".join(_ASSUME.value)}'] if _ASSUME.value else []
  for name, value in (('task', _TASK.value), ('measured', _MEASURED.value)):
    command += [f'--{name}={value}'] if value else []
  return command


def _run(command: Sequence[str], lines: list[Figure]) -> int:
  """Prints the figures of a command and adds them to `lines`.

  Returns:
    its exit status.
  """
  with subprocess.Popen(
    command, stdout=subprocess.PIPE, stderr=sys.stderr, text=True
  ) as process:
    over = False
    try:
      for text in process.stdout:
        lines.append(json.loads(text))
        print(_text(lines[-1]), flush=True)
      over = True
    finally:
      if not over:
        process.terminate()
  return process.returncode


def _text(line: Figure) -> str:
  """Returns one line of the table."""
  mark = '~' if line.get('clean') is False else ' '
  met = {None: '', True: ' met', False: ' MISSED'}[line.get('met')]
  value = f'{line["value"]:.4g}'
  more = ''.join(f', {key} {line[key]:.4g}' for key in _SHOWN if key in line)
  if mark == '~':
    more += (
      f' (others {line["others"]:.2f} cores, spread '
      f'{100 * line["spread"]:.0f} %)'
    )
  return (
    f'{mark:2}{line["work"]:8}{value:>12} {line["unit"]:15}'
    f'{line.get("goal", ""):>9}{met}  {line["what"]}{more}'
  )


def _machine() -> str:
  """Returns one line about the machine that this runs on."""
  model = platform.processor() or platform.machine()
  with open('/proc/cpuinfo') as file:
    names = [
      line.partition(':')[2].strip()
      for line in file
      if line.startswith('model name')
    ]
  cores = len(os.sched_getaffinity(0))
  return (
    f'{names[0] if names else model}, {cores} cores, Python '
    f'{platform.python_version()}'
  )
