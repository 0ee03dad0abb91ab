"""The works of the benchmark: one file each, named as in --work.

Each has `measure(setting) -> list of rows`; see agents/run/benchmark.py.
"""
