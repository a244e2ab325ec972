"""What is given away with an image: bill of materials, size report, manifest for the flasher."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest
from image.lab import EPOCH, write

from leyden_image.debian.lockfile import Lock, Locked
from leyden_image.errors import ImageError
from leyden_image.job import Job, Release, read_release
from leyden_image.manifest import manifest_text
from leyden_image.paths import PROJECT, Workplace
from leyden_image.python.requirements import Wheel
from leyden_image.recipe import Limits, load_recipe
from leyden_image.report import Report, Sizes, over_limit, text
from leyden_image.sbom import bill_text, licences

RELEASE = Release("0.1.0", "abc123", EPOCH, "leyden-arm64", ("raspberrypi,3-model-b",))
COPYRIGHT = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
License: LGPL-2.1-or-later

Files: src/x
License: CC0-1.0
 text
"""
# What Raspberry Pi Imager's os-list-schema.json requires of an entry.
REQUIRED = {
    "name", "description", "icon", "url", "extract_size", "extract_sha256",
    "image_download_size", "release_date",
}  # fmt: skip


def locked(use: str, name: str, version: str = "1:2.0~x") -> Locked:
    return Locked(use, name, version, "arm64", "debian", f"pool/{name}.deb", 1, "ab" * 32)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    root = write(
        tmp_path / "root",
        {
            "usr/share/doc/systemd/copyright": COPYRIGHT,
            "usr/local/lib/python3.13/dist-packages/Flask-3.1.3.dist-info/METADATA": (
                "Metadata-Version: 2.4\nName: Flask\nLicense-Expression: BSD-3-Clause\n\ntext\n"
            ),
            "usr/local/lib/python3.13/dist-packages/old_one-1.0.dist-info/METADATA": (
                "Name: old-one\nClassifier: License :: OSI Approved :: MIT License\n\n"
            ),
        },
    )
    packages = (
        locked("root", "systemd"), locked("root", "perl-base"), locked("unpack", "u-boot-rpi"),
        locked("host", "libc6"), locked("sdk", "libc6-dev"),
    )  # fmt: skip
    place = Workplace(tmp_path, tmp_path, tmp_path)
    return Job(load_recipe("leyden"), Lock(1, "", packages), place, RELEASE, root, tmp_path)


WHEELS = {
    Wheel("flask", "3.1.3", "cd" * 32): Path("a"),
    Wheel("old-one", "1.0", "ef" * 32): Path("b"),
}


def test_the_bill_lists_what_is_there_and_nothing_that_was_taken_out(job: Job) -> None:
    bill = json.loads(bill_text(job, WHEELS, {"deb:systemd": 5, "deb:perl-base": 0}))
    names = {one["name"]: one for one in bill["components"]}
    assert {"systemd", "u-boot-rpi", "flask", "spidev", "preact"} <= names.keys()
    assert not {"perl-base", "libc6", "libc6-dev"} & names.keys()
    assert names["systemd"]["purl"] == ("pkg:deb/debian/systemd@1%3A2.0~x?arch=arm64&distro=trixie")
    assert names["systemd"]["hashes"] == [{"alg": "SHA-256", "content": "ab" * 32}]
    assert names["u-boot-rpi"]["type"] == "firmware"
    assert [one["license"]["name"] for one in names["systemd"]["licenses"]] == [
        "CC0-1.0", "LGPL-2.1-or-later",
    ]  # fmt: skip
    assert names["flask"]["licenses"][0]["license"]["name"] == "BSD-3-Clause"
    assert names["old-one"]["licenses"][0]["license"]["name"] == "MIT License"


def test_a_bill_is_the_same_for_the_same_image_and_another_for_another(job: Job) -> None:
    sizes = {"deb:systemd": 5}
    first = bill_text(job, WHEELS, sizes)
    assert bill_text(job, WHEELS, sizes) == first
    bill = json.loads(first)
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", bill["serialNumber"])
    assert bill["metadata"]["timestamp"] == "2023-11-14T22:13:20Z"
    other = json.loads(bill_text(job, WHEELS, {**sizes, "deb:perl-base": 1}))
    assert other["serialNumber"] != bill["serialNumber"]
    references = [one["bom-ref"] for one in bill["components"]]
    assert references == sorted(set(references))


def test_licences_are_read_from_files_for_machines_only() -> None:
    assert licences(COPYRIGHT) == ["CC0-1.0", "LGPL-2.1-or-later"]
    assert licences("License: who knows") == []


SIZES = Sizes(
    compressed=110_000_000,
    raw=490_000_000,
    slot=90_000_000,
    parts={"root.squashfs": 62_000_000, "vmlinuz.gz": 17_000_000},
    owners={f"deb:{number}": number * 1_000_000 for number in range(1, 40)},
    folders={"usr/lib": 5},
)


def test_within_the_limits_nothing_is_said() -> None:
    assert over_limit(SIZES, Limits(compressed_mb=110, slot_mb=90, raw_mb=490)) == []


def test_over_a_limit_the_biggest_are_named() -> None:
    problems = over_limit(SIZES, Limits(compressed_mb=109, slot_mb=89, raw_mb=490))
    assert len(problems) == 2
    assert problems[0].startswith("the compressed image has 110.0 MB, 109 MB are allowed")
    assert "root.squashfs 62.0 MB, deb:39 39.0 MB" in problems[0]


def test_the_report_is_for_people_and_for_programs() -> None:
    limits = Limits(compressed_mb=150, slot_mb=160, raw_mb=1000)
    report = Report(version="0.1.0", commit="abc", limits=limits, sizes=SIZES, files={"a": "00"})
    shown = text(report)
    assert "compressed     110.0 MB  of 150 MB" in shown
    assert "14 others" in shown
    assert msgspec.convert(msgspec.to_builtins(report), Report) == report


def test_imager_finds_all_it_requires() -> None:
    made = manifest_text(
        load_recipe("leyden"), RELEASE, "file:///leyden.img.zst", (10, "aa", 20, "bb")
    )
    (entry,) = json.loads(made)["os_list"]
    assert entry.keys() >= REQUIRED
    assert (entry["image_download_size"], entry["extract_size"]) == (10, 20)
    assert (entry["image_download_sha256"], entry["extract_sha256"]) == ("aa", "bb")
    assert entry["devices"] == ["pi3-64bit", "pi4-64bit", "pi5-64bit"]
    assert entry["release_date"] == "2023-11-14"
    assert entry["init_format"] == "cloudinit"


def test_a_release_is_the_commit_and_its_time() -> None:
    if not (PROJECT / ".git").exists():
        pytest.skip("not a git checkout: the source was unpacked from an archive")
    release = read_release(load_recipe("leyden"))
    assert re.fullmatch(r"[0-9a-f]{40}(\+changes)?", release.commit)
    assert release.epoch > 1_700_000_000
    assert "linux,dummy-virt" in release.boards
    assert json.loads(release.json())["compatible"] == "leyden-arm64"


def test_without_a_checkout_the_time_has_to_be_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, {"pyproject.toml": '[project]\nversion = "1.2"\n'})
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    with pytest.raises(ImageError, match="SOURCE_DATE_EPOCH"):
        read_release(load_recipe("leyden"), tmp_path)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "12")
    assert (read_release(load_recipe("leyden"), tmp_path)).epoch == 12
