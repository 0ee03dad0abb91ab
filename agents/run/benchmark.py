"""Measures how fast the parts are on this machine, beside what it could do.

  python -m agents.run.benchmark
  python -m agents.run.benchmark --work=model,plan --json=figures.json

Each work runs in a process of its own, one after the other, and is compared
with rates measured beside it. A figure that was taken while other programs
kept the machine busy, or that varies, is marked and called noisy.
docs/performance.md says what the works are.
"""

import importlib
import json
import os
import platform
import signal
import subprocess
import sys

from absl import flags

from . import build
from . import launch
from . import run_directory

# The works, and which of their figures there are: those at PlaNet's sizes
# (W1 to W7) and those of the preset cpu (W8).
WORKS = {
    'model': ('paper', 'cpu'),
    'plan': ('paper', 'cpu'),
    'behaviour': ('paper',),
    'environment': ('paper',),
    'replay': ('paper',),
    'loop': ('paper', 'cpu'),
    'start': ('cpu',),
}

_WORK = flags.DEFINE_list(
    'work', list(WORKS), f'Which works, of {", ".join(WORKS)}.')
_PRESET = flags.DEFINE_enum(
    'preset', None, ['paper', 'cpu'],
    'Only the figures at PlaNet\'s sizes (W1 to W7), or of the preset cpu.')
_JSON = flags.DEFINE_string('json', None, 'File to write the figures to.')
_CONFIGS = flags.DEFINE_string(
    'configs', 'configs/planet.py', 'File of the presets.')
_DREAMER = flags.DEFINE_string(
    'dreamer_configs', 'configs/dreamer.py', 'File of those of W4.')
_REPEATS = flags.DEFINE_integer(
    'repeats', 15, 'How often each figure is taken at least; the median '
    'counts. (An episode of the loop is taken four times.)', lower_bound=1)
_SIZES = flags.DEFINE_enum(
    'sizes', 'full', ['full', 'tiny'],
    'tiny runs every part in seconds, and its figures mean nothing.')
_TASK = flags.DEFINE_string(
    'task', None, 'Task of the environment and of the loop; by default '
    'cartpole_swingup, and that of the preset.')
_CHILD = flags.DEFINE_bool(
    'child', False, 'Measure here and print JSON lines (used by itself).')


def main(argv):
  """Measures, prints a table, and writes JSON."""
  del argv
  # What is being measured, and its files, end with this program.
  signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
  if _CHILD.value:
    for line in _measure(_WORK.value):
      print(json.dumps(line), flush=True)
    return
  for name in _WORK.value:
    if name not in WORKS:
      raise build.ConfigError(
          f'--work={name}: it is one of {", ".join(WORKS)}')
  chosen = [(name, preset) for name in _WORK.value for preset in WORKS[name]
            if _PRESET.value in (None, preset)]
  lines, failed = [], []
  _write(lines, failed)  # Before anything is measured in vain.
  print(_machine())
  print(_HEAD)
  for name, preset in chosen:
    status = _in_process(name, preset, lines)
    if status:
      failed.append(f'{name} ({preset})')
    _write(lines, failed)
  _end(lines, failed)


def _end(lines, failed):
  """Says what the figures are worth."""
  noisy = [line for line in lines if line.get('clean') is False]
  missed = [line for line in lines if line.get('met') is False]
  others = max((line.get('others', 0.0) for line in lines), default=0.0)
  print(f'{len(lines)} figures, {len(noisy)} noisy, {len(missed)} goals '
        f'missed; other programs took at most {others:.2f} cores')
  if noisy:
    print('NOT a clean run: something else was running, or figures varied; '
          'noisy figures are marked with ~')
  if failed:
    raise build.ConfigError(f'these works failed: {", ".join(failed)}')


def _write(lines, failed):
  """Writes what there is so far to --json."""
  if _JSON.value is None:
    return
  timed = [line['clean'] for line in lines if 'clean' in line]
  with open(_JSON.value, 'w') as file:
    json.dump(dict(
        machine=_machine(), versions=run_directory.current_versions(),
        sizes=_SIZES.value, repeats=_REPEATS.value,
        clean=bool(timed) and all(timed), failed=failed, figures=lines),
              file, indent=1)
    file.write('\n')


def _measure(names):
  """The rows of works, measured in this process."""
  from .works import setting
  chosen = setting.Setting(
      sizes=setting.SIZES[_SIZES.value], repeats=_REPEATS.value,
      configs=_CONFIGS.value, dreamer_configs=_DREAMER.value,
      preset=_PRESET.value, task=_TASK.value)
  for name in names:
    work = importlib.import_module(f'agents.run.works.{name}')
    yield from work.measure(chosen)


def _in_process(name, preset, lines):
  """Measures in a process of its own; prints and adds to `lines`.

  Returns:
    its exit status.
  """
  command = [sys.executable, '-m', 'agents.run.benchmark', '--child',
             f'--work={name}', f'--preset={preset}',
             f'--configs={_CONFIGS.value}',
             f'--dreamer_configs={_DREAMER.value}',
             f'--repeats={_REPEATS.value}', f'--sizes={_SIZES.value}']
  command += [f'--task={_TASK.value}'] if _TASK.value else []
  with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=sys.stderr,
                        text=True) as process:
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


_HEAD = f'{"":2}{"work":8}{"figure":>12} {"unit":15}{"goal":>9}  what'


def _text(line):
  """One line of the table."""
  mark = '~' if line.get('clean') is False else ' '
  met = {None: '', True: ' met', False: ' MISSED'}[line.get('met')]
  value = f'{line["value"]:.4g}'
  more = ''.join(
      f', {key} {line[key]:.4g}' for key in ('gflop', 'gflops', 'ceiling')
      if key in line)
  if mark == '~':
    more += (f' (others {line["others"]:.2f} cores, spread '
             f'{100 * line["spread"]:.0f} %)')
  return (f'{mark:2}{line["work"]:8}{value:>12} {line["unit"]:15}'
          f'{line.get("goal", ""):>9}{met}  {line["what"]}{more}')


def _machine():
  """One line about what this runs on."""
  model = platform.processor() or platform.machine()
  with open('/proc/cpuinfo') as file:
    names = [line.partition(':')[2].strip() for line in file
             if line.startswith('model name')]
  cores = len(os.sched_getaffinity(0))
  return f'{names[0] if names else model}, {cores} cores, Python ' + (
      platform.python_version())


if __name__ == '__main__':
  launch.run(main)
