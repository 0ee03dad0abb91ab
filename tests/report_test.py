"""`worldmodels report` and `plot`: what they write, and what they refuse."""

import csv
import json
import pathlib
import shutil

import browser
import cv2
import numpy as np
import pytest

from worldmodels.agents.reports import all_figures
from worldmodels.agents.reports import audits
from worldmodels.agents.reports import compare
from worldmodels.agents.reports import films
from worldmodels.agents.reports import page
from worldmodels.agents.reports import random_policy
from worldmodels.agents.reports import records
from worldmodels.agents.reports import run_files
from worldmodels.agents.runs import animation
from worldmodels.data.store import Store

ROOT = pathlib.Path(__file__).parent.parent
RESULTS = ROOT / 'results'
HOSTILE = '</td><script>bad()</script><img src=http://127.0.0.1:9/x>'


@pytest.fixture
def no_tensorflow(tmp_path):
  """Variables under which TensorFlow cannot be imported."""
  folder = tmp_path / 'no_tensorflow'
  folder.mkdir()
  for name in ('tensorflow', 'keras'):
    (folder / f'{name}.py').write_text('raise RuntimeError("too early")\n')
  return {'PYTHONPATH': str(folder)}


def told(done):
  """The one line that a program that failed ended with."""
  assert done.returncode in (1, 2), done.stdout + done.stderr
  assert done.stderr.startswith('error: ') and done.stderr.count('\n') == 1
  return done.stderr


# ------------------------------------------------------- committed results ---


def test_the_committed_results_in_a_browser(
  wheel_program, no_tensorflow, tmp_path
):
  """Curves, scores, films and configs, without an error or the network."""
  out, table = tmp_path / 'report.html', tmp_path / 'figures.csv'
  others = (
    *('cartpole_balance_dreamer/seed_1', 'gymnasium_cartpole/seed_1'),
    'cartpole_swingup_dreamer_common/seed_1',
    *('gymnasium_cartpole/seed_2', 'pendulum/seed_1', 'pendulum/seed_2'),
  )
  runs = [RESULTS, *(RESULTS / f'{name}.jsonl' for name in others)]
  done = wheel_program(
    *('report', f'--logdir={",".join(map(str, runs))}', f'--out={out}'),
    *(f'--figures={table}', '--noplay'),
    *(f'--csv={tmp_path}/scores.csv', f'--picture={tmp_path}/curves.svg'),
    **no_tensorflow,
  )
  assert done.returncode == 0 and not done.stderr, done.stderr
  assert f'{out}: 23 runs, ' in done.stdout
  # The committed ones are of the same command, but that it plays.
  assert (tmp_path / 'scores.csv').read_bytes() == (
    (RESULTS / 'scores.csv').read_bytes()
  )
  drawn, kept = (
    (folder / 'curves.svg').read_text() for folder in (tmp_path, RESULTS)
  )
  assert len(kept) < 200_000 and 'after 100k frames (best published)' in drawn
  assert len(drawn) < len(kept) and 'random policy, mean of 10' in kept
  with table.open() as file:
    rows = list(csv.DictReader(file))
  values = {
    float(row['value'])
    for row in rows
    if (row['run'], row['figure']) == ('cartpole_balance', 'evaluate_return')
  }
  assert len(values) == 10 and 987.814 in values
  assert {'published', 'juggle_dreamer'} <= {row['run'] for row in rows}
  horizons = [
    row['horizon']
    for row in rows
    if row['figure'] == 'open_loop_policy_image'
    and row['run'] == 'juggle_dreamer'
  ]
  assert {'1', '15'} <= {*horizons}
  with browser.started() as shown:
    shown.open(out.as_uri())
    assert shown.errors == []
    loaded = [address.partition(':')[0] for address in shown.requests]
    assert {*loaded} == {'file', 'data'} and loaded.count('file') == 1
    assert shown.run('document.querySelectorAll("svg").length') == 44
    text = shown.run('document.body.innerText')
    assert (
      '985.3 ± 2.3 (10)' in text and 'cartpole_balance_dreamer/seed_1' in text
    )
    assert 'DreamerV3 (published)' in shown.run('document.body.textContent')
    # The films play, and nothing is wider than the page.
    sizes = shown.run('[...document.images].map(x => x.naturalWidth)')
    assert len(sizes) == 2 and min(sizes) > 400
    for width in (1240, 400):
      shown.open(out.as_uri(), width)
      assert shown.run('document.documentElement.scrollWidth') == width
    shown.open(out.as_uri())
    drawn = cv2.imdecode(np.frombuffer(shown.picture(), np.uint8), 1)
    # Blue and orange, the colors of the first two runs, are seen.
    for color in ((0xB2, 0x72, 0x00), (0x00, 0x5E, 0xD5)):
      assert (drawn == color).all(-1).sum() > 200
    assert drawn.shape[0] > 2000
    # And the committed page, to which README leads.
    shown.open((RESULTS / 'report.html').as_uri())
    assert shown.errors == []


def test_the_committed_page_is_that_of_the_committed_results():
  """It was made by the command that results/README.md names."""
  text = (RESULTS / 'report.html').read_text()
  assert 'http://' not in text.replace('http://www.w3.org/2000/svg', '')
  for record in records.read([str(RESULTS)]):
    mean, *_ = record.score()
    assert record.label in text and f'{mean:,.1f} ± ' in text
  for name in ('README.md', 'docs/seeing.md'):
    assert 'results/report.html' in (ROOT / name).read_text()


def test_plot_draws_the_same_charts(wheel_program, no_tensorflow, tmp_path):
  run = RESULTS / 'cartpole_balance'
  for ending in ('png', 'svg'):
    out = tmp_path / f'curves.{ending}'
    columns = 4 if ending == 'png' else 2
    done = wheel_program(
      *('plot', f'--logdir={run}', f'--out={out}', f'--columns={columns}'),
      **no_tensorflow,
    )
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert f'{out}: 4 charts, 1 runs' in done.stdout
  image = cv2.imread(str(tmp_path / 'curves.png'))
  assert image.shape[1] == 2 * 4 * 560 and image.min() < 60
  assert 'viewBox="0 0 1120 ' in (tmp_path / 'curves.svg').read_text()
  text = (tmp_path / 'curves.svg').read_text()
  assert text.startswith('<svg') and 'PlaNet' not in text
  assert 'cartpole_balance: return by minutes' in text


# --------------------------------------------------------- runs of any kind ---


def test_a_run_with_a_checkpoint_is_filmed(debug_run, wheel_program, tmp_path):
  """What it imagines, how it acts, and the random episodes it began with."""
  before = sorted(debug_run.rglob('*'))
  out = tmp_path / 'report.html'
  done = wheel_program('report', f'--logdir={debug_run}', f'--out={out}')
  assert done.returncode == 0 and not done.stderr, done.stderr
  assert sorted(debug_run.rglob('*')) == before
  text = out.read_text()
  assert text.count('<video src="data:video/webm;base64,') == 2
  assert 'The agent acting' in text and 'never trained on' in text
  assert 'episodes of random actions that these runs began with' in text
  with browser.started() as shown:
    shown.open(out.as_uri())
    shown.wait(
      '[...document.querySelectorAll("video")].every(x => x.videoWidth)'
    )
    shown.wait(
      '[...document.querySelectorAll("video")].every(x => x.currentTime > 0)'
    )
    assert shown.errors == []


def test_films_that_cannot_be_made_are_noted(
  debug_run, wheel_program, no_tensorflow, tmp_path
):
  run = tmp_path / 'run'
  shutil.copytree(debug_run, run)
  config = run / 'config.json'
  config.write_text(config.read_text().replace('"hill"', '"gone.task:load"'))
  for path in run.glob('checkpoints/*/variables.npz'):
    path.write_bytes(b'')
  out = tmp_path / 'report.html'
  done = wheel_program(
    'report', f'--logdir={run}', f'--out={out}', **no_tensorflow
  )
  assert done.returncode == 0 and not done.stderr, done.stderr
  assert 'run: no films: ' in done.stdout
  assert 'no films: ' in out.read_text() and '<video' not in out.read_text()


def hostile_run(path, **config):
  path.mkdir()
  config = dict(task=HOSTILE, agent=HOSTILE, x={HOSTILE: [HOSTILE]}, **config)
  (path / 'config.json').write_text(json.dumps(config))
  (path / 'versions.json').write_text(json.dumps([{HOSTILE: HOSTILE}]))
  lines = [
    dict(env_steps=1e299, episodes=1, updates=0, wall_seconds=0, **more)
    for more in (
      {'return': -1e299, HOSTILE: 3},
      {'evaluation_return': 1e299},
      {'open_loop_policy_image': [None, 1e299], 'last_evaluation_mean': []},
      {'open_loop_policy_copy_image': [HOSTILE]},
    )
  ]
  text = '\n'.join(map(json.dumps, lines))
  (path / 'metrics.jsonl').write_text(text)
  return path


def test_what_a_run_says_of_itself_is_only_shown(
  wheel_program, no_tensorflow, tmp_path
):
  """Nothing of it becomes a part of the page; the random policy is noted."""
  run = hostile_run(tmp_path / 'a<b>&run')
  (run / 'dream.webp').write_bytes(b'RIFF')
  out = tmp_path / 'report.html'
  done = wheel_program(
    *('report', f'--logdir={run}', f'--out={out}'),
    f'--csv={tmp_path / "scores.csv"}',
    f'--figures={tmp_path / "figures.csv"}',
    f'--picture={tmp_path / "curves.svg"}',
    **no_tensorflow,
  )
  assert done.returncode == 0 and not done.stderr, done.stderr
  assert 'no random policy to compare with: ' in done.stdout
  assert 'dream.webp is damaged' in done.stdout
  with browser.started() as shown:
    shown.open(out.as_uri())
    assert shown.errors == [] and len(shown.requests) == 1
    assert shown.run('document.scripts.length + document.images.length') == 0
    assert HOSTILE in shown.run('document.body.textContent')
  done = wheel_program('plot', f'--logdir={run}', f'--out={tmp_path / "a.png"}')
  assert done.returncode == 0 and not done.stderr, done.stderr


def test_a_film_that_is_kept_is_as_large_as_it_is_shown(tmp_path):
  noise = np.random.default_rng(0).integers(0, 255, [6, 300, 1240, 3], np.uint8)
  animation.write(tmp_path / 'dream.webp', noise, fps=25)
  record = records.Record(tmp_path, tmp_path / 'metrics.jsonl')
  (film,) = films.kept(record)
  (first, *_) = animation.decode(film.content, '.webp')
  assert first.shape[:2] == (150, 620) and film.kind == 'image/webp'
  assert animation.rate(film.content, '.webp') == pytest.approx(25, rel=0.02)
  animation.write(tmp_path / 'dream.webp', noise[:, :30, :40])
  (film,) = films.kept(record)
  assert film.content == (tmp_path / 'dream.webp').read_bytes()


# ---------------------------------------------------------- random policies ---


def test_the_random_policy_is_that_of_the_run_or_is_played(debug_run, tmp_path):
  (kept,) = records.read([str(debug_run)])
  returns, sources = compare.random_returns([kept], False, print)
  count = kept.config['train']['seed_episodes']
  own = Store(debug_run / 'episodes', reading=True)
  assert len(returns['hill']) == 2 * count
  assert returns['hill'][:count] == [own.return_of(i) for i in range(count)]
  assert 'that these runs began with' in sources['hill']
  # A record without episodes: they are played, if one may.
  (tmp_path / 'run').mkdir()
  for name in ('config.json', 'metrics.jsonl'):
    shutil.copy(debug_run / name, tmp_path / 'run')
  (lacking,) = records.read([str(tmp_path / 'run')])
  assert not random_policy.of_run(lacking)
  assert compare.random_returns([lacking], False, print)[0] == {}
  returns, sources = compare.random_returns([lacking], True, print)
  assert len(returns['hill']) == 10 and 'played for' in sources['hill']
  assert 2 < np.mean(returns['hill']) < 20  # README: about 10.


def test_episodes_of_others_are_of_no_random_policy(debug_run, tmp_path):
  shutil.copytree(debug_run, tmp_path / 'run')
  path = tmp_path / 'run' / 'config.json'
  config = json.loads(path.read_text())
  config['train']['updates_total'] = 10
  path.write_text(json.dumps(config))
  (fitted,) = records.read([str(tmp_path / 'run')])
  assert not random_policy.of_run(fitted)


def test_the_random_episodes_of_one_seed_count_once(debug_run, tmp_path):
  shutil.copytree(debug_run, tmp_path / 'a')
  shutil.copytree(debug_run, tmp_path / 'b')
  once, _ = compare.random_returns(records.read([str(debug_run)]), False, print)
  twice = compare.random_returns(records.read([str(tmp_path)]), False, print)
  assert (
    twice[0] == once
    and f'of {len(once["hill"])} episodes' in (twice[1]['hill'])
  )


def test_a_damaged_run_does_not_keep_others_out(debug_run, tmp_path):
  shutil.copytree(debug_run, tmp_path / 'good')
  (tmp_path / 'zeros').mkdir()
  (tmp_path / 'zeros' / 'metrics.jsonl').write_bytes(bytes(100) + b'\n')
  (tmp_path / 'folder' / 'metrics.jsonl').mkdir(parents=True)
  found = records.read([str(tmp_path)])
  assert [bool(record.lines) for record in found] == [False, True, False]
  for place in (0, 2):
    assert [x for x in found[place].notes if x.startswith('no figures: ')]
  page.build(page.Contents(found, {}, {}, {}), 'now')
  with pytest.raises(run_files.RecordError, match='no line that a run has'):
    records.read([str(tmp_path / 'zeros')])


def test_an_old_audit_says_of_what_it_is():
  text = audits._about(dict(checkpoint=1500, config={'acting': 'policy'}), 4000)
  assert text == (
    'Of the checkpoint of 1,500 updates; the run has 4,000 by now. It acted '
    'with acting=policy.'
  )
  assert audits._about(dict(checkpoint=1500), 1500) == (
    'Of the checkpoint of 1,500 updates.'
  )
  assert 'not named' in audits._about(dict(checkpoint='<b>'), 0)


def test_the_page_says_what_is_known_of_a_random_policy():
  record = records.Record(ROOT, ROOT / 'metrics.jsonl', label='a')
  record.config = {'task': 'hill'}
  contents = page.Contents([record], {}, {}, {})
  text = page.build(contents, 'now').decode()
  assert 'Random policy: not known here.' in text
  contents = page.Contents([record], {'hill': [1.0, 2.0]}, {'hill': 'of x'}, {})
  text = page.build(contents, 'now').decode()
  assert 'Random policy: of x.' in text and '>1.5<' in text
  written = all_figures.table([record], {'hill': [1.0]})
  assert b'random policy,random' in written


# -------------------------------------------------------------- wrong input ---


@pytest.mark.parametrize(
  'program_name, flags, says',
  [
    ('report', (), '--logdir is missing'),
    ('report', ('--logdir=gone',), '--logdir=gone: there is no such run'),
    ('report', ('--logdir=docs',), 'holds no metrics.jsonl'),
    ('report', ('--logdir=LICENSE',), 'no line that a run has written'),
    ('report', ('--logdir=',), '--logdir'),
    ('report', ('--logdir=results,,',), "--logdir is ''"),
    ('report', ('--logdir=results', '--out=a.pdf'), 'it ends in .html'),
    ('report', ('--logdir=results', '--out=gone/a.html'), 'no gone is there'),
    ('report', ('--logdir=results', '--csv=a.txt'), 'it ends in .csv'),
    ('report', ('--logdir=results', '--figures=a.txt'), 'it ends in .csv'),
    ('report', ('--logdir=results', '--picture=a.jpg'), '.png or .svg'),
    (
      'report',
      ('--logdir=results', '--csv=a.csv', '--figures=./a.csv'),
      '--figures is the file of --csv',
    ),
    ('report', ('--logdir=results', '--out=/proc/a.html'), '--out is'),
    ('report', ('--logdir=results', 'more'), "argument 'more'"),
    ('plot', ('--logdir=results', '--out=a.jpg'), 'it ends in .png or .svg'),
    ('plot', ('--logdir=results', '--charts=loss'), '--charts is'),
    ('plot', ('--logdir=gone',), 'there is no such run'),
    ('plot', ('--logdir=results', '--columns=-1'), '--columns=-1'),
  ],
)
def test_wrong_input_is_one_line(
  program_name, flags, says, program, no_tensorflow
):
  done = program(program_name, *flags, **no_tensorflow)
  assert says in told(done)
  assert not list(ROOT.glob('report.html')) + list(ROOT.glob('curves.png'))
