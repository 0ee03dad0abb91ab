"""Environments and episodes: no model, no TensorFlow."""
