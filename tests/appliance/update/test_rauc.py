"""RAUC's words become ours: what was found, what was expected, what to try."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import pytest

from leyden.appliance.update.bundle import Bundle, read_manifest, refuse_unsuitable
from leyden.appliance.update.errors import RefusedError, UpdateError
from leyden.appliance.update.rauc import Rauc, refusal, refuse_what_is_no_bundle
from leyden.appliance.update.release import Release

# As RAUC 1.13 tells it (`rauc info --output-format=json-2`), shortened.
TOLD = {
    "update": {"version": "0.2.0", "compatible": "leyden-arm64"},
    "images": [
        {"slot-class": "rootfs", "filename": "slot.ext4", "checksum": "7c" * 32, "size": 2_000_000}
    ],
    "bundle": {"format": "plain"},
    "meta": {"leyden": {"epoch": "1700000000", "boards": "raspberrypi,3-model-b linux,dummy-virt"}},
}
RUNNING = Release("0.1.0", "abc", 1_600_000_000, "leyden-arm64")
PI = ("raspberrypi,3-model-b", "brcm,bcm2837")


def squashfs(used: int) -> bytes:
    head = bytearray(b"hsqs".ljust(96, b"\1"))
    struct.pack_into("<Q", head, 40, used)
    return bytes(head).ljust(-(-used // 4096) * 4096, b"\0")


def signed(used: int = 5000, signature: bytes = b"\x30" * 1300) -> bytes:
    return squashfs(used) + signature + struct.pack(">Q", len(signature))


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "not-a-bundle"),
        (b"hello, this is a text and no bundle at all" * 10, "not-a-bundle"),
        (squashfs(5000), "unsigned"),
        (squashfs(5000) + bytes(8), "unsigned"),
        (signed()[:4000], "truncated"),
        (signed()[:-1], "truncated"),
        (signed()[:-700], "truncated"),
    ],
    ids=["empty", "text", "bare", "no-signature", "half", "last-byte", "in-the-signature"],
)
def test_a_file_that_is_no_whole_bundle_is_refused_before_rauc_sees_it(
    tmp_path: Path, data: bytes, code: str
) -> None:
    path = tmp_path / "update.raucb"
    path.write_bytes(data)
    with pytest.raises(RefusedError, match=r"update\.raucb") as caught:
        refuse_what_is_no_bundle(path)
    assert caught.value.code == code


def test_a_whole_bundle_is_left_to_rauc(tmp_path: Path) -> None:
    path = tmp_path / "update.raucb"
    path.write_bytes(signed())
    refuse_what_is_no_bundle(path)


# What RAUC 1.13 prints, measured with bundles that were made to be wrong.
@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("signature verification failed: Verify error: certificate has expired", "expired"),
        ("signature verification failed: Verify error: certificate is not yet valid", "expired"),
        (
            "signature verification failed: Verify error: unable to get local issuer certificate",
            "foreign-signer",
        ),
        ("signature verification failed: Verify error: self-signed certificate", "foreign-signer"),
        (
            "signature verification failed: Verify error: unsuitable certificate purpose",
            "foreign-signer",
        ),
        (
            "signature verification failed: error:1700009E:CMS routines::verification failure",
            "damaged",
        ),
        ("signature verification failed: error:0200008A:rsa routines::invalid padding", "damaged"),
        ("Invalid bundle format: Signature size (123) exceeds bundle size", "truncated"),
    ],
)
def test_raucs_complaints_get_a_code_and_a_remedy(said: str, code: str) -> None:
    error = refusal(f"rauc-Message: 11:36:09.369: Verifying bundle signature... \n{said}\n")
    assert isinstance(error, RefusedError)
    assert error.code == code
    assert any(word in error.words for word in ("fetch it again", "Ask for", "Use the update"))


def test_an_unknown_complaint_is_a_failure_in_raucs_words() -> None:
    error = refusal("rauc-Message: x\nFailed to run unsquashfs: No such file\n")
    assert not isinstance(error, RefusedError)
    assert "unsquashfs: No such file" in error.words


def bundle_of(**changes: object) -> Bundle:
    release = Release("0.2.0", "", 1_700_000_000, "leyden-arm64", ("raspberrypi,3-model-b",))
    fields = {"release": release, "checksum": "7c" * 32, "size": 1000, "requires": ""} | changes
    return Bundle(**fields)  # type: ignore[arg-type]  # built by name from a test's table


def test_a_manifest_is_read_as_rauc_tells_it() -> None:
    bundle = read_manifest(TOLD)
    assert bundle.release.version == "0.2.0"
    assert bundle.release.boards == ("raspberrypi,3-model-b", "linux,dummy-virt")
    assert (bundle.size, bundle.release.epoch) == (2_000_000, 1_700_000_000)


@pytest.mark.parametrize(
    "changes",
    [
        {"meta": {}},
        {"images": []},
        {"images": TOLD["images"] * 2},  # type: ignore[operator]  # a list, as the table shows
        {"meta": {"leyden": {"epoch": "soon", "boards": ""}}},
        {"update": {"version": "1" * 65, "compatible": "leyden-arm64"}},
    ],
    ids=["no-section", "no-image", "two-images", "no-date", "long-version"],
)
def test_a_signed_bundle_that_is_none_of_ours_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(RefusedError, match=r"none of Leyden's.*\[meta\.leyden\]"):
        read_manifest(TOLD | changes)


@pytest.mark.parametrize(
    ("bundle", "boards", "code", "words"),
    [
        (bundle_of(), ("raspberrypi,3-model-b",), "", ""),
        (
            bundle_of(release=Release("0.2.0", "", 0, "other-arm64", ("x",))),
            PI,
            "wrong-compatible",
            'made for "other-arm64", this appliance is "leyden-arm64"',
        ),
        (
            bundle_of(),
            ("raspberrypi,5-model-b",),
            "wrong-board",
            "found raspberrypi,5-model-b, expected one of raspberrypi,3-model-b",
        ),
        (bundle_of(), (), "wrong-board", "found a board that does not say what it is"),
        (bundle_of(size=160 << 20), PI, "too-big", "has 167772160 bytes and a slot of this card"),
        (bundle_of(requires="0.1.5"), PI, "too-far", "install 0.1.5 first"),
        (
            bundle_of(release=Release("0.0.9", "", 0, "leyden-arm64", PI)),
            PI,
            "older",
            "the update is 0.0.9, older than the 0.1.0 that runs; to go back all the same: --force",
        ),
        (
            bundle_of(release=Release("0.1.0", "", 5, "leyden-arm64", PI)),
            PI,
            "older",
            "0.1.0 of 5, older than the 0.1.0 of 1600000000",
        ),
    ],
)
def test_a_signed_update_is_measured_by_this_appliance(
    bundle: Bundle, boards: tuple[str, ...], code: str, words: str
) -> None:
    def look(*, force: bool) -> None:
        refuse_unsuitable(bundle, RUNNING, boards, 152 << 20, force=force)

    if not code:
        look(force=False)
        return
    with pytest.raises(RefusedError) as caught:
        look(force=False)
    assert caught.value.code == code
    assert words in caught.value.words
    if code == "older":
        look(force=True)
    else:
        with pytest.raises(RefusedError):
            look(force=True)


# The program itself, with another one in its place


def stand_in(folder: Path, text: str, silence_s: float = 30.0) -> Rauc:
    script = folder / "rauc.py"
    script.write_text(text)
    return Rauc((sys.executable, str(script)), silence_s=silence_s)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    path = tmp_path / "update.raucb"
    path.write_bytes(signed())
    return path


INSTALLS = """
import sys
assert sys.argv[1:2] == ["install"]
print("installing\\n  0% Installing\\n 20% Verifying signature done.", flush=True)
print(" 46% Copying image to rootfs.1\\r 99% Copying image to rootfs.1\\n100% Installing done.")
print("Installing `x` succeeded")
"""
FAILS = """
print(" 40% Updating slots")
print("LastError: Installation error: Failed updating slot rootfs.1: no space\\nInstalling failed")
raise SystemExit(1)
"""


@pytest.mark.process
def test_progress_is_told_as_it_comes(tmp_path: Path, bundle: Path) -> None:
    seen: list[tuple[int, str]] = []
    stand_in(tmp_path, INSTALLS).install(bundle, lambda *step: seen.append(step))
    assert [percent for percent, _ in seen] == [0, 20, 46, 99, 100]
    assert seen[2][1] == "Copying image to rootfs.1"


@pytest.mark.process
def test_a_failure_is_told_in_raucs_last_words(tmp_path: Path, bundle: Path) -> None:
    with pytest.raises(UpdateError, match=r"could not write the slot: .*no space") as caught:
        stand_in(tmp_path, FAILS).install(bundle, lambda *_: None)
    assert caught.value.code == "write"


@pytest.mark.process
def test_a_rauc_that_hangs_is_not_waited_for(tmp_path: Path, bundle: Path) -> None:
    text = "import signal\nprint(' 40% Updating', flush=True)\nsignal.pause()"
    hangs = stand_in(tmp_path, text, silence_s=0.5)
    with pytest.raises(UpdateError, match=r"said nothing for 0\.5 s"):
        hangs.install(bundle, lambda *_: None)


@pytest.mark.process
def test_a_bundle_is_described_by_rauc(tmp_path: Path, bundle: Path) -> None:
    says = stand_in(tmp_path, "import sys\nprint('{\"update\": ' + repr(len(sys.argv)) + '}')")
    assert says.inspect(bundle) == {"update": 4}
    with pytest.raises(UpdateError, match="words that are not understood"):
        stand_in(tmp_path, "print('no json')").inspect(bundle)
    with pytest.raises(RefusedError, match="expired"):
        stand_in(tmp_path, "raise SystemExit('certificate has expired')").inspect(bundle)


def test_a_machine_without_rauc_says_so(bundle: Path, tmp_path: Path) -> None:
    missing = Rauc((str(tmp_path / "rauc"),))
    with pytest.raises(UpdateError, match="cannot be looked at.*No such file"):
        missing.inspect(bundle)
    with pytest.raises(UpdateError, match="rauc cannot be started"):
        missing.install(bundle, lambda *_: None)
