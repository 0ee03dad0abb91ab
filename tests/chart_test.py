"""Charts: where things are drawn, as SVG and as pixels; curves of seeds."""

import math
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest

from worldmodels.agents.reports import chart
from worldmodels.agents.reports import figures
from worldmodels.agents.reports import groups
from worldmodels.agents.reports import open_loop_charts
from worldmodels.agents.reports import published
from worldmodels.agents.reports import raster
from worldmodels.agents.reports import records
from worldmodels.agents.reports import svg

NAN = float('nan')


def made(*series, **options):
  return chart.Chart('title', 'x', 'y', series, **options)


def lines_of(one):
  """Paths of a series of color #123456."""
  _, _, shapes = chart.layout(one)
  return [
    x for x in shapes if isinstance(x, chart.Path) and x.color == '#123456'
  ]


def line(points, **options):
  return chart.Series('', points, '#123456', **options)


@pytest.mark.parametrize(
  'low, high',
  [(0, 1), (-3.7, 988), (5, 5), (0, 0), (1e-9, 2e-9), (-1e200, 1e200), (7, 3)],
)
def test_ticks_are_round_and_hold_all(low, high):
  found = chart.ticks(low, high, 5)
  assert found[0] <= min(low, high) + 1e-12 and found[-1] >= high - 1e-12
  assert 2 <= len(found) <= 12 and np.isfinite(found).all()
  steps = np.diff(found)
  assert np.allclose(steps, steps[0])
  first = float(f'{steps[0]:.6e}'.split('e')[0])
  assert min(abs(first - x) for x in (1, 2, 2.5, 5)) < 1e-6


@pytest.mark.parametrize(
  'value, text',
  [(0, '0'), (2.5, '2.5'), (-40, '-40'), (1000, '1000'), (40000, '40k')]
  + [(1e6, '1M'), (2.5e6, '2.5M'), (3e12, '3e+12'), (1e-5, '1e-05')],
)
def test_numbers_are_short(value, text):
  assert chart.number(value) == text


def test_higher_is_higher_and_later_is_to_the_right():
  ((low, high),) = [
    path.points for path in lines_of(made(line([(0, 1), (9, 5)])))
  ]
  assert low[0] < high[0] and low[1] > high[1]
  width, height, _ = chart.layout(made(line([(0, 1), (9, 5)])))
  assert 0 < low[0] < high[0] < width and 0 < high[1] < low[1] < height


def test_a_line_breaks_at_nan_and_ends_at_the_right_end():
  paths = lines_of(made(line([(0, 0), (1, 1), (2, NAN), (3, 3), (4, 4)])))
  assert [len(path.points) for path in paths] == [2, 2]
  (cut,) = lines_of(made(line([(0, 0), (10, 10)]), right=5.0))
  (whole,) = lines_of(made(line([(0, 0), (5, 5)]), right=5.0))
  assert np.allclose(cut.points, whole.points)
  # What lies beyond does not stretch the axis.
  assert np.allclose(whole.points[1][1], cut.points[1][1])


def test_bands_and_single_points():
  band = line([(0, 2), (1, 2)], low=[1, 1], high=[3, 3])
  filled = [path for path in lines_of(made(band)) if path.filled]
  assert len(filled) == 1 and len(filled[0].points) == 4
  _, _, shapes = chart.layout(made(line([(3, 3)])))
  assert sum(isinstance(shape, chart.Dot) for shape in shapes) == 1


def test_a_chart_of_nothing_says_so():
  for one in (made(), made(line([])), made(line([(1, NAN)]))):
    _, _, shapes = chart.layout(one)
    texts = [shape.text for shape in shapes if isinstance(shape, chart.Text)]
    assert 'no figures yet' in texts


HOSTILE = '</text><script>alert(1)</script>&"\' \x00\x0b\ud800\uffff'


def test_svg_is_a_sound_file_whatever_names_are():
  series = chart.Series(HOSTILE, [(0, 0), (1, 1)], dots=True)
  one = chart.Chart(HOSTILE, HOSTILE, HOSTILE, [series])
  text = svg.draw([[one, one], [one]])
  root = ElementTree.fromstring(text.encode())
  names = {element.tag.rpartition('}')[2] for element in root.iter()}
  assert 'script' not in names and {'text', 'polyline', 'circle'} <= names
  assert float(root.get('width')) == 2 * chart.WIDTH


def test_pixels_have_the_lines_where_the_layout_has_them():
  one = made(line([(0, 0), (10, 10)], width=4.0))
  image = raster.draw([[one]])
  width, height, _ = chart.layout(one)
  assert image.shape[1] == raster.SCALE * width and image.dtype == np.uint8
  ((start, stop),) = [path.points for path in lines_of(one)]
  x, y = np.mean([start, stop], 0) * raster.SCALE
  assert tuple(image[round(y), round(x)]) == (0x12, 0x34, 0x56)
  decoded = cv2.imdecode(
    np.frombuffer(raster.png(image), np.uint8), cv2.IMREAD_COLOR_RGB
  )
  assert np.array_equal(decoded, image)
  # Dashes leave gaps; bands and strange names are drawn too.
  dashed = raster.draw([[made(line([(0, 5), (10, 5)], dashed=True))]])
  row = (dashed == (0x12, 0x34, 0x56)).all(-1).any(0)
  assert 0.3 < row[200:1000].mean() < 0.9
  odd = chart.Series(HOSTILE, [(0, 0), (1, 1)], low=[-1, -1], high=[2, 2])
  assert raster.draw([[chart.Chart(HOSTILE, 'x', 'y', [odd])]]).any()


def test_the_mean_of_seeds_is_taken_where_all_are_known():
  points, low, high = figures.mean([[(0, 0.0), (4, 4.0)], [(2, 0.0), (6, 0.0)]])
  assert points == [(2, 1.0), (4, 2.0)]
  assert (low, high) == ([0.0, 0.0], [2.0, 4.0])
  assert figures.mean([[(0, 1.0)], [(5, 1.0)]]) == ([], [], [])


def test_an_axis_of_zeros_is_from_0_to_1():
  assert chart.ticks(0.0, 0.0, 5)[0] == 0
  assert chart.ticks(0.0, 0.0, 5)[-1] == 1
  assert chart.ticks(5.0, 5.0, 5)[0] < 5 < chart.ticks(5.0, 5.0, 5)[-1]


def test_long_curves_are_thinned():
  points = [(float(x), float(x % 2)) for x in range(100_000)]
  found = figures.thinned(points)
  assert len(found) == 1000 and found[0] == (49.5, 0.5)
  assert figures.thinned(points[:1000]) == points[:1000]
  one = record(0, [1.0] * 5000)
  for chart_of in figures.charts('hill', [one], []):
    _, _, shapes = chart.layout(chart_of)
    assert len(svg.draw([[chart_of]])) < 100_000
    assert not [x for x in shapes if isinstance(x, chart.Dot)]


def record(seed, returns, **config):
  found = records.Record('run', records.pathlib.Path('metrics.jsonl'))
  found.label = f'seed_{seed}'
  found.config = dict(task='hill', agent='planet', seed=seed, **config)
  for step, value in enumerate(returns, 1):
    found.lines.append(
      dict(env_steps=step, episodes=1, updates=1, wall_seconds=60.0 * step)
      | {'return': value, 'evaluation_return': value}
    )
  return found


def test_seeds_of_one_config_are_a_group():
  seeds = [record(0, [1, 2]), record(1, [3, 4]), record(0, [5, 6], preset='x')]
  assert [len(group.records) for group in groups.groups(seeds)] == [2, 1]
  returns, minutes = figures.charts('hill', seeds, [2.0, 4.0])
  names = [series.name for series in returns.series]
  assert 'random policy, mean of 2' in names
  (mean,) = [x for x in returns.series if 'mean of 2 seeds' in x.name]
  assert mean.points == [(1.0, 2.0), (2.0, 3.0)] and mean.low == [1.0, 2.0]
  (mean,) = [x for x in minutes.series if 'mean of 2 seeds' in x.name]
  assert [x for x, _ in mean.points] == [1.0, 2.0] and minutes.right == 2.0
  # A seed without a curve yet is none of those.
  begun = record(2, [])
  returns, _ = figures.charts('hill', [begun, *seeds], [])
  assert [x.name for x in returns.series if 'mean of' in x.name] == [mean.name]
  returns, _ = figures.charts('hill', [begun, seeds[0]], [])
  assert [x.name for x in returns.series if x.name] == ['seed_0 (planet)']


def test_open_loop_has_the_baselines_and_takes_the_newest():
  one = record(0, [1.0])
  for value in (9.0, 3.0):
    figures_of = {
      f'open_loop_policy_{key}': [value, None, value + 1]
      for key in ('image', 'copy_image', 'mean_image')
    }
    one.lines.append(dict(one.lines[0], **figures_of))
  (found,) = figures.charts('hill', [one], [], ['open_loop'])
  assert len(found.series) == 3 and found.zero
  for series in found.series:
    assert series.points[0] == (1, 3.0) and math.isnan(series.points[1][1])


def open_loop_of(one, kind, **values):
  """Adds a line of open-loop figures to a run."""
  found = {f'open_loop_{kind}_{key}': value for key, value in values.items()}
  one.lines.append(dict(one.lines[0], **found))


def test_of_several_members_reward_and_ranks_have_charts():
  several, alone = record(0, [1.0]), record(1, [1.0])
  errors = dict(image=[2.0], copy_image=[3.0], reward=[0.5])
  open_loop_of(alone, 'random', **errors)
  open_loop_of(
    several,
    'random',
    **errors,
    reward_variance=[4.0],
    image_disagreement=[0.1],
    reward_disagreement=[0.2],
    image_disagreement_correlation=[0.7],
    reward_disagreement_correlation=[None],
  )
  error, reward, ranks = figures.charts(
    'hill', [several, alone], [], ['open_loop']
  )
  assert 'error of the reward' in reward.title
  values = [[y for _, y in series.points] for series in reward.series]
  assert values == [[0.5], [4.0], [0.2], [0.5]]
  image, rewards = ranks.series
  assert image.points == [(1, 0.7)] and 'image of' in image.name
  assert math.isnan(rewards.points[0][1]) and not ranks.zero
  # Who has one member has the first chart alone.
  (error,) = open_loop_charts.charts('hill', groups.groups([alone]))
  assert 'open-loop error, random episodes' in error.title


def test_without_images_the_first_vector_is_shown():
  one = record(0, [1.0])
  both = dict(speed=[2.0], copy_speed=[3.0], mean_speed=[1.0])
  both |= dict(place=[7.0], copy_place=[8.0], copy_reward=[9.0])
  open_loop_of(one, 'policy', **both)
  (found,) = figures.charts('hill', [one], [], ['open_loop'])
  values = [series.points[0][1] for series in found.series]
  assert values == [2.0, 3.0, 1.0]
  assert found.y == 'half the squared error of speed, nats'
  open_loop_of(one, 'policy', image=[5.0], copy_image=[6.0])
  (found,) = figures.charts('hill', [one], [], ['open_loop'])
  assert [series.points[0][1] for series in found.series] == [5.0, 6.0]


def test_a_model_that_was_fitted_has_no_returns():
  one = record(0, [])
  assert [x.title for x in figures.charts('hill', [one], [])][0].startswith(
    'hill: return'
  )  # It has just begun.
  counters = dict(env_steps=1, episodes=1, updates=1, wall_seconds=1.0)
  one.lines = [
    dict(counters, open_loop_heldout_image=[1.0], open_loop_copy_image=[2.0])
  ]
  (found,) = figures.charts('hill', [one], [1.0])
  assert found.title == 'hill: open-loop error, heldout episodes'


def test_published_curves_are_of_known_methods_and_sources():
  curves = published.curves('cartpole_swingup')
  assert curves['planet'] == [published.Point(1_000_000, 821.0, None, None)]
  assert {'dreamer', 'dreamerv3', 'drqv2'} <= curves.keys()
  assert curves.keys() <= published.SOURCES.keys() == figures._PALE.keys()
  for points in curves.values():
    steps = [point.env_steps for point in points]
    assert steps == sorted(set(steps))
    assert all(0 <= point.mean <= 1000 for point in points)
  assert published.curves('hill') == {}
  # They are on the chart as far as the run goes, and not before it begins.
  one = record(0, [1.0] * 3)
  one.config['task'] = 'cartpole_swingup'
  for number, found in enumerate(one.lines, 1):
    found['env_steps'] = 20_000 * number
  returns, *_ = figures.charts('cartpole_swingup', [one], [])
  names = {series.name for series in returns.series}
  assert 'DreamerV3 (published)' in names and 'PlaNet (published)' not in names
