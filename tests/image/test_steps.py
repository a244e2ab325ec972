"""What is done to a root: users, units, release, firmware, device trees."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from image.lab import EPOCH, needs, tool, write

from leyden_image import firmware, kernel
from leyden_image.debian.lockfile import Lock
from leyden_image.errors import ImageError
from leyden_image.finish import finish_tree, write_release
from leyden_image.job import Job, Release
from leyden_image.paths import Workplace
from leyden_image.recipe import load_recipe
from leyden_image.users import enable_units, forget_enablement, make_users

RELEASE = Release("0.1.0", "abc123", EPOCH, "leyden-arm64", ("raspberrypi,3-model-b",))


@pytest.fixture
def job(tmp_path: Path) -> Job:
    root = tmp_path / "root"
    root.mkdir()
    keyring = tmp_path / "keyring.pem"
    keyring.write_text("-----BEGIN CERTIFICATE-----\n")
    place = Workplace(tmp_path, tmp_path, tmp_path)
    return Job(load_recipe("leyden"), Lock(1, "", ()), place, RELEASE, root, keyring)


UNIT = "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n"


@needs("systemctl")
def test_the_preset_alone_decides_what_is_enabled(job: Job, tmp_path: Path) -> None:
    units = "usr/lib/systemd/system"
    write(
        job.root,
        {f"{units}/{name}.service": UNIT for name in ("wanted", "debians", "masked")}
        | {
            f"{units}/multi-user.target": "[Unit]\n",
            "usr/lib/systemd/system-preset/90-leyden.preset": "enable wanted.service\ndisable *\n",
        },
    )
    wants = job.root / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir(parents=True)
    (wants / "debians.service").symlink_to("/usr/lib/systemd/system/debians.service")
    lists = write(
        tmp_path / "lists",
        {
            "mask.txt": "# why\n\nmasked.service  # here\n",
            "default-target.txt": "multi-user.target",
        },
    )
    forget_enablement(job.root)
    assert enable_units(job, lists) == 2
    assert [path.name for path in wants.iterdir()] == ["wanted.service"]
    system = job.root / "etc/systemd/system"
    assert str((system / "masked.service").readlink()) == "/dev/null"
    assert (system / "default.target").readlink().name == "multi-user.target"


@needs("systemctl")
def test_a_default_target_that_is_not_there_is_named(job: Job, tmp_path: Path) -> None:
    lists = write(tmp_path / "lists", {"default-target.txt": "leyden.target\n"})
    with pytest.raises(ImageError, match="names leyden.target; the image has no such unit"):
        enable_units(job, lists)


@needs("systemd-sysusers")
def test_users_get_the_numbers_that_are_written(job: Job) -> None:
    (job.root / "etc").mkdir()
    write(
        job.root,
        {"usr/lib/sysusers.d/leyden.conf": 'g leyden 970\nu leyden-runtime 970:leyden "runtime"\n'},
    )
    assert make_users(job) >= 1
    assert "leyden-runtime:x:970:970:" in (job.root / "etc/passwd").read_text()
    assert "leyden-runtime:!*:" in (job.root / "etc/shadow").read_text()


def test_a_release_says_who_it_is_and_whom_it_trusts(job: Job) -> None:
    write_release(job)
    record = json.loads((job.root / "usr/lib/leyden/release.json").read_text())
    assert record == {
        "version": "0.1.0",
        "commit": "abc123",
        "epoch": EPOCH,
        "compatible": "leyden-arm64",
        "boards": ["raspberrypi,3-model-b"],
    }
    assert 'VERSION_ID="0.1.0"' in (job.root / "etc/os-release").read_text()
    assert (job.root / "etc/rauc/keyring.pem").read_text() == job.keyring.read_text()


def test_a_finished_root_has_neither_identity_nor_leftovers(job: Job) -> None:
    write(
        job.root,
        {
            "etc/machine-id": "uninitialized\n",
            "etc/ssh/ssh_host_rsa_key": "",
            "etc/passwd-": "",
            "etc/fstab": "",
            "var/lib/dpkg/status": "Package: a\n",
            "var/lib/dpkg/info/a.list": "",
            "var/cache/apt/x": "",
            "var/log/dpkg.log": "",
            "root/.bashrc": "",
        },
    )
    finish_tree(job)
    files = {
        str(path.relative_to(job.root))
        for path in job.root.rglob("*")
        if path.is_file() or path.is_symlink()
    }
    assert files == {
        "etc/machine-id", "etc/hostname", "etc/resolv.conf", "usr/lib/clock-epoch",
        "var/lib/dpkg/status",
    }  # fmt: skip
    assert (job.root / "etc/machine-id").read_text() == ""
    assert (job.root / "tmp").stat().st_mode & 0o7777 == 0o1777
    for folder in ("data", "boot/firmware", "proc", "sys", "dev", "run"):
        assert (job.root / folder).is_dir()


def test_firmware_brings_what_its_links_point_to(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write(
        tmp_path / "unpacked",
        {"usr/lib/firmware/cypress/chip.bin": "blob", "usr/lib/firmware/brcm/other.bin": ""},
    )
    for device in job.recipe.devices:
        for pattern in device.firmware:
            name = pattern.replace("*", "x")
            path = source / "usr/lib/firmware" / name
            path.parent.mkdir(exist_ok=True)
            if not path.is_symlink():
                path.symlink_to("../cypress/chip.bin")
    monkeypatch.setattr(Job, "unpacked", lambda *_: source)
    assert firmware.install_firmware(job) > 3
    folder = job.root / "usr/lib/firmware"
    assert (folder / "cypress/chip.bin").read_text() == "blob"
    assert not (folder / "brcm/other.bin").exists()
    assert all(path.exists() for path in folder.rglob("*"))


def test_firmware_that_a_device_names_has_to_be_there(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "unpacked").mkdir()
    monkeypatch.setattr(Job, "unpacked", lambda *_: tmp_path / "unpacked")
    with pytest.raises(ImageError, match="device pi3: brcm/.* matches no file"):
        firmware.install_firmware(job)


@needs("dtc", "fdtoverlay")
def test_our_overlays_compile_and_fit_the_boards_they_are_listed_for(
    job: Job, tmp_path: Path
) -> None:
    compiled = kernel.compile_overlays(tmp_path)
    listed = kernel.board_overlays()
    assert set(listed) <= set(job.recipe.trees)
    for names in listed.values():
        assert all(compiled[name].stat().st_size for name in names)
    for device in job.recipe.devices:
        for tree in device.emulated:
            assert tree.base in job.recipe.trees
            assert all(compiled[name].exists() for name in tree.overlays)
    with pytest.raises(ImageError, match="no overlay leyden-none"):
        compiled["leyden-none"]


@needs("dtc", "fdtoverlay", "fdtget")
def test_an_overlay_is_worked_into_the_trees_it_is_listed_for(job: Job, tmp_path: Path) -> None:
    overlay = '/dts-v1/; /plugin/; &spi { status = "okay"; };'
    emulated = [tree for device in job.recipe.devices for tree in device.emulated]
    names = {"on", *(name for tree in emulated for name in tree.overlays)}
    chosen = job.recipe.trees[0]
    sources = write(
        tmp_path / "sources",
        {f"{name}.dts": overlay for name in names} | {"boards.txt": f"# why\n{chosen} on  # so\n"},
    )
    linux = kernel.Kernel(tmp_path, "1")
    write(tmp_path, {"base.dts": '/dts-v1/; / { spi: spi@0 { status = "disabled"; }; };'})
    trees = linux.folder / "dtb" / "broadcom"
    trees.mkdir(parents=True)
    for name in job.recipe.trees:
        tool("dtc", "-@", "-q", "-o", trees / name, tmp_path / "base.dts")
    kernel.make_device_trees(job, linux, tmp_path / "dtb", sources)
    expected = dict.fromkeys(job.recipe.trees, "disabled")
    expected |= {chosen: "okay"} | {tree.file: "okay" for tree in emulated}
    assert {
        path.name: tool("fdtget", path, "/spi@0", "status").strip()
        for path in (tmp_path / "dtb").iterdir()
    } == expected
