"""The programs: flags, and the wiring of agents to data."""
