"""Settings for the laws tested here: they write files, so no single example has a deadline."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("files", deadline=None)
settings.load_profile("files")
