import numpy as np
import pytest
import tensorflow as tf

from worldmodels import layers


def elu(x):
  return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def test_dense_is_built_at_once_and_linear():
  layer = layers.dense(3, 2, name='a')
  assert [tuple(x.shape) for x in layer.variables] == [(2, 3), (3,)]
  layer.kernel.assign([[1, 2, 3], [4, 5, 6]])
  layer.bias.assign([0.5, 0, -0.5])
  x = tf.constant([[[1.0, 0.0]], [[1.0, 2.0]]])
  np.testing.assert_allclose(layer(x), [[[1.5, 2, 2.5]], [[9.5, 12, 14.5]]])
  assert len(layers.dense(3, 2, use_bias=False).variables) == 1


def test_norm_is_that_of_numpy():
  random = np.random.default_rng(0)
  norm = layers.Norm(5, epsilon=1e-3)
  scale, offset = random.normal(size=[2, 5]).astype(np.float32)
  norm.trainable_variables[0].assign(scale)
  norm.trainable_variables[1].assign(offset)
  x = random.normal(3, 2, [2, 4, 5]).astype(np.float32)
  mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
  golden = (x - mean) / np.sqrt(variance + 1e-3) * scale + offset
  np.testing.assert_allclose(norm(x), golden, atol=1e-5)


def test_norm_of_a_large_mean_is_exact():
  x = 1000 + tf.random.stateless_normal([4, 512], [0, 1])
  y = layers.Norm(512, epsilon=1e-6)(x)
  np.testing.assert_allclose(np.std(y, -1), 1.0, atol=0.01)
  np.testing.assert_allclose(np.mean(y, -1), 0.0, atol=0.01)


def test_norm_none_is_the_identity_and_others_are_named():
  norm = layers.Norm(2, 'none')
  x = tf.constant([[1.0, 5.0]])
  np.testing.assert_array_equal(norm(x), x)
  assert not norm.variables
  with pytest.raises(ValueError, match="'batch'; it is none or layer"):
    layers.Norm(2, 'batch')


@pytest.mark.parametrize('kind', ['none', 'layer'])
@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
def test_a_norm_leaves_numbers_as_precise_as_they_were(kind, dtype):
  x = tf.cast(tf.random.stateless_normal([4, 6], [0, 1], 3.0, 2.0), dtype)
  y = layers.Norm(6, kind)(x)
  assert y.dtype == dtype
  if kind == 'none':
    np.testing.assert_array_equal(tf.cast(y, 'float32'), tf.cast(x, 'float32'))


def test_mlp_is_that_of_numpy():
  mlp = layers.MLP(
    3, units=4, layers=2, outputs=2, activation='elu', normalization='layer'
  )
  random = np.random.default_rng(0)
  for variable in mlp.variables:
    variable.assign(random.normal(size=variable.shape))
  named = {x.path: x.numpy() for x in mlp.variables}
  assert len(named) == 10
  x = golden = random.normal(size=[2, 5, 3]).astype(np.float32)
  for index in range(2):
    golden = (
      golden @ named[f'dense{index}/kernel'] + named[f'dense{index}/bias']
    )
    mean, variance = (
      golden.mean(-1, keepdims=True),
      golden.var(-1, keepdims=True),
    )
    golden = (golden - mean) / np.sqrt(variance + 1e-3)
    golden = golden * named[f'norm{index}/scale'] + named[f'norm{index}/offset']
    golden = elu(golden)
  golden = golden @ named['out/kernel'] + named['out/bias']
  np.testing.assert_allclose(mlp(x), golden, atol=1e-4)


@pytest.mark.parametrize('outputs,size', [(None, 4), (7, 7)])
def test_mlp_size_and_variables(outputs, size):
  mlp = layers.MLP(3, units=4, layers=2, outputs=outputs, activation='elu')
  assert mlp.size == size
  assert mlp(tf.ones([2, 3])).shape == [2, size]
  assert len(mlp.trainable_variables) == (4 if outputs is None else 6)
  with tf.GradientTape() as tape:
    loss = tf.reduce_sum(tf.square(mlp(tf.ones([2, 3]))))
  variables = [x.value for x in mlp.trainable_variables]
  for variable, by in zip(mlp.variables, tape.gradient(loss, variables)):
    assert by is not None and np.abs(by).max() > 0, variable.path


@pytest.mark.parametrize('count', [1, 63, 64, 77, 32 * 16 + 5, 32 * 40])
def test_blocks_are_put_together_in_order(count):
  sizes = []

  def double(block):
    sizes.append(block.shape[0])
    return 2 * block

  values = np.arange(3 * count).reshape(count, 3)
  found = layers.in_blocks(double, tf.constant(values))
  np.testing.assert_array_equal(found, 2 * values)
  assert sum(sizes) == count
  assert len(sizes) == max(1, min(count // layers.BLOCK, layers.MOST_BLOCKS))


def test_a_number_that_is_not_known_is_one_block():
  calls = []

  @tf.function(input_signature=[tf.TensorSpec([None, 3])])
  def run(values):
    return layers.in_blocks(lambda block: calls.append(1) or block + 1, values)

  assert run(tf.ones([100, 3])).shape == (100, 3)
  assert len(calls) == 1


def test_a_gpu_gets_all_at_once(monkeypatch):
  monkeypatch.setattr(tf.config, 'list_physical_devices', lambda kind: [kind])
  calls = []
  layers.in_blocks(lambda block: calls.append(1) or block, tf.ones([100, 3]))
  assert len(calls) == 1


def test_a_product_in_bfloat16_has_a_float32_result():
  random = np.random.default_rng(0)
  x = tf.constant(random.normal(size=[3, 4, 50]), tf.float32)
  full = layers.dense(20, 50, name='full')
  half = layers.dense(20, 50, dtype='mixed_bfloat16', name='half')
  for mine, other in zip(half.variables, full.variables, strict=True):
    assert mine.dtype == 'float32'
    mine.assign(other)
  assert half(x).dtype == tf.float32
  np.testing.assert_allclose(half(x), full(x), atol=0.05)
  assert np.abs(half(x) - full(x)).max() > 1e-5


@pytest.mark.parametrize(
  'count,least,cores,golden',
  [
    (100, 50, 2, [50, 50]),
    (101, 50, 2, [50, 51]),
    (99, 50, 2, [99]),
    (1000, 50, 3, [333, 333, 334]),
    (1000, 50, 1, [1000]),
    (None, 50, 4, [None]),
  ],
)
def test_shares_of_cores(count, least, cores, golden, monkeypatch):
  monkeypatch.setattr('os.sched_getaffinity', lambda pid: range(cores))
  monkeypatch.setattr(tf.config, 'list_physical_devices', lambda kind: [])
  assert layers.shares_of(count, least) == golden
