"""The one error of the image builder: what was found, what was expected, what to try."""


class ImageError(Exception):
    """The image cannot be built; the message is written for the person who asked for it."""
