"""An image's description is read whole, and a mistake in it is named with its place."""

from __future__ import annotations

from pathlib import Path

import pytest
from image.lab import write

from leyden_image.debian.lockfile import check_current, read_lock, wanted_digest
from leyden_image.errors import ImageError
from leyden_image.python.requirements import check_wheels, read_wheels
from leyden_image.recipe import Recipe, load_recipe
from leyden_image.steps import STEPS
from leyden_image.variables import Variable, check_value

CONFIG = """\
    name = "small"
    description = "a small one"
    compatible = "small-arm64"
    layers = ["top", "base"]
    devices = ["pi"]

    [debian]
    suite = "trixie"
    suites = ["trixie"]
    security = []
    components = ["main"]

    [card]
    disk_id = 1
    boot_mib = 4
    slot_a_mib = 36
    slot_b_mib = 68
    data_mib = 100
    end_mib = 108

    [limits]
    compressed_mb = 10
    slot_mb = 10
    raw_mb = 200
"""
BASE = """\
    name = "base"
    version = 1
    description = "the lowest"
    packages = ["systemd"]

    [variables.level]
    description = "how much"
    default = 3
    valid = "1..9"
"""
TOP = """\
    name = "top"
    version = 1
    description = "above it"
    requires = ["base"]
"""
DEVICE = """\
    name = "pi"
    description = "a board"
    dtb = ["b.dtb", "a.dtb"]
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write(
        tmp_path,
        {
            "config/small.toml": CONFIG,
            "layer/base/layer.toml": BASE,
            "layer/top/layer.toml": TOP,
            "device/pi.toml": DEVICE,
        },
    )


def change(root: Path, name: str, old: str, new: str) -> None:
    path = root / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_layers_come_behind_what_they_require(root: Path) -> None:
    assert [layer.name for layer in load_recipe("small", root).layers] == ["base", "top"]


def test_an_image_sets_variables_within_their_range(root: Path) -> None:
    assert load_recipe("small", root).number("base", "level") == 3
    change(root, "config/small.toml", "[limits]", "[set.base]\nlevel = 7\n\n[limits]")
    assert load_recipe("small", root).number("base", "level") == 7


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        ("layer/base/layer.toml", "packages =", "pakages =", "did you mean 'packages'"),
        ("layer/base/layer.toml", 'name = "base"', 'name = "bass"', "the name of its folder"),
        ("layer/base/layer.toml", "version = 1", "version = 0", "version"),
        ("layer/base/layer.toml", "default = 3", "default = 30", "from 1 to 9"),
        ("layer/base/layer.toml", '["systemd"]', '["Bad Name"]', "packages"),
        ("layer/top/layer.toml", '["base"]', '["bass"]', "did you mean 'base'"),
        ("layer/top/layer.toml", '["base"]', '["base"]\nsteps = ["kernal"]', "mean 'kernel'"),
        ("layer/base/layer.toml", "description =", "requires = ['top']\ndescription =", "circle"),
        ("layer/base/layer.toml", "name =", "name", "layer.toml"),
        ("device/pi.toml", 'name = "pi"', 'name = "po"', "the name of its file"),
        ("device/pi.toml", "b.dtb", 'b.dtb"]\nfirmwar = ["x', "did you mean 'firmware'"),
        ("config/small.toml", '"pi"', '"pie"', "did you mean 'pi'"),
        ("config/small.toml", '"top"', '"topp"', "did you mean 'top'"),
        ("config/small.toml", "slot_a_mib = 36", "slot_a_mib = 3", "begin after the last"),
        ("config/small.toml", "slot_b_mib = 68", "slot_b_mib = 60", "differ in size"),
        ("config/small.toml", "raw_mb = 200", "raw_mb = 'x'", "raw_mb"),
        ("config/small.toml", "raw_mb = 200", "raw_mb = 1\n[set.bas]\na = 1", "mean 'base'"),
        ("config/small.toml", "raw_mb = 200", "raw_mb = 1\n[set.base]\nlevl = 1", "mean 'level'"),
        ("config/small.toml", "raw_mb = 200", "raw_mb = 1\n[set.base]\nlevel = 99", "from 1 to 9"),
    ],
)
def test_a_mistake_is_named(root: Path, name: str, old: str, new: str, words: str) -> None:
    change(root, name, old, new)
    with pytest.raises(ImageError, match=words):
        load_recipe("small", root)


def test_an_unknown_image_is_answered_with_the_known_ones(root: Path) -> None:
    with pytest.raises(ImageError, match="no image 'smal'.*did you mean 'small'"):
        load_recipe("smal", root)


def test_a_choice_takes_only_its_words() -> None:
    variable = Variable("a block", "64K", "64K | 1M")
    check_value("x", variable, "1M")
    with pytest.raises(ImageError, match="one of 64K, 1M"):
        check_value("x", variable, "2M")


def test_a_step_that_needs_a_number_refuses_a_word(root: Path) -> None:
    recipe = load_recipe("small", root)
    change(root, "layer/base/layer.toml", "default = 3", "default = 'a'")
    change(root, "layer/base/layer.toml", "1..9", "a | b")
    with pytest.raises(ImageError, match="needs a whole number"):
        load_recipe("small", root).number("base", "level")
    with pytest.raises(ImageError, match="no layer kernel"):
        recipe.layer("kernel")


@pytest.fixture(scope="module")
def leyden() -> Recipe:
    return load_recipe("leyden")


def test_the_shipped_image_is_well_formed(leyden: Recipe) -> None:
    used = {step for layer in leyden.layers for step in layer.steps}
    assert used == set(STEPS)
    assert leyden.config.card.disk_id == 0x4C45594E
    assert leyden.layer("kernel").unpacks("linux-modules-9.9.9+deb14-arm64")
    assert not leyden.layer("kernel").unpacks("linux-headers-9.9.9+deb14-arm64")


def test_the_locks_are_what_the_layers_ask_for(leyden: Recipe) -> None:
    check_current(read_lock(), leyden)
    check_wheels(read_wheels(), leyden)


def test_a_changed_layer_asks_for_a_new_lock(root: Path) -> None:
    before = wanted_digest(load_recipe("small", root))
    change(root, "layer/base/layer.toml", '["systemd"]', '["systemd", "dbus"]')
    assert wanted_digest(load_recipe("small", root)) != before
    with pytest.raises(ImageError, match="older than the layers"):
        check_current(read_lock(), load_recipe("small", root))


def test_trees_of_boards_are_listed_once_and_sorted(root: Path) -> None:
    assert load_recipe("small", root).trees == ("a.dtb", "b.dtb")
