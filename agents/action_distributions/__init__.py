"""Distributions over actions, one file for each kind: class `Distribution`."""
