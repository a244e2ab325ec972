"""The registry checks what it is given, refuses collisions and lists what did not load."""

from __future__ import annotations

from importlib import metadata

import pytest
from kernel.parts import Thermometer

from leyden.kernel import ComponentError, DuplicateError
from leyden.kernel.registry import Capability, Kind, Registry, UnknownPluginError


class Sink:
    def handle(self, event: object) -> None: ...


def test_a_plugin_is_found_by_kind_and_name_with_its_provenance() -> None:
    registry = Registry()
    registry.register(Kind.DRIVER, "thermo", Thermometer, capabilities={Capability.I2C})
    plugin = registry.get(Kind.DRIVER, "thermo")
    assert plugin.factory is Thermometer
    assert plugin.capabilities == {Capability.I2C}
    assert registry.names(Kind.DRIVER) == ("thermo",)
    registry.remove(Kind.DRIVER, "thermo")
    with pytest.raises(UnknownPluginError, match='no driver "thermo"; there is none'):
        registry.get(Kind.DRIVER, "thermo")


def test_a_decorator_registers_and_returns_what_it_stands_on() -> None:
    registry = Registry()
    made = registry.decorator(Kind.SINK, "mine")(Sink)
    assert made is Sink
    assert registry.get(Kind.SINK, "mine").factory is Sink


def test_a_collision_is_refused_and_says_who_was_first() -> None:
    registry = Registry()
    registry.register(Kind.SINK, "mine", Sink, provenance="package-a")
    with pytest.raises(DuplicateError, match='sink "mine" is taken by package-a'):
        registry.register(Kind.SINK, "mine", Sink)


@pytest.mark.parametrize("version", [0, 2, True, "1"])
def test_another_interface_version_is_refused_with_both_numbers(version: object) -> None:
    with pytest.raises(ComponentError, match="this is 1"):
        Registry().register(Kind.SINK, "mine", Sink, interface=version)  # type: ignore[arg-type]


def test_the_shape_is_checked() -> None:
    with pytest.raises(ComponentError, match=r"driver odd lacks channels, probe"):
        Registry().register(Kind.DRIVER, "odd", Sink)


@pytest.mark.parametrize("given", ["net", {"net"}])
def test_capabilities_are_a_set_of_known_words(given: object) -> None:
    with pytest.raises(ComponentError, match="capabilities|expected some of"):
        Registry().register(Kind.SINK, "mine", Sink, capabilities=given)  # type: ignore[arg-type]


def test_an_entry_point_that_fails_keeps_no_other_from_loading(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    points = [
        metadata.EntryPoint("broken", "no.such.module:Thing", "leyden.drivers"),
        metadata.EntryPoint("thermo", "kernel.parts:Thermometer", "leyden.drivers"),
    ]
    monkeypatch.setattr(metadata, "entry_points", lambda group: points)
    registry = Registry()
    registry.load_entry_points("leyden.drivers", Kind.DRIVER)
    assert registry.names(Kind.DRIVER) == ("thermo",)
    assert [failure.name for failure in registry.failures] == ["broken"]
    assert "ModuleNotFoundError" in registry.failures[0].error
