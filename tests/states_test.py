import numpy as np
import pytest
import tensorflow as tf

from worldmodels import states


def state(*lead):
  """A nested state of numbers that are all different, [*lead, ...]."""
  count = int(np.prod(lead))
  return {
    'deter': tf.reshape(tf.range(2.0 * count), [*lead, 2]),
    'inner': {
      'member': tf.reshape(tf.range(count), [*lead]),
      'grid': tf.reshape(tf.range(6.0 * count), [*lead, 3, 2]) + 0.5,
    },
  }


def assert_same(found, golden):
  tf.nest.assert_same_structure(found, golden)
  for one, other in zip(tf.nest.flatten(found), tf.nest.flatten(golden)):
    np.testing.assert_array_equal(one, other)


def in_numpy(function, *nested):
  return tf.nest.map_structure(
    lambda *values: function(*(value.numpy() for value in values)), *nested
  )


# What each does to every tensor, written down in numpy.
CASES = {
  'apply': (
    lambda x: states.apply(lambda value: value + value, x),
    lambda x: x + x,
  ),
  'repeat': (lambda x: states.repeat(x, 3), lambda x: x.repeat(3, 0)),
  'take': (
    lambda x: states.take(x, tf.constant([1, 0, 1, 1])),
    lambda x: x[[1, 0, 1, 1]],
  ),
  'at': (lambda x: states.at(x, 1), lambda x: x[:, 1]),
  'at the last': (lambda x: states.at(x, -1), lambda x: x[:, -1]),
  'between': (lambda x: states.between(x, 1, 3), lambda x: x[:, 1:3]),
  'from the start': (
    lambda x: states.between(x, None, 2),
    lambda x: x[:, :2],
  ),
  'to the end': (lambda x: states.between(x, 2, None), lambda x: x[:, 2:]),
  'join': (
    lambda x: states.join(x, states.between(x, 0, 2)),
    lambda x: np.concatenate([x, x[:, :2]], 1),
  ),
  'flatten': (
    states.flatten,
    lambda x: x.reshape([x.shape[0] * x.shape[1], *x.shape[2:]]),
  ),
  'stop': (states.stop, lambda x: x),
  'swap': (states.swap, lambda x: x.swapaxes(0, 1)),
}


@pytest.mark.parametrize('name', CASES)
def test_every_tensor_is_treated_alike(name):
  function, golden = CASES[name]
  found = function(state(2, 4))
  assert_same(found, in_numpy(golden, state(2, 4)))
  before = [value.dtype for value in tf.nest.flatten(state(2, 4))]
  assert [value.dtype for value in tf.nest.flatten(found)] == before


@pytest.mark.parametrize('name', CASES)
def test_and_so_in_a_graph_of_unknown_sizes(name):
  function, golden = CASES[name]
  specs = states.apply(
    lambda value: tf.TensorSpec([None, None, *value.shape[2:]], value.dtype),
    state(2, 4),
  )
  found = tf.function(function, input_signature=[specs])(state(2, 4))
  assert_same(found, in_numpy(golden, state(2, 4)))


def test_size_is_that_of_the_first_axis():
  assert int(states.size(state(5))) == 5
  assert int(states.size(state(2, 4))) == 2


def test_swap_is_its_own_inverse():
  assert_same(states.swap(states.swap(state(2, 4))), state(2, 4))


def test_a_count_may_be_a_tensor():
  found = states.repeat(state(3), tf.constant(2))
  assert_same(found, in_numpy(lambda x: x.repeat(2, 0), state(3)))


def test_stop_stops_every_gradient():
  x = {'a': tf.Variable([1.0]), 'b': {'c': tf.Variable([2.0])}}
  with tf.GradientTape() as tape:
    free = states.apply(tf.identity, x)
    stopped = states.stop(states.apply(tf.identity, x))
    value = free['a'] * stopped['b']['c'] + 3.0 * stopped['a']
  by = tape.gradient(value, tf.nest.flatten(x))
  np.testing.assert_array_equal(by[0], [2.0])
  assert by[1] is None


def test_tensors_of_arrays_and_of_tensors():
  found = states.tensors({'image': np.zeros([2, 3], np.uint8), 'x': [True]})
  assert found['image'].dtype == tf.uint8 and found['x'].dtype == tf.bool
  value = tf.constant([1.0])
  assert states.tensors({'x': value})['x'] is value


# -------------------------------------------------------------------- scan ----


def add(carry, now):
  return {'sum': carry['sum'] + now['x'] * now['y'][:, None]}


def inputs(steps, batch):
  random = np.random.default_rng(0)
  return {
    'x': tf.constant(random.normal(size=[steps, batch, 3]), tf.float32),
    'y': tf.constant(random.normal(size=[steps, batch]), tf.float32),
  }


def test_scan_adds_up():
  found = states.scan(
    lambda carry, now: {'sum': carry['sum'] + now['x'] * now['y']},
    {'x': tf.constant([[1.0], [2.0], [3.0]]), 'y': tf.fill([3, 1], 10.0)},
    {'sum': tf.constant([5.0])},
  )
  np.testing.assert_array_equal(found['sum'], [[15], [35], [65]])


def test_scan_is_a_python_loop_and_so_is_its_gradient():
  data, start = inputs(4, 2), {'sum': tf.ones([2, 3])}
  with tf.GradientTape(persistent=True) as tape:
    tape.watch([data, start])
    found = states.scan(add, data, start)['sum']
    carry, golden = start, []
    for step in range(4):
      carry = add(carry, {key: value[step] for key, value in data.items()})
      golden.append(carry['sum'])
    mine = tf.reduce_sum(tf.square(found))
    its = tf.reduce_sum(tf.square(tf.stack(golden)))
  np.testing.assert_allclose(found, tf.stack(golden), atol=1e-6)
  for one, other in zip(
    tape.gradient(mine, [data['x'], data['y'], start['sum']]),
    tape.gradient(its, [data['x'], data['y'], start['sum']]),
  ):
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_a_scan_keeps_the_sizes_that_are_known():
  shapes = []

  @tf.function
  def run(data, start):
    shapes.append(states.scan(add, data, start)['sum'].shape)

  run(inputs(4, 2), {'sum': tf.ones([2, 3])})
  assert shapes == [(4, 2, 3)]


def test_a_scan_of_an_unknown_length():
  signature = [
    {
      'x': tf.TensorSpec([None, None, 3]),
      'y': tf.TensorSpec([None, None]),
    },
    {'sum': tf.TensorSpec([None, 3])},
  ]
  run = tf.function(
    lambda data, start: states.scan(add, data, start),
    input_signature=signature,
  )
  for steps, batch in ((4, 2), (1, 3)):
    data, start = inputs(steps, batch), {'sum': tf.ones([batch, 3])}
    golden = 1 + np.cumsum(data['x'] * data['y'][..., None], 0)
    np.testing.assert_allclose(run(data, start)['sum'], golden, atol=1e-5)


def test_a_scan_whose_step_changes_the_structure_is_refused():
  with pytest.raises(ValueError, match='structure'):
    states.scan(
      lambda carry, now: {'other': carry['sum']},
      {'x': tf.ones([3, 1])},
      {'sum': tf.ones([1])},
    )
