"""What is compared: Leyden, the packages it grew out of ("seeds"), and two lower bounds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a subject's figures are used for."""

    LEYDEN = "leyden"
    SEED = "seed"  # a published package whose ideas Leyden grew out of; the best one sets ratio 1
    BASELINE = "baseline"  # does a part of the work only; shown, but never "the best seed"


@dataclass(frozen=True, slots=True)
class Subject:
    """One thing that is measured; `pins` make the environment it is measured in."""

    name: str
    version: str
    role: Role
    pins: tuple[str, ...] = ()  # pip requirements, closed: every dependency at one version
    from_source: tuple[str, ...] = ()  # pure-Python packages that come without a wheel

    @property
    def id(self) -> str:
        """Name and version, as budgets refer to it."""
        return f"{self.name} {self.version}" if self.role is not Role.LEYDEN else self.name

    @property
    def environment(self) -> str:
        """The folder of its environment."""
        return f"{self.name}-{self.version}"


def leyden(version: str) -> Subject:
    """Leyden itself, measured in the project's own environment."""
    return Subject("leyden", version, Role.LEYDEN)


BUSSDCC_021 = Subject("bussdcc", "0.21.0", Role.SEED, ("bussdcc==0.21.0",))
BUSSDCC_042 = Subject("bussdcc", "0.42.0", Role.SEED, ("bussdcc==0.42.0",))
FRAMEWORK = Subject(
    "bussdcc-framework",
    "0.34.0",
    Role.SEED,
    (
        "bussdcc-framework==0.34.0", "bussdcc==0.40.0", "bidict==0.24.1", "blinker==1.9.0",
        "click==8.5.1", "flask==3.1.3", "flask-socketio==5.6.1", "h11==0.16.0",
        "itsdangerous==2.2.0", "jinja2==3.1.6", "markupsafe==3.0.4", "python-engineio==4.15.1",
        "python-socketio==5.18.1", "simple-websocket==1.1.0", "typing-extensions==4.16.0",
        "werkzeug==3.1.9", "wsproto==1.3.2",
    ),
)  # fmt: skip
MANYFOLD_016 = Subject(
    "manyfold",
    "0.1.6",
    Role.SEED,
    ("manyfold==0.1.6", "reactivex==5.0.0a2", "typing-extensions==4.16.0"),
)
MANYFOLD_0142 = Subject(
    "manyfold",
    "0.1.42",
    Role.SEED,
    ("manyfold==0.1.42", "ifaddr==0.2.0", "pysyncobj==0.3.15", "zeroconf==0.150.5"),
    from_source=("pysyncobj",),
)
ZU_CORE = Subject(
    "zu-core",
    "0.2.0",
    Role.SEED,
    (
        "zu-core==0.2.0", "annotated-types==0.8.0", "pydantic==2.14.3", "pydantic-core==2.50.4",
        "typing-extensions==4.16.0", "typing-inspection==0.4.5",
    ),
)  # fmt: skip
REACTIVEX = Subject(
    "reactivex", "6.1.0", Role.BASELINE, ("reactivex==6.1.0", "typing-extensions==4.16.0")
)
ORJSON = Subject("orjson", "3.13.0", Role.BASELINE, ("orjson==3.13.0",))

OTHERS = (
    BUSSDCC_021, BUSSDCC_042, FRAMEWORK, MANYFOLD_016, MANYFOLD_0142, ZU_CORE, REACTIVEX, ORJSON,
)  # fmt: skip
