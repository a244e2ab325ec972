"""Asks apt which packages an image needs, with a configuration of its own.

The host's sources, lists and installed packages are neither read nor written. Release files are
checked against Debian's archive keys, so what ends up in the lock file is what Debian signed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from leyden_image.debian.lockfile import Locked
from leyden_image.debian.mirror import archive_url, is_chosen
from leyden_image.errors import ImageError
from leyden_image.host import KEYRING
from leyden_image.recipe import Debian
from leyden_image.tools import run

# Inst libc6 (2.41-12 Debian:13.7/stable [arm64])
_INSTALLED: Final = re.compile(r"^Inst (\S+) (?:\[\S+\] )?\((\S+) .*\[(\w+)\]\)", re.MULTILINE)

_CONFIGURATION: Final = """\
APT::Architecture "{architecture}";
APT::Architectures "{architecture}";
APT::Install-Recommends "false";
Acquire::Languages "none";
Acquire::Check-Valid-Until "{current}";
Dir::Etc::Main "/dev/null";
Dir::Etc::Parts "/dev/null";
Dir::Etc::SourceList "{folder}/leyden.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
Dir::State "{folder}/state";
Dir::State::status "{folder}/state/status";
Dir::Cache "{folder}/cache";
"""


@dataclass(frozen=True, slots=True)
class Apt:
    """An apt that knows the archive of one architecture and nothing of this machine."""

    folder: Path
    architecture: str

    @staticmethod
    def prepare(folder: Path, architecture: str, debian: Debian) -> Apt:
        """Write the configuration into `folder` and fetch the archive's lists.

        Raises:
            ImageError: the archive cannot be reached or its signature is wrong.
        """
        for name in ("state/lists/partial", "cache/archives/partial"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "state" / "status").write_text("", encoding="utf-8")
        (folder / "leyden.list").write_text("".join(_sources(debian)), encoding="utf-8")
        configuration = _CONFIGURATION.format(
            architecture=architecture, folder=folder, current=str(not is_chosen()).lower()
        )
        (folder / "apt.conf").write_text(configuration, encoding="utf-8")
        apt = Apt(folder, architecture)
        apt._run("apt-get", "update", "-o", "APT::Update::Error-Mode=any")
        return apt

    def essential(self) -> list[str]:
        """Return the names of the packages that every Debian has."""
        names = set()
        for stanza in self._run("apt-cache", "dumpavail").split("\n\n"):
            fields = _fields(stanza)
            if fields.get("Essential") == "yes":
                names.add(fields["Package"])
        return sorted(names)

    def closure(self, use: str, packages: Sequence[str]) -> list[Locked]:
        """Return the packages and all they depend on."""
        plan = self._run("apt-get", "install", "--simulate", *packages)
        return self._locked(use, _INSTALLED.findall(plan))

    def exactly(self, use: str, packages: Sequence[str]) -> list[Locked]:
        """Return the packages themselves, in the version that apt would choose."""
        chosen = []
        for package in packages:
            name, _, suite = package.partition("/")
            target = ("--target-release", suite) if suite else ()
            fields = _fields(self._run("apt-cache", *target, "show", "--no-all-versions", name))
            chosen.append((name, fields["Version"], fields["Architecture"]))
        return self._locked(use, chosen)

    def _locked(self, use: str, chosen: Iterable[tuple[str, str, str]]) -> list[Locked]:
        wanted = [(name, version) for name, version, _ in chosen]
        questions = [f"{name}={version}" for name, version in wanted]
        answer = self._run("apt-cache", "show", *questions)
        found = {}
        for stanza in answer.split("\n\n"):
            if fields := _fields(stanza):
                found[fields["Package"], fields["Version"]] = fields
        if strangers := set(wanted) - set(found):
            raise ImageError(f"apt knows no file for {sorted(strangers)}")
        return [self._package(use, found[one]) for one in wanted]

    def _package(self, use: str, fields: dict[str, str]) -> Locked:
        security = fields["Filename"].startswith("pool/updates/")
        return Locked(
            use=use,
            name=fields["Package"],
            version=fields["Version"],
            architecture=fields["Architecture"],
            archive="debian-security" if security else "debian",
            path=fields["Filename"],
            size=int(fields["Size"]),
            sha256=fields["SHA256"],
        )

    def _run(self, *command: str) -> str:
        return run(command, environment={"APT_CONFIG": str(self.folder / "apt.conf")})


def _sources(debian: Debian) -> Iterator[str]:
    components = " ".join(debian.components)
    for archive, suites in (("debian", debian.suites), ("debian-security", debian.security)):
        for suite in suites:
            url = archive_url(archive)
            yield f"deb [signed-by={KEYRING}] {url} {suite} {components}\n"


def _fields(stanza: str) -> dict[str, str]:
    """Return the fields of a control paragraph; continuation lines are not needed here."""
    fields = {}
    for line in stanza.splitlines():
        if line[:1].strip():
            name, _, value = line.partition(":")
            fields[name] = value.strip()
    return fields
