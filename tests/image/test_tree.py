"""Files enter the root with the owner and mode that is meant, and leave it by glob."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from image.lab import make_program, write

from leyden_image.errors import ImageError
from leyden_image.finish import drop_privileges, settle_times
from leyden_image.owners import Owners, sizes
from leyden_image.soundness import needed_libraries, unsound
from leyden_image.tree import copy_tree, inside, link, remove, write_file


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    (folder / "usr/lib").mkdir(parents=True)
    (folder / "lib").symlink_to("usr/lib")
    return folder


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_modes_are_two_whatever_the_checkout_has(root: Path, tmp_path: Path) -> None:
    source = write(tmp_path / "source", {"etc/plain": "a", "usr/bin/run": "b"})
    (source / "etc/plain").chmod(0o640)
    (source / "usr/bin/run").chmod(0o700)
    assert copy_tree(source, root) == 2
    assert [mode(root / "etc/plain"), mode(root / "usr/bin/run")] == [0o644, 0o755]


def test_compiled_python_of_the_checkout_stays_out(root: Path, tmp_path: Path) -> None:
    source = write(tmp_path / "source", {"a.py": "", "__pycache__/a.pyc": ""})
    assert copy_tree(source, root) == 1


def test_a_file_replaces_what_was_there_and_links_stay_links(root: Path, tmp_path: Path) -> None:
    source = write(tmp_path / "source", {"etc/name": "new"})
    (source / "etc/null").symlink_to("/dev/null")
    write(root, {"etc/name": "old", "etc/null": "old"})
    copy_tree(source, root)
    assert (root / "etc/name").read_text() == "new"
    assert str((root / "etc/null").readlink()) == "/dev/null"


def test_a_folder_that_is_a_link_in_the_root_is_followed_inside_of_it(
    root: Path, tmp_path: Path
) -> None:
    source = write(tmp_path / "source", {"lib/a.conf": "a"})
    copy_tree(source, root)
    assert (root / "usr/lib/a.conf").read_text() == "a"
    (root / "sbin").symlink_to("/usr/lib")
    assert inside(root, Path("sbin/a.conf")) == root / "usr/lib/a.conf"


def test_a_folder_is_not_put_over_a_file(root: Path, tmp_path: Path) -> None:
    write(root, {"etc": "a file"})
    with pytest.raises(ImageError, match="is a file"):
        copy_tree(write(tmp_path / "source", {"etc/name": "a"}), root)


def test_writing_over_a_link_does_not_follow_it(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("mine")
    link(root / "etc/resolv.conf", str(outside))
    write_file(root / "etc/resolv.conf", "theirs")
    assert outside.read_text() == "mine"


def test_globs_take_out_folders_hidden_files_and_links_that_lead_nowhere(root: Path) -> None:
    write(root, {"a/b/c": "", "a/.hidden": "", "x/deep/er/f.pyi": "", "keep": ""})
    (root / "dangling").symlink_to("nowhere")
    assert remove(root, ["a", "dangling", "x/**/*.pyi", "none*"]) == ["none*"]
    left = sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
    assert left == ["keep"]


def test_nobody_may_gain_privileges(root: Path) -> None:
    write(root, {"usr/bin/su": "", "usr/bin/ls": ""})
    (root / "usr/bin/su").chmod(0o4755)
    (root / "usr/bin/ls").chmod(0o755)
    assert drop_privileges(root) == ["/usr/bin/su"]
    assert mode(root / "usr/bin/su") == 0o755


def test_everything_gets_one_time(root: Path) -> None:
    write(root, {"etc/name": ""})
    settle_times(root, 1_000_000)
    times = {path.lstat().st_mtime for path in [root, *root.rglob("*")]}
    assert times == {1_000_000.0}


def test_libraries_are_read_from_a_program() -> None:
    data = make_program("libc.so.6", "libz.so.1", runpath="$ORIGIN/../lib")
    assert needed_libraries(data) == (["libc.so.6", "libz.so.1"], ["$ORIGIN/../lib"])
    assert needed_libraries(b"\x7fELF\x02\x01\x01" + bytes(60)) == ([], [])


def test_a_whole_tree_is_sound(root: Path) -> None:
    program = root / "usr/bin/tool"
    write(root, {"usr/lib/aarch64-linux-gnu/libc.so.6": "", "usr/bin/sh": ""})
    program.write_bytes(make_program("libc.so.6"))
    (root / "usr/bin/other").write_bytes(make_program("libown.so", runpath="$ORIGIN/../own"))
    write(root, {"usr/own/libown.so": "", "usr/bin/script": "#!/bin/sh -e\n"})
    (root / "usr/bin/script").chmod(0o755)
    (root / "bin").symlink_to("usr/bin")
    (root / "etc").mkdir()
    (root / "etc/resolv.conf").symlink_to("/run/systemd/resolve/stub-resolv.conf")
    write(root, {"etc/systemd/system/a.service": "[Service]\nExecStart=-/bin/tool --x\n"})
    assert unsound(root) == []


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("usr/bin/tool", make_program("libgone.so.1"), "needs libgone.so.1"),
        ("usr/bin/script", b"#!/usr/bin/perl -w\n", "is a script for /usr/bin/perl"),
        (
            "etc/systemd/system/a.service",
            b"[Service]\nExecStartPre=/bin/gone x\n",
            "a.service starts /bin/gone",
        ),
    ],
)
def test_what_lacks_something_is_named(root: Path, name: str, content: bytes, words: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o755)
    assert [words in sentence for sentence in unsound(root)] == [True]


def test_a_link_that_leads_nowhere_is_named(root: Path) -> None:
    (root / "usr/lib/a").symlink_to("b")
    assert unsound(root) == ["/usr/lib/a is a link to b, which is not there"]


def test_owners_of_files_are_told_apart(root: Path) -> None:
    write(
        root,
        {
            "var/lib/dpkg/info/base:arm64.list": "/.\n/lib\n/lib/base.txt\n",
            "usr/lib/base.txt": "1234",
            "usr/lib/python3/flask.py": "12",
            "usr/lib/python3/__pycache__/flask.cpython-313.pyc": "123",
            "etc/ours": "1",
        },
    )
    owners = Owners()
    owners.installed(root)
    owners.add("pypi:flask", ["usr/lib/python3/flask.py"])
    remove(root, ["var"])
    by_owner, by_folder = sizes(root, owners)
    assert by_owner == {"deb:base": 4, "pypi:flask": 5, "image": 1}
    assert by_folder == {"usr/lib": 4, "usr/lib/python3": 5, "etc": 1}
