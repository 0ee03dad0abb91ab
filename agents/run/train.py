"""`worldmodels train` under its old name."""

from worldmodels.agents.programs import launch

launch.main('train')
