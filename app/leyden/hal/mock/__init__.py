"""A modelled world at the end of modelled wires: the code above the wire is the real one.

`World` holds named quantities that change over time; chip models sense them; `Wire` is where faults
live; the buses carry it all to real drivers. `Rig` puts a bench of them together.
"""
