"""The template that lies on the boot partition of every new card: nothing is set, all is shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from appliance.card.cards import judge, new_card
from pydantic import BaseModel

from leyden.appliance.card.preseed import Preseed, read_preseed
from leyden.appliance.card.wiping import wiped
from leyden.appliance.card.wishes import Wishes

TEMPLATE = Path(__file__).parents[3] / "image" / "boot-files" / "leyden.toml"
EXAMPLE = re.compile(r"#((?:[a-z_]+ = |\[).*)")
# What only makes sense without another example.
INSTEAD = ("psk", "open", "dhcp", "appliance_file")


def read(text: str, tmp_path: Path) -> Preseed:
    card = new_card(tmp_path)
    return read_preseed(text.encode(), name="leyden.toml", zones=card.zones)


def tables() -> list[tuple[str, str]]:
    found = []
    for name, field in Wishes.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            found += [(name, key) for key in inner.model_fields]
        else:
            found.append(("", name))
    return found


def with_examples(*, but: tuple[str, ...] = ()) -> str:
    lines = []
    for line in TEMPLATE.read_text(encoding="utf-8").splitlines():
        match = EXAMPLE.fullmatch(line)
        wanted = match is not None and match[1].partition(" ")[0] not in but
        lines.append(match[1] if match is not None and wanted else line)
    return "\n".join(lines) + "\n"


def test_as_it_is_it_wishes_for_nothing_and_has_no_mistake(tmp_path: Path) -> None:
    preseed = read(TEMPLATE.read_text(encoding="utf-8"), tmp_path)
    assert preseed.empty
    assert (preseed.complaints, preseed.secrets) == ((), ())
    assert preseed.file is not None


def test_wiping_leaves_it_as_it_is(tmp_path: Path) -> None:
    data = TEMPLATE.read_bytes()
    preseed = read(data.decode(), tmp_path)
    assert wiped(preseed, data) == data


@pytest.mark.parametrize(("table", "key"), tables())
def test_every_field_has_an_example_in_its_table(table: str, key: str) -> None:
    text = TEMPLATE.read_text(encoding="utf-8")
    parts = re.split(r"^\[([a-z]+)\]$", text, flags=re.MULTILINE)
    by_table = dict(zip(parts[1::2], parts[2::2], strict=True)) | {"": parts[0]}
    assert re.search(rf"^#{key} = ", by_table[table], re.MULTILINE)


def test_all_examples_together_are_taken(tmp_path: Path) -> None:
    preseed = read(with_examples(but=INSTEAD), tmp_path)
    assert preseed.complaints == ()
    assert preseed.wishes.hostname == "greenhouse"
    assert preseed.wishes.wifi.country == "DE"
    assert preseed.wishes.network.gateway is not None
    assert preseed.wishes.ssh.authorized_keys
    assert preseed.wishes.panel.password_hash


@pytest.mark.parametrize("key", INSTEAD)
def test_the_examples_that_stand_for_others_are_taken_too(key: str, tmp_path: Path) -> None:
    rivals = {"psk": ("password", "open"), "open": ("password", "psk"), "dhcp": ("address",)}
    rest = (*rivals.get(key, ()), *(each for each in INSTEAD if each != key))
    if key == "dhcp":
        rest = (*rest, "gateway", "dns")
    assert read(with_examples(but=rest), tmp_path).complaints == ()


def test_the_appliance_in_it_is_one(tmp_path: Path) -> None:
    preseed = read(with_examples(but=INSTEAD), tmp_path)
    path = tmp_path / "appliance.toml"
    path.write_text(preseed.appliance, encoding="utf-8")
    assert judge(path).problems == ()


def test_lines_fit_a_small_editor_but_for_keys_and_hashes() -> None:
    for line in TEMPLATE.read_text(encoding="utf-8").splitlines():
        assert len(line) <= 100 or line.startswith(("#authorized_keys", "#password_hash"))
