"""Every folder in leyden_drivers, against its own model, under every fault."""

from __future__ import annotations

from leyden.testing import DriverConformance, folders

for _package in folders("leyden_drivers"):
    _name = "Test" + _package.rpartition(".")[2].capitalize()
    globals()[_name] = type(_name, (DriverConformance,), {"package": _package})
