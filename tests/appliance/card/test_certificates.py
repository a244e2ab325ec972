"""The device's own authority and the panel's certificate: made, renewed, mended, handed out."""

from __future__ import annotations

import datetime
import ipaddress
import shutil
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from appliance.card.cards import EPOCH, OWN_NAME, new_card, notes_of, quiet, said
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from leyden.appliance.card import authority, certificates, record
from leyden.appliance.card.certificate_facts import (
    BACKDATED,
    LATEST,
    LIFE,
    RENEWED,
    CertificateFacts,
    built,
    read_facts,
    today,
)
from leyden.appliance.card.notes import Level
from leyden.appliance.card.places import Card
from leyden.appliance.card.record import Settings, Static, Wifi
from leyden.kernel import NS, ManualClock

DAY = datetime.timedelta(days=1)
BUILT = datetime.datetime.fromtimestamp(EPOCH, datetime.UTC)
NOW = BUILT + 100 * DAY


@pytest.fixture
def card(tmp_path: Path) -> Card:
    return new_card(tmp_path)


def clock_at(moment: datetime.datetime) -> ManualClock:
    return ManualClock(wall_ns=round(moment.timestamp()) * NS)


def keep(card: Card, moment: datetime.datetime = NOW) -> None:
    certificates.keep(card, quiet(card), clock_at(moment))


def facts(card: Card) -> CertificateFacts:
    found = read_facts(card)
    assert found is not None
    return found


def contents(card: Card) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in card.identity.iterdir()}


def certificate(card: Card, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((card.identity / name).read_bytes())


def test_a_first_boot_makes_an_authority_and_a_certificate(card: Card) -> None:
    keep(card)
    leaf, above = certificate(card, "leaf.pem"), certificate(card, "ca.pem")
    leaf.verify_directly_issued_by(above)
    assert facts(card).names == (OWN_NAME, f"{OWN_NAME}.local", "localhost", "127.0.0.1", "::1")
    assert [note.level for note in notes_of(card)] == [Level.INFO]


def test_nothing_is_done_when_nothing_is_to_be_done(card: Card) -> None:
    keep(card)
    before = contents(card)
    keep(card, NOW + 30 * DAY)
    assert contents(card) == before


def test_a_look_at_what_is_in_order_loads_no_cryptography(card: Card) -> None:
    import subprocess
    import sys

    keep(card, datetime.datetime.now(datetime.UTC))
    code = (
        "import sys; from leyden.appliance.card.certificates import main;"
        f"code = main(['--root', {str(card.root)!r}]); print(*sys.modules); sys.exit(code)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"cryptography", "pydantic", "argon2"} & set(run.stdout.split())


def test_dates_are_such_that_a_card_without_a_clock_is_believed(card: Card) -> None:
    keep(card, BUILT)
    leaf, above = certificate(card, "leaf.pem"), certificate(card, "ca.pem")
    assert above.not_valid_before_utc < BUILT - 365 * DAY
    assert above.not_valid_after_utc == LATEST
    assert leaf.not_valid_before_utc == BUILT - BACKDATED
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc < 825 * DAY


def test_the_authority_is_bound_to_this_device_and_its_networks(card: Card) -> None:
    keep(card)
    bounds = certificate(card, "ca.pem").extensions.get_extension_for_class(x509.NameConstraints)
    assert bounds.critical
    permitted = [str(each.value) for each in bounds.value.permitted_subtrees or []]
    assert OWN_NAME in permitted
    assert "local" in permitted
    assert "192.168.0.0/16" in permitted
    usage = certificate(card, "ca.pem").extensions.get_extension_for_class(x509.BasicConstraints)
    assert (usage.value.ca, usage.value.path_length) == (True, 0)


def test_keys_are_where_they_may_be_read(card: Card) -> None:
    keep(card)
    modes = {path.name: path.stat().st_mode & 0o777 for path in card.identity.iterdir()}
    assert modes == {
        "ca.key": 0o600, "ca.pem": 0o644, "leaf.key": 0o400, "leaf.pem": 0o644,
        "certificate.json": 0o644,
    }  # fmt: skip


def test_a_third_before_its_end_it_is_renewed_by_the_same_authority(card: Card) -> None:
    keep(card)
    before, end = contents(card), facts(card).not_after
    keep(card, end - RENEWED - DAY)
    assert contents(card) == before
    keep(card, end - RENEWED + DAY)
    assert contents(card)["ca.pem"] == before["ca.pem"]
    assert contents(card)["leaf.pem"] != before["leaf.pem"]
    assert contents(card)["leaf.key"] != before["leaf.key"]
    assert facts(card).not_after > end


def test_a_certificate_of_tomorrow_is_made_again_when_the_clock_was_ahead(card: Card) -> None:
    keep(card, NOW + 400 * DAY)
    keep(card, NOW)
    assert facts(card).not_before == NOW.replace(microsecond=0) - BACKDATED


@pytest.mark.parametrize(
    "settings",
    [
        Settings(hostname="greenhouse"),
        Settings(static=Static("192.168.1.50/24")),
        Settings(static=Static("203.0.113.9/24")),
        Settings(wifi=Wifi("Home", country="DE")),
    ],
)
def test_other_names_make_another_certificate(card: Card, settings: Settings) -> None:
    keep(card)
    before = facts(card)
    record.save(card, settings)
    keep(card)
    after = facts(card)
    assert set(after.names) != set(before.names)
    leaf, above = certificate(card, "leaf.pem"), certificate(card, "ca.pem")
    leaf.verify_directly_issued_by(above)
    outside = settings.hostname or settings.static == Static("203.0.113.9/24")
    assert (after.ca_sha256 != before.ca_sha256) == bool(outside)
    assert bool(said(card, "certificate.authority")) == bool(outside)


def test_names_of_the_appliances_configuration_are_in_it(card: Card) -> None:
    card.config.parent.mkdir(parents=True)
    card.config.write_text(
        '[panel]\nhosts = ["Greenhouse.example.org", "10.1.2.3", "no name!", 5]\n'
    )
    keep(card)
    assert "greenhouse.example.org" in facts(card).names
    assert "10.1.2.3" in facts(card).names
    assert len(facts(card).names) == 7


@pytest.mark.parametrize(
    "text", ["", "[panel]\n", "[panel]\nhosts = 5\n", "panel = 3\n", "not toml", "[" * 5000]
)
def test_a_configuration_that_is_no_good_gives_no_names(card: Card, text: str) -> None:
    card.config.parent.mkdir(parents=True)
    card.config.write_text(text)
    keep(card)
    assert len(facts(card).names) == 5


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


def _other_key(path: Path) -> None:
    path.write_bytes(authority.encode_key(authority.new_key()))


def _rsa(path: Path) -> None:
    key = rsa.generate_private_key(65537, 2048)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


DAMAGES: list[tuple[str, Callable[[Path], object]]] = [
    ("leaf.pem", _cut),
    ("leaf.pem", Path.unlink),
    ("leaf.pem", lambda path: path.write_bytes(b"")),
    ("leaf.key", _other_key),
    ("leaf.key", Path.unlink),
    ("leaf.key", lambda path: path.write_bytes(b"\0" * 241)),
    ("certificate.json", _cut),
    ("certificate.json", Path.unlink),
]


@pytest.mark.parametrize(("name", "damage"), DAMAGES)
def test_what_is_damaged_is_mended_under_the_same_authority(
    card: Card, name: str, damage: Callable[[Path], object]
) -> None:
    keep(card)
    before = facts(card).ca_sha256
    (card.identity / name).chmod(0o600)
    damage(card.identity / name)
    keep(card)
    assert facts(card).ca_sha256 == before
    certificate(card, "leaf.pem").verify_directly_issued_by(certificate(card, "ca.pem"))
    assert said(card, "certificate.authority") == []


@pytest.mark.parametrize("damage", [_cut, _other_key, _rsa])
@pytest.mark.parametrize("name", ["ca.key", "ca.pem"])
def test_a_damaged_authority_is_made_anew_and_said_aloud(
    card: Card, name: str, damage: Callable[[Path], object]
) -> None:
    keep(card)
    before = facts(card).ca_sha256
    damage(card.identity / name)
    keep(card)
    after = facts(card).ca_sha256
    assert after != before
    (words,) = said(card, "certificate.authority")
    assert after in words
    assert after in (card.root / "dev/tty1").read_text()
    certificate(card, "leaf.pem").verify_directly_issued_by(certificate(card, "ca.pem"))


def test_an_authority_that_is_bound_to_nothing_is_none_of_ours(card: Card) -> None:
    keep(card)
    leaf = authority.decode_pair(
        (card.identity / "leaf.key").read_bytes(), (card.identity / "leaf.pem").read_bytes()
    )
    (card.identity / "ca.key").write_bytes(leaf.key_pem)
    (card.identity / "ca.pem").write_bytes(leaf.certificate_pem)
    keep(card)
    assert "none of this device" in said(card, "certificate.authority")[0]


def test_files_of_two_cards_that_were_mixed_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    one, two = new_card(tmp_path / "one"), new_card(tmp_path / "two")
    keep(one)
    keep(two)
    for name in ("leaf.key", "leaf.pem"):
        (one.identity / name).chmod(0o600)
        shutil.copy(two.identity / name, one.identity / name)
    keep(one)
    certificate(one, "leaf.pem").verify_directly_issued_by(certificate(one, "ca.pem"))


WRONG = [
    datetime.datetime(1970, 1, 1, 0, 2, tzinfo=datetime.UTC),
    BUILT - 2 * DAY,
    LATEST,
    datetime.datetime(2106, 2, 7, tzinfo=datetime.UTC),
]


@pytest.mark.parametrize("moment", WRONG)
def test_a_clock_that_cannot_be_right_is_not_believed_and_that_is_said(
    card: Card, moment: datetime.datetime
) -> None:
    keep(card, moment)
    assert facts(card).not_before == BUILT - BACKDATED
    assert f"{moment:%Y-%m-%d}" in said(card, "certificate.clock")[0]


@pytest.mark.parametrize("moment", WRONG)
def test_a_wrong_clock_takes_no_good_certificate_away(
    card: Card, moment: datetime.datetime
) -> None:
    keep(card)
    before = contents(card)
    keep(card, moment)
    assert contents(card) == before


def test_once_the_clock_is_set_the_certificate_is_dated_by_it(card: Card) -> None:
    keep(card, datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC))
    keep(card, BUILT + 700 * DAY)
    assert facts(card).not_before == BUILT + 700 * DAY - BACKDATED


@given(st.integers(-(2**63), 2**63 - 1))
def test_no_date_stops_it(wall_ns: int) -> None:
    date = today(wall_ns, BUILT)
    assert BUILT - DAY <= date.now <= LATEST - 2 * LIFE


@pytest.mark.parametrize(
    "text", ["", "{}", '{"epoch": "soon"}', '{"epoch": 1e300}', '{"epoch": 5}']
)
def test_a_release_that_does_not_say_when_it_was_built_has_a_date_all_the_same(
    card: Card, text: str
) -> None:
    card.release.write_text(text)
    assert built(card).year == 2026


def test_the_authority_is_handed_out_on_the_boot_partition(card: Card) -> None:
    assert certificates.main(["--root", str(card.root)], clock_at(NOW)) == 0
    assert (card.boot / "leyden-ca.crt").read_bytes() == (card.identity / "ca.pem").read_bytes()


def test_without_a_boot_partition_it_stays_where_it_is(card: Card) -> None:
    shutil.rmtree(card.boot)
    assert certificates.main(["--root", str(card.root)], clock_at(NOW)) == 0
    assert "the panel offers it as well" in said(card, "certificate.no-copy")[0]


def test_a_disk_that_takes_nothing_is_said(card: Card) -> None:
    card.data.parent.mkdir(exist_ok=True)
    card.data.touch()
    assert certificates.main(["--root", str(card.root)], clock_at(NOW)) == 1
    assert said(card, "certificate.not-made")


class Served:
    """A TLS server on this machine that greets once."""

    def __init__(self, card: Card) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(card.identity / "leaf.pem", card.identity / "leaf.key")
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._greet)
        self._thread.start()

    def _greet(self) -> None:
        with self._socket, self._socket.accept()[0] as plain:
            try:
                with self._context.wrap_socket(plain, server_side=True) as secure:
                    secure.sendall(b"hello")
            except OSError:
                return  # the client would not have us

    def close(self) -> None:
        self._thread.join(10)


def greeting(card: Card, name: str) -> bytes:
    served = Served(card)
    trusting = ssl.create_default_context(cafile=str(card.identity / "ca.pem"))
    try:
        with (
            socket.create_connection(("127.0.0.1", served.port)) as plain,
            trusting.wrap_socket(plain, server_hostname=name) as secure,
        ):
            return secure.recv(5)
    finally:
        served.close()


@pytest.mark.parametrize("name", [OWN_NAME, f"{OWN_NAME}.local", "127.0.0.1", "localhost"])
def test_who_trusts_the_authority_trusts_the_panel(card: Card, name: str) -> None:
    keep(card, datetime.datetime.now(datetime.UTC))
    assert greeting(card, name) == b"hello"


def test_who_trusts_the_authority_trusts_it_for_nobody_else(card: Card) -> None:
    moment = datetime.datetime.now(datetime.UTC)
    keep(card, moment)
    above = authority.decode_pair(
        (card.identity / "ca.key").read_bytes(), (card.identity / "ca.pem").read_bytes()
    )
    # What somebody could do who has taken the key from the card.
    stolen = authority.make_leaf(above, authority.Names(("bank.example",)), moment)
    for name, data in (("leaf.key", stolen.key_pem), ("leaf.pem", stolen.certificate_pem)):
        (card.identity / name).chmod(0o600)
        (card.identity / name).write_bytes(data)
    with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree"):
        greeting(card, "bank.example")


@given(st.ip_addresses())
def test_every_address_is_either_everybodys_own_or_bound_by_itself(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    names = authority.Names(("greenhouse",), (str(address),))
    made = authority.make_authority("leyden-18c3", names)
    assert authority.may_sign(made, names)
