"""What an image is made of: its configuration, layers and devices, read from TOML and judged.

    image/config/<image>.toml          which layers and boards, how big, from which archive
    image/layer/<name>/layer.toml      packages, files, steps and variables of one concern
    image/device/<board>.toml          device trees, modules, firmware, boot settings of one board

A file is refused with the place of the mistake and, for a misspelt word, the nearest known one.
Public names: `Recipe`, `Layer`, `Device`, `ImageConfig`, `load_recipe`.
"""

from __future__ import annotations

import difflib
import fnmatch
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import Meta, Struct

from leyden_image.errors import ImageError
from leyden_image.paths import IMAGE
from leyden_image.steps import STEPS
from leyden_image.variables import Value, Variable, check_value

Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]*$")]
# A package as apt knows it: `name`, or `name/suite` where the suite matters.
Package = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9.+-]+(/[a-z-]+)?$")]
MiB = Annotated[int, Meta(ge=1)]


class Family(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Packages whose names carry a version, reached through one whose name does not.

    Attributes:
        of: the package that depends on them, as for apt.
        members: globs of the dependencies that are meant.
    """

    of: Package
    members: tuple[str, ...]


class Layer(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One concern of the image.

    Attributes:
        name: the folder's name.
        version: rises when the layer's meaning changes.
        description: one line for people.
        requires: layers that have to be in the image and come first.
        packages: installed into the root by apt, with their dependencies.
        unpack: unpacked without dependencies and without running anything of theirs.
        families: unpacked too, whatever version their names carry.
        sdk: unpacked to compile against, never part of the image.
        host: unpacked for this machine: tools the build runs, never part of the image.
        wheels: Python packages that come as wheels, with their dependencies.
        sources: Python packages without a wheel, compiled while building.
        trees: folders copied to `/`, relative to the project; missing ones are passed over.
        steps: what the builder does for this layer, by name, in order.
        remove: globs of what is taken out of the root when all layers are in.
        variables: what an image may set.
    """

    name: Name
    version: Annotated[int, Meta(ge=1)]
    description: Annotated[str, Meta(min_length=1)]
    requires: tuple[Name, ...] = ()
    packages: tuple[Package, ...] = ()
    unpack: tuple[Package, ...] = ()
    families: tuple[Family, ...] = ()
    sdk: tuple[Package, ...] = ()
    host: tuple[Package, ...] = ()
    wheels: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    trees: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    variables: dict[Name, Variable] = msgspec.field(default_factory=dict)

    def unpacks(self, package: str) -> bool:
        """Say whether the layer unpacks a package of this name."""
        names = {name.partition("/")[0] for name in self.unpack}
        patterns = [pattern for family in self.families for pattern in family.members]
        return package in names or any(fnmatch.fnmatchcase(package, one) for one in patterns)


class EmulatedTree(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A device tree for an emulated board; it is given to the emulator and on no card.

    Attributes:
        file: its name.
        base: the kernel's tree that it is made from.
        overlays: ours that are worked into it.
    """

    file: str
    base: str
    overlays: tuple[Name, ...] = ()


class Device(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A board, or a family of boards that start alike.

    Attributes:
        name: the file's name.
        description: the boards in words.
        imager: tags of Raspberry Pi Imager for these boards.
        modules: kernel modules needed in the running system; dependencies follow.
        firmware: globs below /usr/lib/firmware.
        boot: globs of the Pi firmware's files for the boot partition.
        dtb: device trees of the kernel, by file name.
        emulated: trees for the emulator.
        compatible: what the boards' device trees call themselves; an update names them.
    """

    name: Name
    description: Annotated[str, Meta(min_length=1)]
    imager: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    firmware: tuple[str, ...] = ()
    boot: tuple[str, ...] = ()
    dtb: tuple[str, ...] = ()
    emulated: tuple[EmulatedTree, ...] = ()
    compatible: tuple[str, ...] = ()


class Debian(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the packages come from."""

    suite: str
    suites: tuple[str, ...]  # of the archive `debian`
    security: tuple[str, ...]  # of the archive `debian-security`
    components: tuple[str, ...]


class Card(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The layout of the card; whole numbers of MiB, counted from its beginning."""

    disk_id: Annotated[int, Meta(ge=1, le=0xFFFFFFFF)]
    boot_mib: MiB
    slot_a_mib: MiB
    slot_b_mib: MiB
    data_mib: MiB
    end_mib: MiB


class Limits(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Sizes above which a build fails; MB are millions of bytes, as shops count."""

    compressed_mb: Annotated[int, Meta(ge=1)]
    slot_mb: Annotated[int, Meta(ge=1)]
    raw_mb: Annotated[int, Meta(ge=1)]


class ImageConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One image."""

    name: Name
    description: Annotated[str, Meta(min_length=1)]
    compatible: str  # what an update has to say to be meant for this image
    layers: tuple[Name, ...]
    devices: tuple[Name, ...]
    debian: Debian
    card: Card
    limits: Limits
    set: dict[Name, dict[Name, Value]] = msgspec.field(default_factory=dict)


class Recipe(Struct, frozen=True):
    """An image with all it names: layers in the order they are applied, devices as listed."""

    config: ImageConfig
    layers: tuple[Layer, ...]
    devices: tuple[Device, ...]
    root: Path  # the folder with config, layer, device

    @property
    def trees(self) -> tuple[str, ...]:
        """Names of the boards' device trees."""
        return tuple(sorted({name for device in self.devices for name in device.dtb}))

    def layer(self, name: str) -> Layer:
        """Return a layer that a step belongs to; raise `ImageError` if the image has it not."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise ImageError(f"the image has no layer {name}, which a step asks for; add it to layers")

    def value(self, layer: str, variable: str) -> Value:
        """Return a layer's variable: what the image sets, else the default."""
        declared = self.layer(layer).variables[variable]
        return self.config.set.get(layer, {}).get(variable, declared.default)

    def number(self, layer: str, variable: str) -> int:
        """Return a variable that is a whole number."""
        value = self.value(layer, variable)
        if not isinstance(value, int):
            raise ImageError(f"{layer}.{variable} is {value!r}; the step needs a whole number")
        return value


def load_recipe(image: str, root: Path = IMAGE) -> Recipe:
    """Read an image's configuration and all it refers to.

    Raises:
        ImageError: a file is missing or says something that cannot be meant.
    """
    config = _read(_named(root / "config", image, ".toml", "image"), ImageConfig)
    layers = _in_order(root, config.layers)
    devices = tuple(_read_device(root, name) for name in config.devices)
    recipe = Recipe(config, layers, devices, root)
    _check_settings(recipe)
    _check_card(config.card)
    return recipe


def read_layer(root: Path, name: str) -> Layer:
    """Read one layer; raise `ImageError` if it is not there or not well-formed."""
    path = _named(root / "layer", name, "", "layer") / "layer.toml"
    layer = _read(path, Layer)
    if layer.name != name:
        raise ImageError(f"{path}: name is {layer.name!r}; a layer has the name of its folder")
    for step in layer.steps:
        if step not in STEPS:
            raise ImageError(f"{path}: no step {step!r}{_nearest(step, STEPS)}")
    for variable, declared in layer.variables.items():
        check_value(f"{path}: default of {variable}", declared, declared.default)
    return layer


def _read_device(root: Path, name: str) -> Device:
    path = _named(root / "device", name, ".toml", "device")
    device = _read(path, Device)
    if device.name != name:
        raise ImageError(f"{path}: name is {device.name!r}; a device has the name of its file")
    return device


def _in_order(root: Path, names: tuple[str, ...]) -> tuple[Layer, ...]:
    """Put layers behind what they require, otherwise as they are listed."""
    layers = {name: read_layer(root, name) for name in names}
    ordered: dict[str, Layer] = {}

    def add(name: str, way: tuple[str, ...]) -> None:
        if name in way:
            raise ImageError(f"layers require each other in a circle: {' → '.join((*way, name))}")
        if name in ordered:
            return
        if name not in layers:
            raise ImageError(
                f"layer {way[-1]} requires {name}, which the image does not list; "
                f"add {name!r} to its layers{_nearest(name, layers)}"
            )
        for needed in layers[name].requires:
            add(needed, (*way, name))
        ordered[name] = layers[name]

    for name in names:
        add(name, ())
    return tuple(ordered.values())


def _check_settings(recipe: Recipe) -> None:
    layers = {layer.name: layer for layer in recipe.layers}
    for name, values in recipe.config.set.items():
        if name not in layers:
            raise ImageError(f"set.{name}: no such layer in the image{_nearest(name, layers)}")
        for variable, value in values.items():
            declared = layers[name].variables
            if variable not in declared:
                raise ImageError(f"set.{name}.{variable}: unknown{_nearest(variable, declared)}")
            check_value(f"set.{name}.{variable}", declared[variable], value)


def _check_card(card: Card) -> None:
    starts = (card.boot_mib, card.slot_a_mib, card.slot_b_mib, card.data_mib, card.end_mib)
    if list(starts) != sorted(set(starts)):
        raise ImageError(
            f"card: partitions begin at {starts} MiB; each has to begin after the last"
        )
    if card.slot_b_mib - card.slot_a_mib != card.data_mib - card.slot_b_mib:
        raise ImageError("card: slots A and B differ in size; an update has to fit both")


_Record = TypeVar("_Record", bound=Struct)
_UNKNOWN: Final = re.compile(r"contains unknown field `([^`]+)`")


def _read(path: Path, kind: type[_Record]) -> _Record:
    try:
        content: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ImageError(f"{path} is missing") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ImageError(f"{path}: {error}") from error
    try:
        return msgspec.convert(content, kind)
    except msgspec.ValidationError as error:
        raise ImageError(f"{path}: {_in_words(str(error), kind)}") from error


def _in_words(message: str, kind: type[Struct]) -> str:
    """Add the nearest known key to a complaint about an unknown one."""
    if not (found := _UNKNOWN.search(message)):
        return message
    known: set[str] = set(kind.__struct_fields__)
    for record in (Family, EmulatedTree, Debian, Card, Limits, Variable):
        known.update(record.__struct_fields__)
    return f"{message}{_nearest(found[1], known)}"


def _named(folder: Path, name: str, suffix: str, kind: str) -> Path:
    path = folder / f"{name}{suffix}"
    if path.exists():
        return path
    known = [one.stem if suffix else one.name for one in sorted(folder.glob(f"*{suffix}"))]
    raise ImageError(f"no {kind} {name!r} in {folder}{_nearest(name, known)}")


def _nearest(word: str, known: Any) -> str:
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; known are: {', '.join(sorted(known))}"
