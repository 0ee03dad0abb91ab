"""The programs of `worldmodels`: flags and a `main`, one file each."""
