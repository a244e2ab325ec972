"""The names of what a layer can ask the builder to do, each with one line about it."""

from typing import Final

STEPS: Final = {
    "users": "make the users and groups of sysusers.d, with their fixed numbers",
    "kernel": "pick kernel, modules by keep list, device trees",
    "firmware": "pick radio firmware by the devices' keep lists",
    "python": "put in the locked wheels and this project, compiled for the image's Python",
    "release": "write who this image is: release.json, os-release",
    "units": "enable units by preset, mask what is listed, choose the default target",
}
