"""The appliance: configuration, assembly, processes, identity; it alone knows every part by name.

- `config`, `tables`, `options`, `placing`, `wiring`, `words`: the TOML file, judged, in words
- `plan`: what is left of the file after that, as records that travel between processes
- `drivers`: drivers by name
- `assemble`: puts an appliance together from a plan
- `backend`, `trends`: what a runtime tells over the link
- `runtime_process`, `supervise`: the processes, and the one that keeps them running
- `choosing`, `plan_cache`, `attempts`: which plan a runtime runs that nobody hands one
- `judge`, `judging`: a configuration judged in a process of its own
- `stuck`: whether a process waits in the kernel for ever
- `folders`: the data directory
- `identity`: who this machine is
- `probe`: which devices answer on the buses
"""
