import cv2
import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing import event_accumulator
from tensorboard.plugins.image import metadata
from tensorboard.util import img_mime_type_detector
from tensorboard.util import tensor_util

from worldmodels import errors
from worldmodels.agents.runs import animation


def make(count=7, height=32, width=48):
  """Frames uint8 [count, height, width, 3]: a red square goes right."""
  frames = np.zeros([count, height, width, 3], np.uint8)
  frames[..., 2] = np.linspace(40, 90, width)
  for step in range(count):
    frames[step, 8:20, 3 * step : 3 * step + 12] = (220, 60, 20)
  return frames


def distance(frames, others):
  return np.abs(np.stack(frames).astype(float) - others).mean()


@pytest.mark.parametrize('ending', animation.ENDINGS)
def test_file_holds_the_frames(ending, tmp_path):
  frames = make()
  path = tmp_path / f'dream{ending}'
  animation.write(path, frames, 12)
  assert [found.name for found in tmp_path.iterdir()] == [path.name]
  read = list(animation.decode(path.read_bytes(), ending))
  # Colors in the right order, every frame in its place.
  assert distance(read, frames) < 6
  assert distance(read[:-1], frames[1:]) > distance(read, frames) + 3


# How each begins, so that a browser knows what it is.
@pytest.mark.parametrize(
  'ending,start,name',
  [
    ('.webm', 0, b'\x1aE\xdf\xa3'),
    ('.mp4', 4, b'ftyp'),
    ('.gif', 0, b'GIF89a'),
    ('.webp', 8, b'WEBP'),
  ],
)
def test_file_is_what_its_name_says(ending, start, name):
  content = animation.encode(make(), ending)
  assert content[start : start + len(name)] == name
  if ending == '.webm':
    assert b'webm' in content[:64] and b'V_VP8' in content
  if ending == '.mp4':
    assert b'vp09' in content


@pytest.mark.parametrize('ending', ['.webm', '.mp4'])
@pytest.mark.parametrize('fps', [4, 12.5])
def test_speed_of_a_video(ending, fps, tmp_path):
  path = tmp_path / f'dream{ending}'
  animation.write(path, make(), fps)
  capture = cv2.VideoCapture(str(path))
  assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(fps, rel=0.01)


@pytest.mark.parametrize('ending', ['.gif', '.webp'])
def test_speed_of_animated_images_which_repeat(ending):
  content = animation.encode(make(), ending, 4)
  _, read = cv2.imdecodeanimation(np.frombuffer(content, np.uint8))
  assert list(read.durations) == [250] * 7
  assert read.loop_count == 0  # for ever


@pytest.mark.parametrize('ending', animation.ENDINGS)
def test_the_speed_is_read_again(ending):
  frames = np.random.default_rng(0).integers(0, 255, [6, 16, 16, 3], np.uint8)
  content = animation.encode(frames, ending, 20)
  assert animation.rate(content, ending) == pytest.approx(20, rel=0.01)


@pytest.mark.parametrize('ending', animation.ENDINGS)
def test_odd_sizes_and_frames_that_stand_still(ending):
  frames = np.repeat(make(3, 33, 47), [1, 4, 2], 0)
  read = list(animation.decode(animation.encode(frames, ending), ending))
  assert 3 <= len(read) <= 7
  assert read[0].shape[0] in (33, 34) and read[0].shape[1] in (47, 48)


@pytest.mark.parametrize('ending', animation.ENDINGS)
def test_one_frame(ending):
  content = animation.encode(make(1), ending)
  assert len(list(animation.decode(content, ending))) == 1


def test_ending_in_capitals(tmp_path):
  animation.write(tmp_path / 'DREAM.GIF', make())
  assert (tmp_path / 'DREAM.GIF').read_bytes().startswith(b'GIF')


@pytest.mark.parametrize(
  'name, says',
  [
    ('dream.avi', "ends in '.avi'; what plays in a browser is .webm, .mp4"),
    ('dream', "ends in 'nothing'"),
    ('.', 'is a directory'),
    ('old.webm', 'is a directory'),
    ('none/dream.webm', 'there is no none'),
  ],
)
def test_a_file_that_cannot_be_written_is_found_before(
  name, says, tmp_path, monkeypatch
):
  monkeypatch.chdir(tmp_path)
  (tmp_path / 'old.webm').mkdir()
  with pytest.raises(animation.OutError, match=says) as caught:
    animation.check_out(name)
  assert str(caught.value).startswith(f'--out={name}')
  assert '\n' not in str(caught.value)


def test_no_name_is_no_file():
  with pytest.raises(errors.OptionError, match="^--out is ''; it is a path"):
    animation.check_out('')


def test_a_file_in_the_home_directory(tmp_path, monkeypatch):
  monkeypatch.setenv('HOME', str(tmp_path))
  assert animation.check_out('~/dream.webm') == tmp_path / 'dream.webm'


@pytest.mark.parametrize('name', ['dream.avi', 'dream', 'dream.webm.txt'])
def test_other_endings_are_refused_and_the_good_ones_named(name, tmp_path):
  with pytest.raises(ValueError, match='.webm, .mp4, .webp, .gif'):
    animation.write(tmp_path / name, make())
  assert not list(tmp_path.iterdir())


def test_missing_encoder_is_said_so(monkeypatch, tmp_path):
  monkeypatch.setitem(animation._CODECS, '.webm', 'ZZZZ')
  path = tmp_path / 'dream.webm'
  path.write_bytes(b'before')
  with pytest.raises(OSError, match='no encoder ZZZZ for .webm'):
    animation.write(path, make())
  assert path.read_bytes() == b'before'


def test_lost_frames_are_noticed(monkeypatch):
  class Writer:
    """Writes every other frame, as on a disk that is full."""

    def __init__(self, path, backend, *arguments):
      self._writer = kept(path, backend, *arguments)
      self._count = 0

    def isOpened(self):  # noqa: N802
      return True

    def write(self, frame):
      self._count += 1
      if self._count % 2:
        self._writer.write(frame)

    def release(self):
      self._writer.release()

  kept = cv2.VideoWriter
  monkeypatch.setattr(cv2, 'VideoWriter', Writer)
  with pytest.raises(OSError, match='4 of 7 frames'):
    animation.encode(make(), '.webm')


def test_nothing_is_printed(capfd):
  for ending in animation.ENDINGS:
    animation.encode(make(), ending)
  assert capfd.readouterr() == ('', '')


def test_missing_folder_is_an_os_error(tmp_path):
  with pytest.raises(OSError):
    animation.write(tmp_path / 'none' / 'dream.gif', make())


def test_summary_is_an_image_of_tensorboard_that_moves(tmp_path):
  frames = make()
  writer = tf.summary.create_file_writer(str(tmp_path))
  with writer.as_default():
    assert animation.write_summary('dream', frames, 40)
    assert animation.write_summary('dream', frames[:4], 50, description='two')
  writer.close()
  events = event_accumulator.EventAccumulator(str(tmp_path)).Reload()
  plugin = events.SummaryMetadata('dream').plugin_data.plugin_name
  assert plugin == metadata.PLUGIN_NAME
  assert events.PluginTagToContent(plugin).keys() == {'dream'}
  first, second = events.Tensors('dream')
  assert (first.step, second.step) == (40, 50)
  for event, count in ((first, 7), (second, 4)):
    width, height, image = tensor_util.make_ndarray(event.tensor_proto)
    assert (width, height) == (b'48', b'32')
    assert img_mime_type_detector.from_bytes(image) == 'image/png'
    # As they are, one after the other and again from the start, for browsers.
    found = np.stack(list(animation.decode(image, '.png')))
    np.testing.assert_array_equal(found, frames[:count])
    assert image.startswith(b'\x89PNG') and image.count(b'fcTL') == count
    _, read = cv2.imdecodeanimation(np.frombuffer(image, np.uint8))
    assert read.loop_count == 0 and list(read.durations) == [100] * count


def test_summary_without_a_writer():
  assert not animation.write_summary('dream', make(), 1)
