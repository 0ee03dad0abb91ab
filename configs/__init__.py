"""Configs, one file for each agent: `get_config(preset)`."""
