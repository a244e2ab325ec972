"""Starts the fault injector when the microcontroller is powered."""

# mypy: ignore-errors
# On the microcontroller the package lies at the root, where the host does not look for it.

from injector.board import run

run()
