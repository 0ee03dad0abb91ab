"""Heads, one file for each kind: class `Head`."""
