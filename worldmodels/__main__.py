"""`python -m worldmodels` is the program `worldmodels`, also uninstalled."""

from worldmodels.agents.programs import launch

if __name__ == '__main__':
  launch.main()
