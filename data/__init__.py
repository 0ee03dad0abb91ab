"""Where experience comes from and where it is kept; no model, no TensorFlow."""
