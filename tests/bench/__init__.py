"""The benchmark: Leyden beside the packages it grew out of, on this machine, in one run."""
