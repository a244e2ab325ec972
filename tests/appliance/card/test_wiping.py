"""Secrets leave the boot partition where they lie, and a power cut in the middle is finished."""

from __future__ import annotations

import codecs
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from leyden.appliance.card.preseed import Preseed, read_preseed
from leyden.appliance.card.wiping import SECTOR, Unfinished, wiped

NOWHERE = Path("/nowhere")
SECRETS = st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="\"\\'"),
    min_size=8,
    max_size=63,
)
ENCODINGS = st.sampled_from(["utf-8", "utf-8-sig", "utf-16-le", "utf-16-be"])
ENDS = st.sampled_from(["\n", "\r\n", "\r"])
FILLERS = st.lists(
    st.sampled_from(["", "# ein Kommentar: Gewächshaus ☀", "[ssh]", "authorized_keys = []"]),
    max_size=30,
)
LAYOUTS = st.sampled_from(
    [
        '[wifi]\nssid = "Home"\npassword = "{}"\ncountry = "DE"',
        "[wifi]\npassword = '{}' # the one of the router\nssid = \"Home\"",
        'wifi = {{ ssid = "Home", password = "{}" }}',
        'wifi.ssid = "Home"\nwifi.password = """{}"""',
        '[wifi]\npassword = """\\\n   {}"""',
        '[wifi]\naccess_point_password =    "{}"',
        '"wifi"."password" = "{}"',
        '[wifi]\npasswort = "{}"',
        '[wifi]\npassword = "{}',
        "[wifi]\npassword = {}",
    ]
)


def read(data: bytes) -> Preseed:
    return read_preseed(data, name="leyden.toml", zones=NOWHERE)


def encoded(text: str, encoding: str, end: str) -> bytes:
    mark = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}.get(encoding, b"")
    return mark + text.replace("\n", end).encode(encoding)


@given(LAYOUTS, SECRETS, FILLERS, ENCODINGS, ENDS)
def test_no_secret_stays_whatever_the_file_looks_like(
    layout: str, secret: str, filler: list[str], encoding: str, end: str
) -> None:
    head = "\n".join(each for each in filler if not each.startswith(("[", "a")))
    data = encoded(f"{head}\n{layout.format(secret)}\n", encoding, end)
    after = wiped(read(data), data)
    assert len(after) == len(data)
    codec = encoding.removesuffix("-sig")
    assert secret.encode(codec) not in after
    assert secret not in after.decode(codec)


@given(LAYOUTS, SECRETS, ENCODINGS, ENDS)
def test_what_was_wiped_reads_without_complaint_but_for_what_was_wrong_before(
    layout: str, secret: str, encoding: str, end: str
) -> None:
    data = encoded(layout.format(secret) + "\n", encoding, end)
    again = read(wiped(read(data), data))
    assert again.secrets == ()
    assert again.wishes.wifi.password is None


@given(SECRETS, st.integers(0, 40), st.data())
def test_a_wipe_that_was_cut_off_is_known_for_what_it_is(
    secret: str, lines: int, data: st.DataObject
) -> None:
    comments = "".join(
        f"# line {i} of some comments that fill a sector or two\n" for i in range(lines)
    )
    before = f'{comments}[wifi]\nssid = "Home"\npassword = "{secret}"\n{comments}'.encode()
    after = wiped(read(before), before)
    unfinished = Unfinished.of(before, after)
    sectors = range(0, len(before), SECTOR)
    torn = b"".join(data.draw(st.sampled_from([before, after]))[i : i + SECTOR] for i in sectors)
    assert unfinished.matches(torn)


@given(SECRETS, SECRETS)
def test_a_file_that_somebody_changed_since_is_no_cut_off_wipe(one: str, other: str) -> None:
    before = f'[wifi]\nssid = "Home"\npassword = "{one}"\n'.encode()
    changed = f'[wifi]\nssid = "Home"\npassword = "{other}"\n'.encode()
    unfinished = Unfinished.of(before, wiped(read(before), before))
    assert unfinished.matches(changed) == (one == other)


def test_a_file_without_secrets_is_left_as_it_is() -> None:
    data = b'hostname = "greenhouse"\n[wifi]\nssid = "Home"\ncountry = "DE"\n'
    assert wiped(read(data), data) == data


def test_the_appliances_own_passwords_are_its_own_business() -> None:
    data = b'[appliance]\nname = "a"\n[device.x]\ndriver = "host"\npassword = "part of it"\n'
    assert wiped(read(data), data) == data


@given(st.one_of(st.binary(max_size=400), st.text("[]wifipasword=\"'\n\r\\{}#, ", max_size=200)))
def test_no_file_stops_wiping_or_changes_its_length(data: bytes | str) -> None:
    raw = data.encode() if isinstance(data, str) else data
    after = wiped(read(raw), raw)
    assert len(after) == len(raw)
    assert wiped(read(after), after) == after
