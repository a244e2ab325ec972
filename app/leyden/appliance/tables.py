"""The tables of a configuration file: every key that is not a driver's own, with its type."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.fields import FieldInfo

from leyden.appliance.words import shown
from leyden.units import parse

NAME: Final = r"^[a-z][a-z0-9_]{0,62}$"


def _quantity(code: str, example: str, fits: Callable[[float], bool], span: str) -> BeforeValidator:
    """Read text with a unit into a number of `code`, refusing what is outside of `span`."""

    def read(value: Any) -> Any:
        if not isinstance(value, str):
            raise ValueError(f'found {shown(value)}, expected text with a unit such as "{example}"')
        number = parse(value, code)
        if not fits(number):
            raise ValueError(f'found "{value}", expected {span}')
        return number

    return BeforeValidator(read)


def _text_with_unit(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError(f'found {shown(value)}, expected text with a unit such as "100 kHz"')
    return value


Speed = Annotated[str, BeforeValidator(_text_with_unit)]
Seconds = Annotated[
    float, _quantity("s", "2 s", lambda s: 0 < s <= 86_400, "more than 0 s, at most 1 d")
]
# Below a megabyte the log would be dropped as fast as it is written.
Bytes = Annotated[float, _quantity("By", "2 GB", lambda size: size >= 1e6, "1 MB or more")]
Name = Annotated[str, Field(pattern=NAME)]


class Table(BaseModel):
    """A table that refuses keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ApplianceTable(Table):
    """`[appliance]`: what it is called."""

    name: Name
    label: str = ""


class BusTable(Table):
    """`[bus.<name>]`: one bus and how to reach it."""

    kind: Literal["i2c", "spi", "uart", "gpio"]
    path: str = ""
    chip: str = ""
    speed: Speed = ""  # Hz, or Bd for a serial line; judged by kind


class IfAbsentWord(StrEnum):
    """What a device that is not there at boot means, as the configuration writes it."""

    RETRY = "retry"
    FAIL = "fail"
    IGNORE = "ignore"


class DeviceTable(BaseModel):
    """`[device.<id>]`: one device. Further keys are its driver's own and judged by its OPTIONS."""

    model_config = ConfigDict(extra="allow", frozen=True)

    driver: str
    bus: str = ""
    every: Seconds = 1.0
    check_every: Seconds = 10.0
    if_absent: IfAbsentWord = IfAbsentWord.RETRY
    label: str = ""
    group: str = ""
    needs: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    normal: dict[str, Any] = {}  # two quantities each; judged by the channel's unit


class RouteTable(Table):
    """`[route.<name>]`: a derived route and the stages it goes through."""

    source: str = Field(alias="from")
    through: list[Any] = []  # tables of one stage each; judged by the stages
    label: str = ""
    group: str = ""


class LogTable(Table):
    """`[log]`: what the event log may take."""

    limit: Bytes = 2_000_000_000


class PanelTable(Table):
    """`[panel]`: how the panel may be called."""

    hosts: tuple[str, ...] = ()


class File(Table):
    """A whole configuration file."""

    appliance: ApplianceTable
    bus: dict[Name, BusTable] = {}
    device: dict[Name, DeviceTable] = {}
    route: dict[Name, RouteTable] = {}
    log: LogTable = LogTable()
    panel: PanelTable = PanelTable()
    world: dict[str, Any] = {}


def keys(table: type[BaseModel]) -> list[str]:
    """Return the keys of a table, as the file writes them."""
    return [field.alias or name for name, field in table.model_fields.items()]


def table_at(place: tuple[int | str, ...]) -> type[BaseModel] | None:
    """Return the table that stands at a place of the file; None where there is none."""
    table: type[BaseModel] | None = File
    for part in place:
        if table is not None and part in table.model_fields:
            table = _inner(table.model_fields[str(part)])
    return table


def _inner(field: FieldInfo) -> type[BaseModel] | None:
    # `LogTable`, or `dict[Name, BusTable]`: the table is the annotation or its last argument.
    annotation: Any = field.annotation
    candidates = [annotation, *getattr(annotation, "__args__", ())]
    return next(
        (each for each in candidates if isinstance(each, type) and issubclass(each, BaseModel)),
        None,
    )
