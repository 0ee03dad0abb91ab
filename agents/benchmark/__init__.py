"""The parts of the benchmark, one file each, named as in --work.

Each has `measure(options) -> list of figures`; agents/programs/benchmark.py
runs them.
"""
