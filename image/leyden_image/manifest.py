"""The entry with which Raspberry Pi Imager offers the image, and its page of settings.

Field names are those of Imager's `os-list-schema.json`; opened with Imager 2, the file shows Leyden
in the list of systems.
"""

from __future__ import annotations

import base64
import datetime
import json
from typing import Final

from leyden_image.job import Release
from leyden_image.recipe import Recipe

# Imager then writes `user-data` and `network-config` to the boot partition; first boot reads them.
_SETTINGS: Final = "cloudinit"
_ICON: Final = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 40">'
    '<rect width="40" height="40" rx="8" fill="#1d2733"/>'
    '<path d="M9 20h8M17 9v22M23 9v22M23 20h8" stroke="#f2b33d" stroke-width="3"/></svg>'
)


def manifest_text(
    recipe: Recipe, release: Release, url: str, facts: tuple[int, str, int, str]
) -> str:
    """Return the manifest.

    Args:
        recipe: the image.
        release: which one.
        url: where the compressed image can be had.
        facts: bytes and SHA-256 of the compressed image, bytes and SHA-256 of what is in it.
    """
    size, digest, extract_size, extract_digest = facts
    tags = dict.fromkeys(tag for device in recipe.devices for tag in device.imager)
    entry = {
        "name": f"Leyden {release.version}",
        "description": recipe.config.description,
        "icon": f"data:image/svg+xml;base64,{base64.b64encode(_ICON.encode()).decode()}",
        "url": url,
        "release_date": _day(release.epoch),
        "extract_size": extract_size,
        "extract_sha256": extract_digest,
        "image_download_size": size,
        "image_download_sha256": digest,
        "devices": list(tags),
        "init_format": _SETTINGS,
        "architecture": "armv8",
    }
    return json.dumps({"os_list": [entry]}, indent=2) + "\n"


def _day(epoch: int) -> str:
    return datetime.datetime.fromtimestamp(epoch, datetime.UTC).strftime("%Y-%m-%d")
