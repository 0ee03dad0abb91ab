"""The learned simulator: it knows no environment, planner or file format."""
