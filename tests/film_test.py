import numpy as np
import pytest
import tensorflow as tf

from worldmodels import encoder
from worldmodels.agents.runs import film


@pytest.fixture
def images():
  """Truth and prediction uint8 [2, 6, 8, 8, 3], unlike everywhere."""
  random = np.random.default_rng(0)
  truth = random.integers(0, 120, [2, 6, 8, 8, 3], np.uint8)
  return truth, truth + 50


def find(frame, image, scale):
  """Where an image lies in a frame, enlarged: [(top, left)]."""
  large = np.repeat(np.repeat(image, scale, 0), scale, 1)
  height, width = large.shape[:2]
  windows = np.lib.stride_tricks.sliding_window_view(
    frame, (height, width, 3)
  ).reshape(frame.shape[0] - height + 1, frame.shape[1] - width + 1, -1)
  return list(zip(*np.nonzero((windows == large.ravel()).all(-1))))


def holds(frame, color):
  return (frame == color).all(-1).any()


@pytest.mark.parametrize('scale', [1, 2, 3])
def test_frame_shows_truth_over_model_over_error(images, scale):
  truth, predicted = images
  frames = film.compose(truth, predicted, 2, scale=scale)
  assert frames.dtype == np.uint8 and len(frames) == 6
  assert frames.shape[1] % 2 == frames.shape[2] % 2 == 0
  rows = (truth, predicted, film.error(truth, predicted))
  places = {}
  for step in (0, 4):
    for row, shown in enumerate(rows):
      for column in range(2):
        place = find(frames[step], shown[column, step], scale)
        assert len(place) >= 1
        places.setdefault((row, column), []).append(place[0])
  assert all(first == later for first, later in places.values())
  tops, lefts = zip(*(place[0] for place in places.values()))
  assert tops[0] == tops[1] < tops[2] == tops[3] < tops[4] == tops[5]
  assert lefts[0] == lefts[2] < lefts[1] == lefts[3]


def test_images_are_enlarged(images):
  sizes = [film.compose(*images, 2, scale=k).shape[1:3] for k in (1, 2, 4)]
  small, middle, large = np.array(sizes)
  assert (small < middle).all() and (middle < large).all()


def test_observed_is_marked_apart_from_imagined(images):
  frames = film.compose(*images, 2)
  assert [holds(frame, film.OBSERVED) for frame in frames] == [True] * 6
  # Orange: the border, the word and the timeline, once it is imagined.
  imagined = [holds(frame, film.IMAGINED) for frame in frames]
  assert imagined == [False, False, True, True, True, True]
  (top, left), *_ = find(frames[0], images[1][0, 0], 3)
  assert (frames[1, top - 1, left] == film.OBSERVED).all()
  assert (frames[2, top - 1, left] == film.IMAGINED).all()
  assert (frames[2, top, left - 1] == film.IMAGINED).all()


@pytest.mark.parametrize('context', [0, 6])
def test_all_of_it_may_be_observed_or_imagined(images, context):
  frames = film.compose(*images, context)
  other = film.IMAGINED if context else film.OBSERVED
  assert not any(holds(frame, other) for frame in frames)


def test_every_frame_has_its_number(images):
  """Frames of still images differ in the words and the timeline alone."""
  still = np.zeros_like(images[0])
  frames = film.compose(still, still, 3)
  assert len({frame.tobytes() for frame in frames}) == 6


def test_captions_are_written(images):
  bare = film.compose(*images, 2)
  named = film.compose(*images, 2, titles=['policy 7', 'a very long title'])
  assert named.shape[1] > bare.shape[1] and named.shape[2] == bare.shape[2]
  (_, left), *_ = find(bare[0], images[0][0, 0], 3)
  assert len(np.unique(bare[0, :, :left].reshape(-1, 3), axis=0)) > 10


def test_words_fit_over_one_small_column(images):
  """The largest numbers that are likely do not run into each other."""
  truth = np.zeros([1, 400, 8, 8, 3], np.uint8)
  layout = film.Layout(truth.shape, 1)
  frame = layout.frame(np.zeros([3, 1, 8, 8, 3], np.uint8), 399, 5)
  line = frame[: frame.shape[0] // 3]
  orange = np.nonzero((line == film.IMAGINED).all(-1))[1].max()
  white = np.nonzero((line > 220).all(-1))[1]
  assert white.min() > orange and white.max() < frame.shape[1] - 2


def test_error_is_black_where_equal_and_grows():
  truth = np.zeros([1, 3, 8, 8, 3], np.uint8)
  predicted = truth.copy()
  predicted[0, 1], predicted[0, 2] = 20, 90
  predicted[:, :, :4] = 0
  error = film.error(truth, predicted).astype(int).sum(-1)
  assert (error[:, 0] == 0).all() and (error[:, :, :4] == 0).all()
  assert 0 < error[0, 1, 4:].min() < error[0, 2, 4:].min()
  assert (film.error(truth, predicted) == film.error(predicted, truth)).all()


@pytest.mark.parametrize(
  'change',
  [
    lambda t, p: dict(predicted=p[:1]),
    lambda t, p: dict(truth=t[..., 0], predicted=p[..., 0]),
    lambda t, p: dict(context=7),
    lambda t, p: dict(context=-1),
    lambda t, p: dict(titles=['one']),
  ],
)
def test_what_does_not_fit_together_is_refused(images, change):
  arguments = dict(truth=images[0], predicted=images[1], context=2)
  with pytest.raises(ValueError):
    film.compose(**arguments | change(*images))


class Model:
  """States hold the sum of all actions, and whether the image was seen."""

  def __init__(self, bits=8):
    self._bits = bits

  def observe(self, batch):
    total = tf.cumsum(batch['action'], 1)
    return {'total': total, 'seen': tf.ones_like(total)}, None

  def imagine(self, state, action):
    total = state['total'][:, None] + tf.cumsum(action, 1)
    return {'total': total, 'seen': tf.zeros_like(total)}

  def image(self, state):
    """Gray levels: total, and 100 more if it was seen."""
    levels = 255.0 if self._bits == 8 else 256.0
    gray = (state['total'] + 100 * state['seen']) / levels - 0.5
    return tf.tile(gray[..., None, None], [1, 1, 4, 4, 3])

  def drawing(self, state):
    return encoder.drawing(self.image(state), self._bits)


@pytest.fixture
def batch():
  action = np.arange(10, dtype=np.float32).reshape(2, 5, 1)
  return {
    'image': np.random.default_rng(0).integers(0, 9, [2, 5, 4, 4, 3], np.uint8),
    'action': action,
    'is_first': np.zeros([2, 5], bool),
  }


@pytest.mark.parametrize('bits', [8, 5])
def test_open_loop_draws_posterior_then_imagination(batch, bits):
  truth, predicted = film.open_loop(Model(bits), batch, 2)
  assert (truth == batch['image']).all()
  assert predicted.shape == truth.shape and predicted.dtype == np.uint8
  assert (predicted == predicted[:, :, :1, :1, :1]).all()
  totals = np.cumsum(batch['action'][..., 0], 1)
  totals[:, :2] += 100
  assert (predicted[:, :, 0, 0, 0] == totals).all()


def test_reconstruction_sees_every_step(batch):
  truth, predicted = film.reconstruction(Model(), batch)
  totals = np.cumsum(batch['action'][..., 0], 1) + 100
  assert (predicted[:, :, 0, 0, 0] == totals).all()
  assert film.compose(truth, predicted, 5).shape[0] == 5


def test_pixels_out_of_range_are_cut(batch):
  batch['action'] = np.full([2, 5, 1], 200, np.float32)
  batch['action'][1] = -200
  _, predicted = film.open_loop(Model(), batch, 1)
  assert (predicted[0, 1:] == 255).all() and (predicted[1] == 0).all()
