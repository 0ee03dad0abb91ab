import keras
import numpy as np
import pytest

from worldmodels import initializers
from worldmodels import nets


@pytest.mark.parametrize(
  'kind,variance',
  [
    ('glorot_uniform', 2.0 / (300 + 80)),
    ('glorot_normal', 2.0 / (300 + 80)),
    ('he_normal', 2.0 / 300),
  ],
)
def test_parts_start_as_the_layer_that_they_make_up(kind, variance):
  parts = [
    nets.dense(80, inputs, initializer=kind, part_of=300)
    for inputs in (100, 200)
  ]
  for part, inputs in zip(parts, (100, 200)):
    assert part.kernel.shape == (inputs, 80)
    found = np.std(part.kernel)
    assert found == pytest.approx(variance**0.5, rel=0.05)
    assert abs(np.mean(part.kernel)) < 0.05 * found
  # Alone the first would be larger by this.
  alone = np.std(nets.dense(80, 100, initializer='he_normal').kernel)
  assert alone == pytest.approx((2.0 / 100) ** 0.5, rel=0.05)
  first, second = (np.asarray(x.kernel) for x in parts)
  assert not np.allclose(first, second[:100])


@pytest.mark.parametrize('kind', ['glorot_uniform', 'he_normal'])
def test_a_layer_from_a_point_starts_as_the_convolution_that_it_is(kind):
  inputs, shape = 30, (5, 5, 8)
  keras.utils.set_random_seed(0)
  layer = keras.layers.Conv2DTranspose(8, 5, kernel_initializer=kind)
  layer.build((None, 1, 1, inputs))
  keras.utils.set_random_seed(0)
  kernel = initializers.FromPoint(kind, shape)((inputs, 5 * 5 * 8))
  # The same numbers at the same places: the same image of a 1x1 map.
  x = keras.random.normal([3, inputs], seed=1)
  np.testing.assert_allclose(
    keras.ops.reshape(x @ kernel, [3, *shape]),
    layer(x[:, None, None]),
    atol=1e-5,
  )


def test_one_seed_gives_one_start():
  found = []
  for seed in (0, 0, 1):
    keras.utils.set_random_seed(seed)
    found.append(np.asarray(nets.dense(4, 3, part_of=9).kernel))
  np.testing.assert_array_equal(found[0], found[1])
  assert np.abs(found[0] - found[2]).min() > 0
