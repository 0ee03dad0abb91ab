"""Agents: who acts and learns. They know worldmodels, not data."""
