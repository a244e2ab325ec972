"""Turns what was built into what is given away: the image, its hashes, bill, report, manifest.

Results are made in a folder of their own and moved into place one after the other when all of them
are there, so that a failing build leaves the last good ones.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from leyden_image.errors import ImageError
from leyden_image.job import Job
from leyden_image.manifest import manifest_text
from leyden_image.owners import Owners, sizes
from leyden_image.progress import Progress, bytes_in_words
from leyden_image.python.requirements import fetch_wheels, read_wheels
from leyden_image.report import Report, Sizes, over_limit, text
from leyden_image.sbom import bill_text
from leyden_image.store import fresh_folder, sha256_of, write_whole
from leyden_image.tools import run


@dataclass(frozen=True, slots=True)
class Product:
    """What the steps of a build have made.

    Attributes:
        job: the build.
        boot: folder with kernel, initrds and device trees.
        slot: what an update writes.
        raw: what is written to a card.
        owners: who brought which file of the root.
    """

    job: Job
    boot: Path
    slot: Path
    raw: Path
    owners: Owners

    @property
    def stem(self) -> str:
        """How the results' names begin."""
        return f"leyden-{self.job.release.version}-arm64"

    @property
    def image(self) -> str:
        """Name of the compressed image."""
        return f"{self.stem}.img.zst"


def publish(product: Product, level: int, progress: Progress) -> dict[str, Any]:
    """Put the results into the output folder and return a summary for programs.

    Args:
        product: what was made.
        level: of zstd, for the download.
        progress: is told about each step.

    Raises:
        ImageError: the image is bigger than it may be; nothing was replaced.
    """
    shelf = fresh_folder(product.job.place.scratch / "results")
    with progress.step("compress the image") as step:
        image = shelf / product.image
        run(["nice", "-n", "5", "zstd", "-q", "-T0", f"-{level}", "-o", image, product.raw])
        step.say(f"{image.name}, {bytes_in_words(image.stat().st_size)}")
    with progress.step("bill of materials, manifest, report") as step:
        measured = _measure(product, image)
        _describe(product, shelf, measured)
        report = _report(product, shelf, measured)
        if problems := over_limit(measured, report.limits):
            raise ImageError("\n  ".join(["the image is too big:", *problems]))
        step.say(f"{len(report.files)} files, all within limits")
    _put_into_place(product, shelf)
    summary = _summary(product, report, progress)
    # Apart from the results, of which two builds of one commit make the same ones.
    times = product.job.place.output / f"{product.stem}.build.json"
    write_whole(times, json.dumps(summary, indent=2) + "\n")
    return summary


def _measure(product: Product, image: Path) -> Sizes:
    by_owner, by_folder = sizes(product.job.root, product.owners)
    scratch = product.job.place.scratch
    parts = {
        "root.squashfs": scratch / "root.squashfs",
        **{path.name: path for path in product.boot.iterdir() if path.is_file()},
    }
    parts.pop("Image", None)  # for direct starts only, on no card
    return Sizes(
        compressed=image.stat().st_size,
        raw=product.raw.stat().st_size,
        slot=product.slot.stat().st_size,
        parts={name: path.stat().st_size for name, path in sorted(parts.items())},
        owners=dict(sorted(by_owner.items())),
        folders=dict(sorted(by_folder.items())),
    )


def _describe(product: Product, shelf: Path, measured: Sizes) -> None:
    """Write hashes, bill of materials and manifest beside the image."""
    job, image = product.job, shelf / product.image
    digest = sha256_of(image)
    (shelf / f"{image.name}.sha256").write_text(f"{digest}  {image.name}\n", "utf-8")
    wheels = fetch_wheels(read_wheels(), job.place.cache / "wheels")
    bill = bill_text(job, wheels, measured.owners)
    (shelf / f"{product.stem}.cdx.json").write_text(bill, "utf-8")
    url = (job.place.output / image.name).as_uri()
    facts = (measured.compressed, digest, measured.raw, sha256_of(product.raw))
    manifest = manifest_text(job.recipe, job.release, url, facts)
    (shelf / "leyden.rpi-imager-manifest").write_text(manifest, "utf-8")


def _report(product: Product, shelf: Path, measured: Sizes) -> Report:
    shutil.copyfile(product.slot, shelf / "slot.ext4")
    report = Report(
        version=product.job.release.version,
        commit=product.job.release.commit,
        limits=product.job.recipe.config.limits,
        sizes=measured,
        files={path.name: sha256_of(path) for path in sorted(shelf.iterdir())},
    )
    content = json.dumps(msgspec.to_builtins(report), indent=2) + "\n"
    (shelf / f"{product.stem}.size.json").write_text(content, "utf-8")
    (shelf / f"{product.stem}.size.txt").write_text(text(report), "utf-8")
    return report


def _put_into_place(product: Product, shelf: Path) -> None:
    output = product.job.place.output
    for path in sorted(shelf.iterdir()):
        path.replace(output / path.name)
    # A folder cannot be replaced at once: the old one steps aside first.
    boot, aside = output / "boot", product.job.place.scratch / "boot-before"
    if boot.exists():
        boot.rename(aside)
    product.boot.rename(boot)


def _summary(product: Product, report: Report, progress: Progress) -> dict[str, Any]:
    return {
        "image": str(product.job.place.output / product.image),
        "version": report.version,
        "commit": report.commit,
        "compressed": report.sizes.compressed,
        "slot": report.sizes.slot,
        "raw": report.sizes.raw,
        "files": report.files,
        "seconds": round(progress.seconds, 1),
        "steps": [
            {"name": step.name, "seconds": step.seconds, "note": step.note}
            for step in progress.finished
        ],
    }
