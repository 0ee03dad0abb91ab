import numpy as np
import pytest
import tensorflow as tf

from worldmodels import errors
from worldmodels import nets


def elu(x):
  return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def test_dense_is_built_at_once_and_linear():
  layer = nets.dense(3, 2, name='a')
  assert [tuple(x.shape) for x in layer.variables] == [(2, 3), (3,)]
  layer.kernel.assign([[1, 2, 3], [4, 5, 6]])
  layer.bias.assign([0.5, 0, -0.5])
  x = tf.constant([[[1.0, 0.0]], [[1.0, 2.0]]])
  np.testing.assert_allclose(layer(x), [[[1.5, 2, 2.5]], [[9.5, 12, 14.5]]])
  assert len(nets.dense(3, 2, use_bias=False).variables) == 1


def test_norm_is_that_of_numpy():
  random = np.random.default_rng(0)
  norm = nets.Norm(5, epsilon=1e-3)
  scale, offset = random.normal(size=[2, 5]).astype(np.float32)
  norm.trainable_variables[0].assign(scale)
  norm.trainable_variables[1].assign(offset)
  x = random.normal(3, 2, [2, 4, 5]).astype(np.float32)
  mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
  golden = (x - mean) / np.sqrt(variance + 1e-3) * scale + offset
  np.testing.assert_allclose(norm(x), golden, atol=1e-5)


def test_norm_of_a_large_mean_is_exact():
  x = 1000 + tf.random.stateless_normal([4, 512], [0, 1])
  y = nets.Norm(512, epsilon=1e-6)(x)
  np.testing.assert_allclose(np.std(y, -1), 1.0, atol=0.01)
  np.testing.assert_allclose(np.mean(y, -1), 0.0, atol=0.01)


def test_norm_none_is_the_identity_and_others_are_named():
  norm = nets.Norm(2, 'none')
  x = tf.constant([[1.0, 5.0]])
  np.testing.assert_array_equal(norm(x), x)
  assert not norm.variables
  with pytest.raises(
    ValueError, match="normalization is 'batch'; it is one of none, layer"
  ):
    nets.Norm(2, 'batch')


@pytest.mark.parametrize('kind', ['none', 'layer'])
@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
def test_a_norm_leaves_numbers_as_precise_as_they_were(kind, dtype):
  x = tf.cast(tf.random.stateless_normal([4, 6], [0, 1], 3.0, 2.0), dtype)
  y = nets.Norm(6, kind)(x)
  assert y.dtype == dtype
  if kind == 'none':
    np.testing.assert_array_equal(tf.cast(y, 'float32'), tf.cast(x, 'float32'))


def test_mlp_is_that_of_numpy():
  mlp = nets.MLP(
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
  mlp = nets.MLP(3, units=4, layers=2, outputs=outputs, activation='elu')
  assert mlp.size == size
  assert mlp(tf.ones([2, 3])).shape == [2, size]
  assert len(mlp.trainable_variables) == (4 if outputs is None else 6)
  with tf.GradientTape() as tape:
    loss = tf.reduce_sum(tf.square(mlp(tf.ones([2, 3]))))
  variables = [x.value for x in mlp.trainable_variables]
  for variable, by in zip(mlp.variables, tape.gradient(loss, variables)):
    assert by is not None and np.abs(by).max() > 0, variable.path


def test_a_product_in_bfloat16_has_a_float32_result():
  random = np.random.default_rng(0)
  x = tf.constant(random.normal(size=[3, 4, 50]), tf.float32)
  full = nets.dense(20, 50, name='full')
  half = nets.dense(20, 50, dtype='mixed_bfloat16', name='half')
  for mine, other in zip(half.variables, full.variables, strict=True):
    assert mine.dtype == 'float32'
    mine.assign(other)
  assert half(x).dtype == tf.float32
  np.testing.assert_allclose(half(x), full(x), atol=0.05)
  assert np.abs(half(x) - full(x)).max() > 1e-5


def test_linear_is_the_layer_in_another_form():
  layer = nets.dense(3, 2)
  layer.bias.assign([1.0, 2.0, 3.0])
  x = tf.constant([[1.0, -2.0], [0.5, 3.0]])
  np.testing.assert_allclose(nets.linear(layer, x), layer(x), atol=1e-6)
  half = nets.dense(3, 2, dtype='mixed_bfloat16')
  found = nets.linear(half, x)
  assert found.dtype == tf.float32
  np.testing.assert_allclose(found, half(x), atol=0.05)


def test_a_bias_is_added_and_its_gradient_is_a_sum():
  values = tf.random.stateless_normal([2, 3, 4], [0, 1])
  bias, upstream = tf.range(4.0), tf.random.stateless_normal([2, 3, 4], [0, 2])
  with tf.GradientTape() as tape:
    tape.watch([values, bias])
    added = nets.add_bias(values, bias)
    total = tf.reduce_sum(added * upstream)
  by_values, by_bias = tape.gradient(total, [values, bias])
  np.testing.assert_allclose(added, values + bias, atol=1e-6)
  np.testing.assert_allclose(by_values, upstream, atol=1e-6)
  np.testing.assert_allclose(by_bias, np.sum(upstream, (0, 1)), atol=1e-5)


@pytest.mark.parametrize(
  'name,kind', [('gru', nets.GRU), ('layer_norm_gru', nets.LayerNormGRU)]
)
def test_cells_are_found_by_name_and_train(name, kind):
  assert nets.cell(name) is kind
  cell = nets.cell(name)(3, 4)
  x = tf.random.stateless_normal([2, 3], [0, 1])
  deter = tf.random.stateless_normal([2, 4], [0, 2])
  with tf.GradientTape() as tape:
    found = cell(x, deter)
    loss = tf.reduce_sum(tf.square(found))
  assert found.shape == [2, 4]
  variables = [variable.value for variable in cell.variables]
  assert variables
  for variable, by in zip(cell.variables, tape.gradient(loss, variables)):
    assert by is not None and np.abs(by).max() > 0, variable.path


def test_an_unknown_cell_is_named():
  with pytest.raises(errors.OptionError, match="cell is 'lstm'; it is one of"):
    nets.cell('lstm')


def test_gru_is_tensorflows_block_cell():
  units, inputs = 4, 5
  cell = nets.GRU(inputs, units)
  w = {variable.path: variable for variable in cell.variables}
  np.testing.assert_array_equal(w['gates/bias'], np.ones(2 * units))
  np.testing.assert_array_equal(w['candidate/bias'], np.zeros(units))
  random = np.random.default_rng(0)
  x = random.normal(size=[3, inputs]).astype(np.float32)
  deter = random.normal(size=[3, units]).astype(np.float32)
  block = tf.raw_ops.GRUBlockCell(
    x=x,
    h_prev=deter,
    w_ru=w['gates/kernel'].value,
    w_c=w['candidate/kernel'].value,
    b_ru=w['gates/bias'].value,
    b_c=w['candidate/bias'].value,
  )
  np.testing.assert_allclose(cell(x, deter), block.h, atol=1e-6)


def test_a_layer_norm_gru_starts_mostly_shut():
  cell = nets.LayerNormGRU(3, 4)
  deter = tf.random.stateless_normal([50, 4], [0, 2])
  after = cell(tf.random.stateless_normal([50, 3], [0, 1]), deter)
  moved = np.abs(after - deter).mean() / np.abs(deter).mean()
  assert 0.05 < moved < 0.6
