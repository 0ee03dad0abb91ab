"""Runs many: settings, tasks and seeds, as many at once as there are jobs."""
