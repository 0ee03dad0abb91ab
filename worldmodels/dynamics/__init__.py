"""Latent dynamics, one file for each kind: class `Dynamics`."""
