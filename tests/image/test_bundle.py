"""Bundles: what a card is told, by whom it is signed, and what the bad ones have wrong."""

from __future__ import annotations

import argparse
import datetime
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography import x509

from leyden.appliance.update.errors import RefusedError
from leyden.appliance.update.rauc import refusal, refuse_what_is_no_bundle
from leyden_image import bundle, variants
from leyden_image.bundle import (
    BAD,
    SLOT_BYTES,
    about_slot,
    make_bad_bundle,
    make_bundle,
    manifest,
)
from leyden_image.errors import ImageError
from leyden_image.keys import Keys, development_keys
from leyden_image.slot import make_slot
from leyden_image.variants import VARIANTS, make_variant

TOOLS = ("mksquashfs", "unsquashfs", "debugfs", "mke2fs", "e2fsck", "openssl")
EPOCH = 1_700_000_000
SLOT_JSON = {
    "version": "0.1.0",
    "commit": "abc",
    "epoch": EPOCH,
    "compatible": "leyden-arm64",
    "boards": ["raspberrypi,3-model-b", "linux,dummy-virt"],
}
# RAUC up to 1.8 reads its own purpose only from a configuration.
SYSTEM = """
[system]
compatible=leyden-arm64
bootloader=noop
statusfile=/dev/null

[keyring]
path={keyring}
check-purpose=codesign
use-bundle-signing-time=true
"""

pytestmark = pytest.mark.process


def lacking(*tools: str) -> str:
    """Return what to install for tools that are not on this machine; empty when all are."""
    path = "/usr/bin:/usr/sbin:/bin:/sbin"
    missing = [tool for tool in tools if shutil.which(tool, path=path) is None]
    return f"not on this machine: {', '.join(missing)}" if missing else ""


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if why := lacking(*TOOLS):
        pytest.skip(why)
    return tmp_path_factory.mktemp("bundles")


@pytest.fixture(scope="module")
def keys(workplace: Path) -> Keys:
    return development_keys(workplace / "keys")


@pytest.fixture(scope="module")
def slot(workplace: Path) -> Path:
    """A slot image as the builder makes it, with a small root."""
    root = workplace / "root"
    files = {
        "usr/lib/leyden/release.json": json.dumps(SLOT_JSON),
        "usr/local/lib/python3.13/dist-packages/leyden/kernel/__init__.py": "kernel = 1\n",
        "etc/hostname": "leyden\n",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    squashfs = workplace / "root.squashfs"
    command = [
        "mksquashfs",
        str(root),
        str(squashfs),
        "-noappend",
        "-quiet",
        "-no-progress",
        "-all-root",
    ]
    subprocess.run(command, check=True, capture_output=True)
    (workplace / "slot.json").write_text(json.dumps(SLOT_JSON))
    for name in ("vmlinuz.gz", "initrd.img"):
        (workplace / name).write_bytes(name.encode() * 1000)
    target = workplace / "slot.ext4"
    names = ("root.squashfs", "slot.json", "vmlinuz.gz", "initrd.img")
    make_slot({name: workplace / name for name in names}, target, EPOCH, SLOT_BYTES)
    return target


def told(path: Path) -> str:
    """The manifest inside a bundle."""
    command = ["unsquashfs", "-cat", str(path), "manifest.raucm"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def rauc_says(path: Path, keys: Keys) -> tuple[int, str]:
    """Exit code and complaints of the host's RAUC."""
    if why := lacking("rauc"):
        pytest.skip(why)
    config = keys.folder / "system.conf"
    config.write_text(SYSTEM.format(keyring=keys.keyring))
    command = ["rauc", "--conf", str(config), "info", str(path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return done.returncode, done.stderr


def look_as_the_card_does(path: Path, keys: Keys) -> None:
    """Raise the card's refusal of a bundle."""
    refuse_what_is_no_bundle(path)
    code, said = rauc_says(path, keys)
    if code:
        raise refusal(said)


def test_a_bundle_carries_what_the_slot_says_of_itself(
    workplace: Path, slot: Path, keys: Keys
) -> None:
    about, target = about_slot(slot), workplace / "good.raucb"
    assert (about.version, about.epoch, about.boards[1]) == ("0.1.0", EPOCH, "linux,dummy-virt")
    make_bundle(slot, target, keys.signer, about)
    text = told(target)
    assert text == manifest(slot, about)
    for line in (
        "compatible=leyden-arm64",
        "version=0.1.0",
        "[meta.leyden]",
        f"epoch={EPOCH}",
        "boards=raspberrypi,3-model-b linux,dummy-virt",
        f"size={slot.stat().st_size}",
    ):
        assert f"\n{line}\n" in text
    assert not [line for line in text.splitlines() if line.endswith("=")]  # RAUC takes none
    refuse_what_is_no_bundle(target)


def test_the_hosts_rauc_accepts_a_good_bundle(workplace: Path, slot: Path, keys: Keys) -> None:
    target = workplace / "accepted.raucb"
    make_bundle(slot, target, keys.signer, about_slot(slot), fast=True)
    code, said = rauc_says(target, keys)
    assert code == 0, said


EXPECTED = {
    "unsigned": "unsigned",
    "foreign-signer": "foreign-signer",
    "expired": "expired",
    "wrong-purpose": "foreign-signer",
    "truncated": "truncated",
    "flipped": "damaged",
}
CLAIMS = {
    "wrong-board": "boards=acme,other-board",
    "wrong-compatible": "compatible=other-arm64",
    "older": "version=0.0.1",
    "too-far": "requires=99.0.0",
    "too-big": f"size={SLOT_BYTES + 4096}",
}


@pytest.mark.parametrize("kind", EXPECTED)
def test_a_bundle_whose_signature_is_wrong_is_refused_for_that(
    workplace: Path, slot: Path, keys: Keys, kind: str
) -> None:
    target = workplace / f"{kind}.raucb"
    make_bad_bundle(kind, slot, target, keys)
    with pytest.raises(RefusedError) as caught:
        look_as_the_card_does(target, keys)
    assert caught.value.code == EXPECTED[kind]


@pytest.mark.parametrize("kind", CLAIMS)
def test_a_bundle_that_is_for_others_is_signed_well_and_says_so(
    workplace: Path, slot: Path, keys: Keys, kind: str
) -> None:
    target = workplace / f"{kind}.raucb"
    make_bad_bundle(kind, slot, target, keys)
    refuse_what_is_no_bundle(target)
    assert f"\n{CLAIMS[kind]}\n" in told(target)
    code, said = rauc_says(target, keys)
    assert code == 0, said


def test_every_bad_bundle_is_looked_at_here() -> None:
    assert set(BAD) == {*EXPECTED, *CLAIMS}


def test_what_is_no_slot_image_is_named(workplace: Path, keys: Keys) -> None:
    other = workplace / "other.ext4"
    other.write_bytes(bytes(1 << 20))
    with pytest.raises(ImageError, match=r"slot image|debugfs"):
        about_slot(other)
    with pytest.raises(ImageError, match='no bad bundle "nice"'):
        make_bad_bundle("nice", other, workplace / "x.raucb", keys)


# Keys


def test_keys_are_made_once(workplace: Path) -> None:
    folder = workplace / "once"
    made = development_keys(folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    development_keys(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert oct(folder.stat().st_mode & 0o777) == "0o700"
    assert oct(made.authority_key.stat().st_mode & 0o777) == "0o600"
    assert oct(made.signer.key.stat().st_mode & 0o777) == "0o600"


def test_certificates_hold_on_a_card_that_has_lost_its_time(keys: Keys) -> None:
    for path in (keys.keyring, keys.signer.certificate):
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        assert certificate.not_valid_before_utc.year == 1970
        end = datetime.datetime(2049, 1, 1, tzinfo=datetime.UTC)
        assert certificate.not_valid_after_utc > end


# Slots that go wrong on purpose


@pytest.mark.parametrize("kind", VARIANTS)
def test_a_variant_is_another_release_that_differs_in_one_thing(
    workplace: Path, slot: Path, kind: str
) -> None:
    target, opened = workplace / f"{kind}.ext4", workplace / f"opened-{kind}"
    make_variant(kind, slot, target, "0.2.0")
    assert about_slot(target).version == "0.2.0"
    opened.mkdir()
    subprocess.run(["debugfs", "-R", f"rdump / {opened}", target], check=True, capture_output=True)
    root = opened / "root"
    command = ["unsquashfs", "-q", "-n", "-d", str(root), str(opened / "root.squashfs")]
    subprocess.run(command, check=True, capture_output=True)
    assert json.loads((root / "usr/lib/leyden/release.json").read_text())["version"] == "0.2.0"
    assert (root / "etc/hostname").read_text() == "leyden\n"
    changed = {
        name
        for name in ("vmlinuz.gz", "initrd.img")
        if (opened / name).read_bytes() != (workplace / name).read_bytes()
    }
    units = sorted(path.parent.name for path in root.rglob("99-variant.conf"))
    imports = (root / "usr/local/lib/python3.13/dist-packages/leyden/kernel/__init__.py").exists()
    assert (changed, units, imports) == {
        "runs": (set(), [], True),
        "runtime-crashes": (set(), ["leyden-runtime.service.d"], True),
        "runtime-hangs": (set(), ["leyden-runtime.service.d"], True),
        "panel-crashes": (set(), ["leyden-panel.service.d"], True),
        "python-broken": (set(), [], False),
        "kernel-panics": ({"initrd.img"}, [], True),
        "kernel-damaged": ({"vmlinuz.gz"}, [], True),
    }[kind]


# The command line


def call(*words: object) -> int:
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers()
    bundle.register(commands)
    variants.register(commands)
    arguments = parser.parse_args([str(word) for word in words])
    code: int = arguments.command(arguments)
    return code


def test_a_bundle_is_made_by_a_command(
    workplace: Path, slot: Path, keys: Keys, capsys: pytest.CaptureFixture[str]
) -> None:
    target = workplace / "by-command.raucb"
    signer = ("--key", keys.signer.key, "--cert", keys.signer.certificate)
    given = ("--slot", slot, "--out", target, "--version", "0.3.0", "--fast")
    assert call("bundle", *given, *signer) == 0
    assert "\nversion=0.3.0\n" in told(target)
    assert "by-command.raucb" in capsys.readouterr().err
    with pytest.raises(ImageError, match="needs both"):
        call("bundle", "--slot", slot, "--key", keys.signer.key)


def test_development_keys_and_bundles_of_variants_are_made_by_commands(
    workplace: Path, slot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, target = workplace / "by-command", workplace / "variant.raucb"
    assert call("keys", "--out", folder) == 0
    for module in (bundle, variants):
        monkeypatch.setattr(module, "development_keys", lambda: development_keys(folder))
    assert call("variant", "runs", "--slot", slot, "--version", "0.2.0", "--out", target) == 0
    assert "\nversion=0.2.0\n" in told(target)
    code, said = rauc_says(target, Keys(folder))
    assert code == 0, said
    assert call("bundle", "--bad", "unsigned", "--slot", slot, "--out", target) == 0
    with pytest.raises(RefusedError, match="no signature"):
        refuse_what_is_no_bundle(target)
