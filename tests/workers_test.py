import gc
import os
import pathlib
import re
import resource
import signal
import stat
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from worldmodels import errors
from worldmodels.data import channel
from worldmodels.data import environments
from worldmodels.data import graphics
from worldmodels.data import worker_process
from worldmodels.data import workers

ROOT = pathlib.Path(__file__).parent.parent
NO_ACTION = [0, 0]
ALIKE = (
  *('action_size', 'discrete', 'action_repeat', 'step_limit', 'quality'),
  *('ends_early', 'task'),
)


def start(function, **options):
  return workers.start(f'tests.strange_tasks:{function}', **options)


@pytest.fixture
def started():
  """Starts workers and closes them after the test."""
  running = []

  def begin(function, **options):
    running.append(start(function, **options))
    return running[-1]

  yield begin
  for worker in running:
    worker.close()


def is_alive(pid):
  """Whether a process runs; a zombie does not."""
  try:
    state = pathlib.Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2]
  except FileNotFoundError:
    return False
  return state.split()[0] != 'Z'


def wait_until(condition, seconds=30):
  deadline = time.monotonic() + seconds
  while not condition() and time.monotonic() < deadline:
    time.sleep(0.02)
  return condition()


def parent(code):
  """Starts a program that starts workers and prints their process ids."""
  return subprocess.Popen(
    [sys.executable, '-c', f'from worldmodels.data import workers\n{code}'],
    cwd=ROOT,
    stdout=subprocess.PIPE,
    text=True,
  )


# -------------------------------------------------------------- the proxy ----


def test_a_worker_is_like_its_environment(started):
  options = dict(vectors=['taken', 'seed'], action_repeat=3)
  worker = started('Reseeded', seed=4, **options)
  env = environments.make('tests.strange_tasks:Reseeded', 4, **options)
  assert worker.action_spec() == env.action_spec()
  assert worker.observation_spec() == env.observation_spec()
  assert worker.reward_spec() == env.reward_spec()
  for name in ALIKE:
    assert getattr(worker, name) == getattr(env, name)
  pairs = [(worker.reset(), env.reset())]
  for action in np.random.default_rng(0).uniform(-1, 1, (5, 2)):
    pairs.append((worker.step(action), env.step(action)))
  for here, there in pairs:
    assert here[:3] == there[:3]
    for key, value in there.observation.items():
      assert here.observation[key].dtype == value.dtype
      assert (here.observation[key] == value).all()
  assert worker.reset(np.int64(9)).observation['seed'] == 9
  assert worker.reset().observation['seed'] == 9


def test_choices_reach_the_task(started):
  worker = started('Choosing', vectors=['taken'])
  env = environments.make('tests.strange_tasks:Choosing')
  for _ in range(2):
    assert worker.discrete is True and worker.action_size == 3
    assert worker.action_spec() == env.action_spec()
    worker.reset()
    for index, action in enumerate(np.eye(3, dtype=np.float32)):
      assert worker.step(action).observation['taken'][0] == index
    with pytest.raises(ValueError, match='not one-hot: the task offers 3'):
      worker.step([0.5, 0.5, 0])
    assert worker.step([0, 1, 0]).observation['taken'][0] == 1
    worker.restart()
  assert started('load').discrete is False


def test_the_end_of_a_task_arrives(started):
  worker = started('ends')
  worker.reset()
  worker.step(NO_ACTION)
  last = worker.step(NO_ACTION)
  assert last.last() and last.discount == 0


def test_the_steps_of_the_simulator_arrive(started):
  worker = started('early', action_repeat=8)
  worker.reset()
  assert [worker.step(NO_ACTION).env_steps for _ in range(2)] == [8, 1]


def test_a_limit_is_told_to_the_task(started):
  worker = started('endless', action_repeat=2, step_limit=3)
  assert worker.step_limit == 2
  worker.reset()
  first, last = worker.step(NO_ACTION), worker.step(NO_ACTION)
  assert first.mid() and last.last() and last.discount == 1
  assert (first.env_steps, last.env_steps) == (2, 1)


def test_observations_can_be_written_to(started):
  image = started('load').reset().observation['image']
  image[:] = 1


def test_a_bad_action_does_not_end_a_worker(started):
  worker = started('load')
  worker.reset()
  for action in ([0], [0, 2], [0, np.nan]):
    with pytest.raises(ValueError, match='action'):
      worker.step(action)
  assert worker.step(NO_ACTION).reward == 3


def test_steps_overlap(started):
  slow = [started('slow', action_repeat=1) for _ in range(3)]
  for worker in slow:
    worker.reset()
  begin = time.monotonic()
  for worker in slow:
    worker.send(NO_ACTION)
  rewards = [worker.receive().reward for worker in slow]
  assert rewards == [1, 1, 1]
  assert time.monotonic() - begin < 1.3  # Three times 0.5 s one by one.


def test_sends_and_receives_come_in_pairs(started):
  worker = started('load')
  worker.reset()
  with pytest.raises(RuntimeError, match='receive without'):
    worker.receive()
  worker.send(NO_ACTION)
  with pytest.raises(RuntimeError, match='before another'):
    worker.send(NO_ACTION)
  assert worker.receive().reward == 3


# ---------------------------------------------------------- what can fail ----


@pytest.mark.parametrize(
  'function, message',
  [
    ('raises', r'ZeroDivisionError: the pole broke \(.*strange_tasks.py:\d+\)'),
    ('asks', r'EOFError: EOF when reading a line'),
    ('hangs', r'no answer for 2 s and was killed'),
    ('exits', r'died: exit status 3'),
    ('crashes', r'died: SIGSEGV, a crash of the OpenGL driver'),
  ],
)
def test_a_failing_step_is_reported_and_the_worker_restarted(
  started, function, message
):
  worker = started(function, timeout=2 if function == 'hangs' else 60)
  for _ in range(2):
    worker.reset()
    with pytest.raises(workers.WorkerError, match=message) as caught:
      worker.step(NO_ACTION)
    assert '\n' not in str(caught.value)
    assert not is_alive(worker.pid)
    with pytest.raises(workers.WorkerError, match='is closed: restart it'):
      worker.step(NO_ACTION)
    worker.restart()


def test_a_killed_worker_is_reported_and_restarted(started):
  worker = started('load')
  worker.reset()
  os.kill(worker.pid, signal.SIGKILL)
  with pytest.raises(workers.WorkerError, match='died: SIGKILL, out of memory'):
    worker.step(NO_ACTION)
  worker.restart()
  assert worker.reset(3).first()
  assert worker.step(NO_ACTION).reward == 3


@pytest.mark.parametrize(
  'function, kind, message',
  [
    ('not_an_environment', environments.TaskError, 'has no method'),
    ('float_image', environments.TaskError, 'image is float32'),
    ('brings_tensorflow', environments.TaskError, 'imports TensorFlow'),
    ('nothing', environments.TaskError, 'no function'),
    ('hangs_at_load', workers.WorkerError, 'no answer for 1 s'),
    ('_fail', workers.WorkerError, 'ZeroDivisionError: the pole broke'),
  ],
)
def test_a_worker_that_does_not_come_up_is_reported(function, kind, message):
  with pytest.raises(kind, match=message) as caught:
    start(function, start_timeout=1 if function == 'hangs_at_load' else 60)
  assert '\n' not in str(caught.value)


def test_a_rule_broken_later_is_reported(started):
  worker = started('nan_reward')
  worker.reset()
  with pytest.raises(environments.TaskError, match='reward is nan'):
    worker.step(NO_ACTION)


def test_what_a_task_prints_disturbs_nothing(started):
  worker = started('prints')
  worker.reset()
  assert worker.step(NO_ACTION).reward == 3
  assert 'stray words' in worker.output and 'stray bytes' in worker.output


def test_much_output_is_forgotten(started):
  worker = started('chatters')
  worker.reset()
  for _ in range(4):
    worker.step(NO_ACTION)
    assert 0 < len(worker.output) <= 2000


def test_much_output_within_a_step_costs_neither_disk_nor_memory(started):
  """300 MB here; whatever a worker writes to is a pipe."""
  worker = started('floods')
  kinds = [
    os.stat(f'/proc/{worker.pid}/fd/{number}').st_mode for number in (1, 2)
  ]
  assert all(map(stat.S_ISFIFO, kinds))
  worker.reset()
  before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
  worker.step(NO_ACTION)
  after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
  assert after - before < 20_000  # KB
  assert len(worker.output) <= 2000
  assert worker.output.endswith('x\nlast words')


@pytest.mark.parametrize(
  'function, message',
  [
    (
      'rambles',
      r'raised ZeroDivisionError: +\[2Jlong .*\.\.\. \(20000003 char',
    ),
    ('speechless', r'raised Unspeakable: a message that cannot be read \('),
  ],
)
def test_an_exception_is_cut_to_a_line(started, function, message):
  worker = started(function)
  worker.reset()
  with pytest.raises(workers.WorkerError, match=message) as caught:
    worker.step(NO_ACTION)
  assert len(str(caught.value)) < 2000 and str(caught.value).isprintable()


def test_what_is_no_message_is_said_to_be_none(started):
  """As of a task that writes to file descriptors that are not its own."""
  worker = started('garbles')
  worker.reset()
  with pytest.raises(
    workers.WorkerError, match='no message.*not for'
  ) as caught:
    worker.step(NO_ACTION)
  assert '\n' not in str(caught.value) and not is_alive(worker.pid)
  worker.restart()
  assert worker.reset().first()


STEP = {'step_type': 1, 'reward': 1.0, 'discount': 1.0, 'env_steps': 2}


@pytest.mark.parametrize(
  'fields, problem',
  [
    ({}, 'step_type'),
    (STEP | {'step_type': 7}, '7 is not a valid'),
    (STEP | {'reward': 'much'}, 'str is no number'),
    (STEP | {'env_steps': 2.5}, "'float' object"),
    (STEP, 'it observes'),
    ({'error': 3}, '3: None'),
    ({'error': 'TaskError', 'message': ['a'] * 10**6}, "^.'a', 'a'"),
  ],
)
def test_a_message_of_another_kind_is_a_worker_error(
  started, monkeypatch, fields, problem
):
  worker = started('load')
  monkeypatch.setattr(
    channel.Channel, 'receive', lambda *unused: (dict(fields), {})
  )
  with pytest.raises(errors.UserError, match=problem) as caught:
    worker.reset()
  assert len(str(caught.value)) < 2000
  assert not is_alive(worker.pid)


def test_an_interrupted_receive_ends_the_worker(started):
  """Else its answer would be taken for that to the next step."""
  worker = started('slow')
  worker.reset()
  worker.send(NO_ACTION)
  timer = threading.Timer(0.1, signal.raise_signal, [signal.SIGINT])
  timer.start()
  with pytest.raises(KeyboardInterrupt):
    worker.receive()
    time.sleep(10)
  with pytest.raises(workers.WorkerError, match='closed'):
    worker.step(NO_ACTION)
  worker.restart()
  assert worker.reset().first()


# --------------------------------------------------------- life and death ----


def test_closing_ends_the_process(started):
  worker = started('load')
  worker.close()
  assert not is_alive(worker.pid)
  worker.close()
  with pytest.raises(workers.WorkerError, match='closed'):
    worker.reset()


def test_a_forgotten_worker_ends(monkeypatch):
  monkeypatch.setattr(worker_process, '_END_SECONDS', 0.1)
  worker = start('hangs')
  worker.reset()
  worker.send(NO_ACTION)
  pid = worker.pid
  del worker
  gc.collect()
  assert wait_until(lambda: not is_alive(pid))


def test_a_worker_outlives_the_thread_that_asked_for_it(started):
  found = []
  thread = threading.Thread(target=lambda: found.append(started('load')))
  thread.start()
  thread.join()
  time.sleep(0.2)
  assert found[0].reset().first()


def simulators(text):
  """The process ids of the simulators of the task `Simulating`."""
  return [*map(int, re.findall(r'simulator (\d+)', text))]


def close(worker):
  worker.close()


def hang(worker):
  worker.reset()
  with pytest.raises(workers.WorkerError, match=r'no answer.*--step_timeout'):
    worker.step(NO_ACTION)


def die(worker):
  os.kill(worker.pid, signal.SIGKILL)
  with pytest.raises(workers.WorkerError, match='died: SIGKILL'):
    worker.reset()


@pytest.mark.parametrize('end', [close, hang, die])
def test_what_a_task_has_started_ends_with_it(started, end):
  worker = started('Simulating', timeout=1)
  assert wait_until(lambda: len(simulators(worker.output)) == 6)
  pids = simulators(worker.output)
  assert all(map(is_alive, pids))
  end(worker)
  assert not any(map(is_alive, pids))


@pytest.mark.parametrize('busy', [False, True])
def test_what_a_task_has_started_ends_with_a_killed_program(busy):
  code = f"""if True:
    import sys, time
    worker = workers.start('tests.strange_tasks:Simulating')
    worker.reset()
    while worker.output.count('simulator') < 6:
      time.sleep(0.1)
    if {busy}:
      worker.send([0, 0])
    print(worker.output.replace('\\n', ' '), flush=True)
    time.sleep(60)
  """
  process = parent(code)
  pids = simulators(process.stdout.readline())
  assert len(pids) == 6 and all(map(is_alive, pids))
  process.kill()
  process.wait()
  assert wait_until(lambda: not any(map(is_alive, pids)), seconds=5)


def test_a_step_is_interrupted_from_another_thread(started):
  worker = started('hangs')
  worker.reset()
  timer = threading.Timer(0.2, worker.interrupt)
  timer.start()
  with pytest.raises(workers.WorkerError, match='died'):
    worker.step(NO_ACTION)
  worker.interrupt()


@pytest.mark.parametrize('step', ['', 'worker.send([0, 0])'])
def test_no_worker_outlives_a_killed_parent(step):
  code = f"""if True:
    import time
    worker = workers.start('tests.strange_tasks:hangs')
    worker.reset()
    {step}
    print(worker.pid, flush=True)
    time.sleep(60)
  """
  process = parent(code)
  pid = int(process.stdout.readline())
  assert is_alive(pid)
  process.kill()
  process.wait()
  assert wait_until(lambda: not is_alive(pid))


def test_a_program_that_ends_takes_its_workers_along():
  process = parent("print(workers.start('tests.strange_tasks:load').pid)")
  pid = int(process.communicate(timeout=30)[0])
  assert process.returncode == 0
  assert wait_until(lambda: not is_alive(pid))


def test_a_worker_whose_parent_is_gone_already_ends():
  """The parent may end before the worker asks to end with it."""
  program, pipe = 'worldmodels.data.worker_main', subprocess.PIPE
  command = [sys.executable, '-m', program, str(os.getppid())]
  with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe) as process:
    assert process.wait(30) == 0


def test_ctrl_c_reaches_only_the_program(started):
  worker = started('load')
  assert os.getpgid(worker.pid) != os.getpgid(0)


# ------------------------------------------------------------- TensorFlow ----


def test_no_tensorflow_in_a_worker(started):
  worker = started('knows_modules', vectors=['taken'])
  assert not worker.reset().observation['taken'].any()


def test_workers_render_beside_tensorflow():
  try:
    graphics.backend()
  except graphics.GraphicsError as error:
    pytest.skip(str(error))
  code = """if True:
    import tensorflow as tf
    with workers.start('cartpole_swingup', quality='fast') as worker:
      frame = tf.cast(worker.reset(1).observation['image'], tf.float32)
      print(float(tf.reduce_mean(frame)) > 20)
  """
  assert parent(code).communicate(timeout=100)[0] == 'True\n'


def test_a_worker_starts_wherever_the_program_stands(tmp_path, monkeypatch):
  """The package is found by the path of the program, not by its folder."""
  monkeypatch.chdir(tmp_path)
  with workers.start('hill') as worker:
    assert worker.reset().first()


@pytest.mark.parametrize('place', ['checkout', 'project'])
def test_packages_of_the_user_may_be_called_like_ours(tmp_path, place):
  """As `data` is in most projects, and `agents` in CARLA's."""
  for name, text in {
    'data/__init__.py': '',
    'data/levels.py': 'FIRST = 3\n',
    'agents/__init__.py': '',
    'agents/navigation.py': 'from data import levels\n',
    'my_lab.py': 'import agents.navigation\nimport configs.mine\n'
    'from data import levels\nfrom worldmodels.data.tasks import hill\n'
    'ACTION_REPEAT = levels.FIRST\nload = hill.load\n',
    'configs/mine.py': '',
  }.items():
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text)
  here, there = (ROOT, tmp_path) if place == 'checkout' else (tmp_path, ROOT)
  code = """if True:
    from worldmodels.data import workers
    for task in ('my_lab:load', 'hill'):
      with workers.start(task) as worker:
        print(worker.reset().first() and worker.action_repeat)
  """
  done = subprocess.run(
    [sys.executable, '-c', code],
    cwd=here,
    env={**os.environ, 'PYTHONPATH': str(there)},
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.stdout == '3\n1\n', done.stderr


def test_a_task_may_lie_in_the_current_directory(tmp_path, monkeypatch):
  """Also where the program lies elsewhere, as one that is installed does."""
  source = (ROOT / 'data' / 'tasks' / 'hill.py').read_text()
  (tmp_path / 'my_hill.py').write_text(source)
  monkeypatch.chdir(tmp_path)
  assert str(tmp_path) not in sys.path
  with workers.start('my_hill:load') as worker:
    assert worker.reset().first()


def test_what_a_user_can_mend_keeps_its_kind():
  with pytest.raises(
    errors.UserError, match="^quality is 'best'; it is one of"
  ):
    workers.start('hill', quality='best')


def test_variables_of_the_user_are_kept(monkeypatch):
  monkeypatch.setenv('OMP_NUM_THREADS', '3')
  variables = worker_process._variables()
  assert variables['OMP_NUM_THREADS'] == '3'
  assert variables['LP_NUM_THREADS'] == '0'


FORKS = """
import multiprocessing
from worldmodels.data import workers
def play():
  worker = workers.start('hill')
  worker.reset(0)
  worker.close()
if __name__ == '__main__':
  play()
  child = multiprocessing.get_context('fork').Process(target=play)
  child.start()
  child.join(60)
  assert child.exitcode == 0, child.exitcode
"""


def test_a_fork_starts_workers_of_its_own():
  subprocess.run([sys.executable, '-c', FORKS], check=True, timeout=120)
