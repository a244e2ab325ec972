"""The bill of materials, CycloneDX 1.6: everything in the image with version, hash and licence.

What is listed is what is there: a package all of whose files were taken out again is left out. The
same image has the same bill, byte for byte; its serial number is made from its content.
"""

from __future__ import annotations

import datetime
import email.parser
import email.policy
import json
import re
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from leyden_image.debian.lockfile import Locked
from leyden_image.job import Job
from leyden_image.paths import PROJECT
from leyden_image.python.install import PACKAGES
from leyden_image.python.requirements import Wheel, resolve_source

_FRONT_END: Final = PROJECT / "app" / "leyden" / "panel" / "vendor.json"
_SPACE: Final = uuid.UUID("4c455944-454e-4000-8000-0000000000b0")
_LICENCE: Final = re.compile(r"^License:\s*(\S[^\n]*)$", re.MULTILINE)
_FIRMWARE: Final = frozenset(
    {"raspi-firmware", "firmware-brcm80211", "u-boot-rpi", "wireless-regdb"}
)

Component = dict[str, Any]


def bill_text(job: Job, wheels: Mapping[Wheel, Path], sizes: Mapping[str, int]) -> str:
    """Return the bill of materials.

    Args:
        job: the build; its tree is complete.
        wheels: the Python packages and their files.
        sizes: bytes in the root by owner.
    """
    components = [
        *(_debian(job, one) for one in _present(job, sizes)),
        *(_python(job.root, wheel) for wheel in wheels),
        *_sources(job),
        *_front_end(),
    ]
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": _moment(job.release.epoch),
            "lifecycles": [{"phase": "build"}],
            "component": _image(job),
        },
        "components": sorted(components, key=lambda one: str(one["bom-ref"])),
    }
    content = json.dumps(bill, indent=2, sort_keys=True)
    bill["serialNumber"] = f"urn:uuid:{uuid.uuid5(_SPACE, content)}"
    return json.dumps(bill, indent=2, sort_keys=True) + "\n"


def licences(copyright_text: str) -> list[str]:
    """Return the licences that a Debian copyright file in machine-readable form names."""
    if not copyright_text.startswith("Format:"):
        return []
    return sorted({name.strip() for name in _LICENCE.findall(copyright_text)})


def _present(job: Job, sizes: Mapping[str, int]) -> Iterable[Locked]:
    """Yield installed packages of which something is left, and all that were unpacked."""
    for one in job.lock.packages:
        if one.use == "unpack" or (one.use == "root" and sizes.get(f"deb:{one.name}")):
            yield one


def _debian(job: Job, one: Locked) -> Component:
    version = quote(one.version, safe="")
    purl = f"pkg:deb/debian/{quote(one.name)}@{version}?arch={one.architecture}&distro=trixie"
    kind = "firmware" if one.name in _FIRMWARE else "library"
    text = job.root / "usr/share/doc" / one.name / "copyright"
    named = licences(text.read_text("utf-8", "replace")) if text.is_file() else []
    return _component(kind, one.name, one.version, purl, one.sha256, named)


def _python(root: Path, wheel: Wheel) -> Component:
    purl = f"pkg:pypi/{wheel.name}@{wheel.version}"
    named = _python_licence(root / PACKAGES.lstrip("/"), wheel)
    return _component("library", wheel.name, wheel.version, purl, wheel.sha256, named)


def _python_licence(packages: Path, wheel: Wheel) -> list[str]:
    pattern = f"{wheel.name.replace('-', '_')}-{wheel.version}.dist-info"
    for folder in packages.iterdir():
        if folder.name.lower() == pattern and (folder / "METADATA").is_file():
            parser = email.parser.Parser(policy=email.policy.compat32)
            fields = parser.parsestr((folder / "METADATA").read_text("utf-8"), headersonly=True)
            if named := fields.get("License-Expression") or fields.get("License"):
                return [str(named).splitlines()[0]]
            return [
                str(one).rpartition(" :: ")[2]
                for one in fields.get_all("Classifier", [])
                if str(one).startswith("License ::")
            ]
    return []


def _sources(job: Job) -> Iterable[Component]:
    """Yield packages that were compiled while building; their hash is the source archive's."""
    for layer in job.recipe.layers:
        for name in layer.sources:
            requirement, *hashes = resolve_source(name).split()
            version = requirement.partition("==")[2]
            digest = sorted(word.rpartition(":")[2] for word in hashes)[0]
            yield _component(
                "library", name, version, f"pkg:pypi/{name}@{version}", digest, ["MIT"]
            )


def _front_end() -> Iterable[Component]:
    for file in json.loads(_FRONT_END.read_text("utf-8"))["files"]:
        name, version = file["package"], file["version"]
        purl = f"pkg:npm/{quote(name, safe='/')}@{version}"
        one = _component("library", name, version, purl, file["sha256"], [file["licence"]])
        yield {**one, "bom-ref": f"{purl}#{file['file']}"}


def _image(job: Job) -> Component:
    release = job.release
    return {
        "type": "operating-system",
        "bom-ref": "leyden-image",
        "name": "leyden",
        "version": release.version,
        "description": job.recipe.config.description,
        "licenses": [{"license": {"id": "MIT"}}],
        "properties": [
            {"name": "leyden:commit", "value": release.commit},
            {"name": "leyden:compatible", "value": release.compatible},
        ],
    }


def _component(
    kind: str, name: str, version: str, purl: str, sha256: str, named: list[str]
) -> Component:
    component: Component = {
        "type": kind,
        "bom-ref": purl,
        "name": name,
        "version": version,
        "purl": purl,
        "hashes": [{"alg": "SHA-256", "content": sha256}],
    }
    if named:
        component["licenses"] = [{"license": {"name": one}} for one in named]
    return component


def _moment(epoch: int) -> str:
    return datetime.datetime.fromtimestamp(epoch, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
