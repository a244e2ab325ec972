"""The browser libraries: brought by npm, each byte known beforehand."""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path

import msgspec
import pytest

from leyden.panel import vendor

LIBRARY = b'import{h}from"tiny";import"./near.js";export default h;\n//# sourceMappingURL=x.map\n'
SHIPPED = b'import{h}from"./tiny.js";import"./near.js";export default h;\n'
NPM = """#!/bin/sh
echo "$@" >> "$LEYDEN_TEST_LOG"
test -f package-lock.json || exit 9
mkdir -p node_modules/big/dist node_modules/tiny
printf 'import{h}from"tiny";import"./near.js";export default h;\\n//# sourceMappingURL=x.map\\n' \
  > node_modules/big/dist/big.js
printf 'var tiny = 1;' > node_modules/tiny/tiny.js
for name in big tiny; do
  printf '{"name":"%s","version":"1.2.3","license":"MIT"}' $name > node_modules/$name/package.json
  printf 'Licence of %s' $name > node_modules/$name/LICENSE
done
"""


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An npm that unpacks two packages and writes down how it was called."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "npm"
    program.write_text(NPM)
    program.chmod(0o755)
    log = tmp_path / "calls"
    log.touch()
    monkeypatch.setenv("LEYDEN_TEST_LOG", str(log))
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/usr/bin{os.pathsep}/bin")
    return log


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project that ships one file of each of two packages; its hashes are not known yet."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "package.json").write_text("{}")
    (folder / "package-lock.json").write_text("{}")
    big = vendor.Library("big.js", "big", "", "", "dist/big.js", "", "big")
    tiny = vendor.Library("tiny.js", "tiny", "", "", "tiny.js", "", "tiny", "export default tiny;")
    manifest = vendor.Manifest((big, tiny), "")
    (folder / "vendor.json").write_bytes(msgspec.json.encode(manifest))
    return folder


def test_files_are_brought_rewritten_and_checked(npm: Path, project: Path, tmp_path: Path) -> None:
    vendor.pin(project)
    target = tmp_path / "static"
    assert vendor.bring(project, target) == ["big.js", "tiny.js", "LICENCES.txt"]
    assert (target / "big.js").read_bytes() == SHIPPED
    assert (target / "tiny.js").read_text() == "var tiny = 1;\nexport default tiny;\n"
    assert "tiny 1.2.3 (MIT)\n\nLicence of tiny" in (target / "LICENCES.txt").read_text()
    assert "ci --ignore-scripts" in npm.read_text()


def test_what_is_there_already_is_not_asked_for(npm: Path, project: Path, tmp_path: Path) -> None:
    vendor.pin(project)
    vendor.bring(project, tmp_path / "static")
    calls = npm.read_text()
    assert vendor.bring(project, tmp_path / "static") == []
    assert npm.read_text() == calls


def test_a_damaged_file_is_brought_again_and_a_stranger_removed(
    npm: Path, project: Path, tmp_path: Path
) -> None:
    vendor.pin(project)
    target = tmp_path / "static"
    vendor.bring(project, target)
    (target / "big.js").write_text("damaged")
    (target / "old.js").write_text("of an earlier version")
    assert vendor.bring(project, target) == ["big.js"]
    assert (target / "big.js").read_bytes() == SHIPPED
    assert not (target / "old.js").exists()


def test_a_file_that_is_not_what_was_pinned_is_refused(
    npm: Path, project: Path, tmp_path: Path
) -> None:
    vendor.pin(project)
    manifest = json.loads((project / "vendor.json").read_text())
    manifest["files"][0]["sha256"] = hashlib.sha256(b"something else").hexdigest()
    (project / "vendor.json").write_text(json.dumps(manifest))
    with pytest.raises(vendor.VendorError, match=r"big\.js: found sha256 .* expected .* --pin"):
        vendor.bring(project, tmp_path / "static")
    assert not (tmp_path / "static").exists()


def test_an_import_that_nothing_would_resolve_is_refused(
    npm: Path, project: Path, tmp_path: Path
) -> None:
    manifest = json.loads((project / "vendor.json").read_text())
    del manifest["files"][1]
    (project / "vendor.json").write_text(json.dumps(manifest))
    with pytest.raises(vendor.VendorError, match='big.js imports "tiny"'):
        vendor.pin(project)


def test_a_missing_npm_is_said_with_its_remedy(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(vendor.VendorError, match="apt install npm"):
        vendor.bring(project, tmp_path / "static")


def test_a_failing_npm_is_quoted(
    npm: Path, project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "bin" / "npm"
    program.write_text("#!/bin/sh\necho 'ENOTFOUND: no such registry' >&2\nexit 3\n")
    with pytest.raises(vendor.VendorError, match=r"code 3:\nENOTFOUND: no such registry"):
        vendor.bring(project, tmp_path / "static")


def test_every_shipped_file_names_its_licence_and_every_lock_its_integrity() -> None:
    manifest = msgspec.json.decode((vendor.HERE / "vendor.json").read_bytes(), type=vendor.Manifest)
    assert {each.licence for each in manifest.files} <= {"MIT", "Apache-2.0"}
    lock = json.loads((vendor.HERE / "package-lock.json").read_text())
    packages = {name: row for name, row in lock["packages"].items() if name}
    assert all(row["integrity"].startswith("sha512-") for row in packages.values())
    assert not [name for name, row in packages.items() if "resolved" in row]
    wanted = json.loads((vendor.HERE / "package.json").read_text())["dependencies"]
    assert {each.package for each in manifest.files} == set(wanted)
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in wanted.values())


def test_documents_hold_no_script_and_no_style_of_their_own() -> None:
    """The content policy forbids both; only files of the panel itself may be named."""
    for path in (vendor.HERE / "templates").glob("*.html"):
        text = path.read_text()
        assert not re.findall(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", text), path
        assert not re.findall(r"(?:src|href)=\"https?:|//[a-z]+\.", text), path


def test_scripts_and_style_begin_with_what_they_are_and_fit_a_screen() -> None:
    static = vendor.HERE / "static"
    for path in [*static.glob("js/*.js"), static / "panel.css"]:
        lines = path.read_text().splitlines()
        assert re.match(r"// [A-Z].*[.:,]|/\* [A-Z]", lines[0]), path.name
        assert [line for line in lines if len(line) > 100] == [], path.name
