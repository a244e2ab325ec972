"""Builds the SD image of Leyden from locked packages: `python -m leyden_image build`.

What the image is made of stands in the folders beside this package: `config/` names an image,
`layer/` what is put into it, `device/` the boards it starts on. This package reads them and carries
the steps out. Public names: `load_recipe`, `build`, `compare`, `ImageError`.
"""

from leyden_image.errors import ImageError

__all__ = ["ImageError"]
