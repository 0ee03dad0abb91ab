"""The recipes of docs/recipes: what they start, on stand-ins for what does it.

Which Ray, which flags, which ports: what the page promises. The commands that
they give are written down by scripts of the same names.
"""

import os
import pathlib
import re
import signal
import subprocess
import time

import pytest

yaml = pytest.importorskip('yaml')  # Comes with Ray.

ROOT = pathlib.Path(__file__).parent.parent
RECIPES = ROOT / 'docs' / 'recipes'
PAGE = (ROOT / 'docs' / 'cluster_recipes.md').read_text()
SCRIPTS = ('head.sh', 'node.sh', 'slurm.sh')
DOCUMENTS = list(yaml.safe_load_all((RECIPES / 'kuberay.yaml').read_text()))
CLUSTER = DOCUMENTS[-1]

# Writes down how it was called; those that stay do so until they are ended.
STAND_IN = """#!/usr/bin/env bash
for s in INT TERM; do
  trap "echo \\"${0##*/} ended by $s\\" >> \\"$CALLS\\"; exit 0" $s
done
known="$(env | grep '^RAY_' | sed 's/=.*//' | sort | tr '\\n' ' ')"
printf '%s %s\\n  %s\\n' "${0##*/}" "$*" "$known" >> "$CALLS"
"""
STAYS = 'while true; do sleep 0.02; done\n'
BODIES = {
  'ray': STAYS,
  'worldmodels': STAYS,
  'scontrol': '[ "$1" != show ] || printf "one\\ntwo\\n"\n',
  'srun': (
    'while [ "${1:0:1}" = - ]; do [ "$1" != -w ] || shift; shift; done\n'
    'if [ "$1" = hostname ]; then echo 192.0.2.10 192.0.2.11; exit; fi\n'
    'exec "$@"\n'
  ),
  'python3': ('if [ "$1" = -c ]; then echo k3y; else cat > /dev/null; fi\n'),
}


@pytest.fixture
def stand_ins(tmp_path):
  """Variables under which the programs of the recipes are stand-ins."""
  folder = tmp_path / 'bin'
  folder.mkdir()
  for name, body in BODIES.items():
    (folder / name).write_text(STAND_IN + body)
    (folder / name).chmod(0o755)
  found = {k: v for k, v in os.environ.items() if not k.startswith('RAY_')}
  return found | {
    'PATH': f'{folder}:/usr/bin:/bin',
    'HOME': str(tmp_path / 'home'),
    'CALLS': str(tmp_path / 'calls'),
  }


def started(stand_ins, script, *arguments, until='ray start', **variables):
  """Starts a recipe, and ends it once something was called; what was called."""
  calls = pathlib.Path(stand_ins['CALLS'])
  with subprocess.Popen(
    ['bash', RECIPES / script, *arguments],
    env=stand_ins | variables,
    stdout=subprocess.DEVNULL,
    process_group=0,
  ) as process:
    await_text(calls, until)
    process.send_signal(signal.SIGTERM)
    process.wait(10)
  return calls.read_text()


def await_text(path, text):
  deadline = time.monotonic() + 20
  while not path.exists() or text not in path.read_text():
    assert time.monotonic() < deadline, path.exists() and path.read_text()
    time.sleep(0.02)


# ---------------------------------------------------------- head and nodes ---


@pytest.mark.parametrize('script', SCRIPTS)
def test_a_shell_takes_it(script):
  path = RECIPES / script
  done = subprocess.run(['bash', '-n', path], capture_output=True, text=True)
  assert done.returncode == 0, done.stderr
  assert os.access(path, os.X_OK)
  assert 'set -euo pipefail' in path.read_text()


@pytest.mark.parametrize('script', SCRIPTS)
def test_the_flags_of_ray_are_there(script):
  ray = pytest.importorskip('ray')
  known = (pathlib.Path(ray.__file__).parent / 'scripts/scripts.py').read_text()
  _, _, called = (RECIPES / script).read_text().partition('ray start --')
  flags = re.findall(r'(?<=\s)--([a-z-]+)', f' --{called}')
  assert flags
  for flag in flags:
    if flag not in ('cluster', 'nodes', 'ntasks-per-node', 'overlap'):
      assert f'"--{flag}"' in known, flag


def test_a_head_is_on_loopback_with_a_token_unless_told_otherwise(
  stand_ins, tmp_path
):
  called = started(stand_ins, 'head.sh')
  assert '--node-ip-address=127.0.0.1' in called
  assert 'RAY_AUTH_MODE RAY_AUTH_TOKEN_PATH' in called
  assert 'RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER' in called  # On loopback alone.
  assert '--include-dashboard=false' in called
  assert 'RAY_worker_niceness' in called
  token = tmp_path / 'home' / '.ray' / 'auth_token'
  assert token.read_text().strip() == 'k3y'
  assert token.stat().st_mode & 0o077 == 0
  assert token.parent.stat().st_mode & 0o077 == 0
  # Another one: the token stays, and further flags are handed on.
  token.write_text('mine')
  called = started(
    stand_ins, 'head.sh', '192.0.2.10', '--num-cpus=8', until='--num-cpus=8'
  ).partition('ray start --head --block --node-ip-address=192.0.2.10')[2]
  assert 'WINDOWS' not in called and 'RAY_AUTH_MODE' in called
  assert token.read_text() == 'mine'


def test_ports_are_those_of_the_page(stand_ins):
  called = started(stand_ins, 'head.sh')
  flags = dict(re.findall(r'--([a-z-]+)=(\S+)', called))
  assert f'| {flags["port"]} | head: who is in' in PAGE
  managers = flags['node-manager-port'], flags['object-manager-port']
  assert f'| {", ".join(managers)} | each node: its manager' in PAGE
  assert f'| {flags["ray-client-server-port"]} | head: Ray Client' in PAGE
  ports = flags['min-worker-port'], flags['max-worker-port']
  assert f'| {" to ".join(ports)} | each node: its workers' in PAGE


def test_a_node_without_a_token_does_not_join(stand_ins, tmp_path):
  done = subprocess.run(
    ['bash', RECIPES / 'node.sh', '192.0.2.10:6379', '192.0.2.11'],
    env=stand_ins,
    capture_output=True,
    text=True,
  )
  assert done.returncode == 1 and 'copy that of the head' in done.stderr
  assert not (tmp_path / 'calls').exists()
  done = subprocess.run(
    ['bash', RECIPES / 'node.sh', 'x'], env=stand_ins, capture_output=True
  )
  assert done.returncode == 2 and b'usage: node.sh' in done.stderr
  done = subprocess.run(
    ['bash', RECIPES / 'node.sh', '127.0.0.1:6379', '192.0.2.11'],
    env=stand_ins,
    capture_output=True,
  )
  assert done.returncode == 2 and b'on loopback takes no nodes' in done.stderr
  (tmp_path / 'home' / '.ray').mkdir(parents=True)
  (tmp_path / 'home' / '.ray' / 'auth_token').write_text('x')
  called = started(stand_ins, 'node.sh', '192.0.2.10:6379', '192.0.2.11')
  assert '--address=192.0.2.10:6379 --node-ip-address=192.0.2.11' in called
  assert 'RAY_AUTH_MODE RAY_AUTH_TOKEN_PATH' in called


# ------------------------------------------------------------------- SLURM ---


def of_slurm(tmp_path):
  (tmp_path / '.venv' / 'bin').mkdir(parents=True)
  return dict(
    SLURM_SUBMIT_DIR=str(tmp_path),
    SLURM_JOB_ID=str(10**8 + os.getpid()),
    SLURM_JOB_NODELIST='two of them',
    SLURM_CPUS_PER_TASK='8',
  )


@pytest.mark.parametrize('time_is_up', [False, True])
def test_a_job_starts_a_cluster_and_ends_it(time_is_up, stand_ins, tmp_path):
  variables = of_slurm(tmp_path)
  calls = tmp_path / 'calls'
  with subprocess.Popen(
    ['bash', RECIPES / 'slurm.sh', '--tasks=hill', '--logdir=a folder'],
    env=stand_ins | variables,
    process_group=0,
  ) as process:
    await_text(calls, 'worldmodels sweep')
    for count in ('--head', '--address='):
      await_text(calls, count)
    if time_is_up:
      process.send_signal(signal.SIGUSR1)
      assert process.wait(20) == 0
    else:
      sweep = subprocess.run(
        ['pgrep', '-P', str(process.pid), '-f', 'worldmodels sweep'],
        capture_output=True,
        text=True,
      )
      os.kill(int(sweep.stdout), signal.SIGTERM)
      assert process.wait(20) == 0
  called = calls.read_text()
  port = 20000 + int(variables['SLURM_JOB_ID']) % 1000 * 10
  head, other = re.findall(r'^ray (start .*)\n(.*)', called, re.MULTILINE)
  if '--head' not in head[0]:
    head, other = other, head
  assert f'--head --node-ip-address=192.0.2.10 --port={port} ' in f'{head[0]} '
  assert '--num-cpus=8' in head[0] and '--include-dashboard=false' in head[0]
  assert f'--address=192.0.2.10:{port}' in other[0]
  for _, known in (head, other):
    assert 'RAY_AUTH_MODE RAY_AUTH_TOKEN ' in known
    assert 'RAY_worker_niceness' in known
  assert (
    f'worldmodels sweep --cluster=192.0.2.10:{port} --tasks=hill '
    '--logdir=a folder\n' in called
  )
  assert 'k3y' not in called  # Others see the arguments of processes.
  assert called.count('ray ended by TERM') == 2
  assert ('worldmodels ended by INT' in called) == time_is_up
  assert ('scontrol requeue' in called) == time_is_up
  left = pathlib.Path('/tmp').glob(f'ray-{variables["SLURM_JOB_ID"]}*')
  assert not [*left]


# -------------------------------------------------------------- Kubernetes ---


def pods():
  spec = CLUSTER['spec']
  for group in (spec['headGroupSpec'], *spec['workerGroupSpecs']):
    yield group, group['template']['spec']


def test_a_cluster_of_kuberay():
  """Fields as in the schema of KubeRay, which is too large to be kept here."""
  assert [x['kind'] for x in DOCUMENTS] == [
    *('PersistentVolumeClaim', 'NetworkPolicy', 'RayCluster')
  ]
  assert CLUSTER['apiVersion'] == 'ray.io/v1'
  spec = CLUSTER['spec']
  assert set(spec) == {
    *('rayVersion', 'authOptions', 'headGroupSpec', 'workerGroupSpecs')
  }
  assert set(spec['headGroupSpec']) == {'rayStartParams', 'template'}
  for group in spec['workerGroupSpecs']:
    assert group['minReplicas'] <= group['replicas'] <= group['maxReplicas']
  claim = DOCUMENTS[0]
  assert claim['spec']['accessModes'] == ['ReadWriteMany']
  for group, pod in pods():
    assert all(isinstance(x, str) for x in group['rayStartParams'].values())
    (container,) = pod['containers']
    mounted = {x['name']: x['mountPath'] for x in container['volumeMounts']}
    assert set(mounted) == {x['name'] for x in pod['volumes']}
    assert mounted['runs'] == '/runs'
    assert pod['volumes'][0]['persistentVolumeClaim'] == {
      'claimName': claim['metadata']['name']
    }
    assert (
      container['resources']['limits'] == container['resources']['requests']
    )


def test_nobody_reaches_a_cluster_of_kuberay():
  assert CLUSTER['spec']['authOptions'] == {'mode': 'token'}
  head = CLUSTER['spec']['headGroupSpec']['rayStartParams']
  assert head['dashboard-host'] == '127.0.0.1'
  ours = {
    'podSelector': {
      'matchLabels': {'ray.io/cluster': CLUSTER['metadata']['name']}
    }
  }
  policy = DOCUMENTS[1]['spec']
  assert policy['podSelector'] == ours['podSelector']
  assert policy['policyTypes'] == ['Ingress']
  assert policy['ingress'] == [{'from': [ours]}]
  for _, pod in pods():
    assert pod['automountServiceAccountToken'] is False
    assert pod['containers'][0]['env'] == [
      {'name': 'RAY_worker_niceness', 'value': '0'}
    ]
    assert pod['securityContext']['runAsUser'] != 0


def test_versions_are_the_pins():
  pinned = re.search(
    r'^ray==(\S+)$', (ROOT / 'requirements-dev.txt').read_text(), re.MULTILINE
  )[1]
  project = (ROOT / 'pyproject.toml').read_text()
  version = re.search(r'^version = "(.*)"', project, re.MULTILINE)[1]
  docker = (RECIPES / 'Dockerfile').read_text()
  assert CLUSTER['spec']['rayVersion'] == pinned
  assert f'"ray[default]=={pinned}"' in docker
  images = {pod['containers'][0]['image'] for _, pod in pods()}
  assert images == {f'REGISTRY/worldmodels:{version}'}
  for text in (docker, PAGE):
    assert f'-t {images.copy().pop()} .' in text
  # The token is Ray's from 2.52 on.
  assert 'Ray has it since 2.52' in PAGE
  assert 'cluster = ["ray>=2.52.' in project
  python = re.search(r'^FROM python:(3\.\d+)-', docker, re.MULTILINE)[1]
  assert f'Python :: {python}"' in project


def test_an_image_has_all_of_the_package_and_no_root():
  docker = (RECIPES / 'Dockerfile').read_text()
  joined = docker.replace('\\\n', ' ')
  steps = [
    line.split(' ', 1)
    for line in joined.splitlines()
    if line and not line.startswith('#')
  ]
  known = {'FROM', 'RUN', 'ENV', 'WORKDIR', 'COPY', 'ARG', 'USER'}
  assert {step for step, _ in steps} <= known
  copied = {x for s, text in steps if s == 'COPY' for x in text.split()[:-1]}
  assert {'worldmodels', 'agents', 'configs', 'data'} <= copied
  assert all((ROOT / name).exists() for name in copied), copied
  extras = re.search(r'ARG EXTRAS=(\S+)', docker)[1].split(',')
  project = (ROOT / 'pyproject.toml').read_text()
  for name in (*extras, 'gpu'):
    assert f'\n{name} = [' in project
  users = [text for step, text in steps if step == 'USER']
  assert users == ['ray'] and '--uid 1000' in docker


# ---------------------------------------------------------------- the page ---


def test_the_danger_is_said_before_the_first_command():
  first = PAGE.index('\n    ')
  for said in (
    'Ray runs the code of whoever reaches it',
    'RAY_AUTH_MODE=token',
    'loopback',
    'TLS',
  ):
    assert PAGE.index(said) < first, said


def test_commands_of_the_page_have_flags_that_exist(program):
  text = PAGE + (RECIPES / 'slurm.sh').read_text()
  shown = program('sweep', '--help').stdout
  known = set(re.findall(r'^  --(?:\[no\])?(\w+)', shown, re.MULTILINE))
  for command in re.findall(
    r'(?:sweep|slurm\.sh) ((?:.|\\\n)*?)(?:>>|\n\n)', text
  ):
    for flag in re.findall(r'(?<=\s)--(\w+)=', f' {command}'):
      assert flag in known or flag == 'nodes', flag
  assert '--cluster=' in text and 'cluster' in known


def test_every_file_is_on_the_page():
  for path in RECIPES.iterdir():
    assert f'(recipes/{path.name})' in PAGE, path.name
