"""Cross-compiles spidev, the one package without a wheel, for the image's Python."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Final

from leyden_image.errors import ImageError
from leyden_image.store import fresh_folder
from leyden_image.tools import run
from leyden_image.tree import make_folder

COMPILER: Final = "aarch64-linux-gnu-gcc"
_MODULE: Final = "spidev.cpython-313-aarch64-linux-gnu.so"


def compile_spidev(source: Path, sdk: Path, scratch: Path, target: Path) -> Path:
    """Compile spidev into the folder `target` and return the module.

    Args:
        source: its source archive.
        sdk: unpacked headers and libraries of the image's Python and C library.
        scratch: an own folder to work in.
        target: where modules of the image are.

    Raises:
        ImageError: the archive is not what it was, or the compiler refused it.
    """
    fresh_folder(scratch)
    with tarfile.open(source) as archive:
        archive.extractall(scratch, filter="data")
    found = sorted(scratch.glob("*/spidev_module.c"))
    if len(found) != 1:
        raise ImageError(f"{source} holds {len(found)} files spidev_module.c; one is expected")
    make_folder(target)
    if not (sdk / "lib").is_symlink():
        (sdk / "lib").symlink_to("usr/lib")
    folder, module = found[0].parent, target / _MODULE
    run(
        [
            COMPILER, "-shared", "-fPIC", "-O2", "-g0", "-DNDEBUG", "-fstack-protector-strong",
            "-D_FORTIFY_SOURCE=2", "-Wl,-z,relro,-z,now", "-Wl,--build-id=none", "-s",
            # A path inside the object would differ from machine to machine.
            f"-ffile-prefix-map={folder}=spidev", f"-ffile-prefix-map={sdk}=",
            f"--sysroot={sdk}", f"-I{sdk}/usr/include/python3.13",
            "-o", module, found[0].name,
        ],
        folder=folder,
    )  # fmt: skip
    module.chmod(0o755)
    return module
