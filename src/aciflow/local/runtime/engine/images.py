"""Are images to be had, and get them."""

from __future__ import annotations

import time

from collections.abc import Iterable, Sequence
from typing import Any, Literal

from aciflow.local.protocol import ImageAnswer, RegistryAuth
from aciflow.local.runtime.engine.api import EngineApi, EngineError
from aciflow.local.runtime.engine.containers import ENDPOINT


__all__ = [
    "Lookups",
    "auth_for",
    "digest_of",
    "names",
    "platform_problem",
    "resolve",
    "server_of",
    "split_reference",
]

_FRESH = 1.0
"""Seconds for which an answer holds."""

_CHECK = 5.0
"""Seconds that a registry has to say something against credentials for what is here already."""


class Lookups:
    """
    What the engine says of its images.

    A PUT asks whether they are there, and the pull right after it need not ask again.
    """

    def __init__(self, api: EngineApi) -> None:
        self.api = api
        self._found: dict[str, tuple[float, dict[str, Any]]] = {}

    def ask(self, image: str) -> dict[str, Any] | None:
        """An image that the engine has, or ``None``; remembered for a moment."""
        found = self.api.inspect_image(image)
        if found is not None:
            self._found[image] = (time.monotonic(), found)
        return found

    def ask_or_recall(self, image: str) -> dict[str, Any] | None:
        """The same, or what was answered a moment ago; each answer serves once."""
        at, found = self._found.pop(image, (0.0, None))
        if found is not None and time.monotonic() - at < _FRESH:
            return found
        return self.api.inspect_image(image)


def split_reference(image: str) -> tuple[str, str | None]:
    """
    What to pull: the name, and the tag or ``None`` where a digest says which.

    An engine that is given neither would pull every tag.
    """
    if "@" in image:
        return image, None
    name, colon, tag = image.rpartition(":")
    if colon and "/" not in tag:
        return name, tag
    return image, "latest"


def server_of(image: str) -> str:
    """The registry of an image, ``docker.io`` where it names none."""
    first, slash, _ = image.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return _canonical(first)
    return "docker.io"


def auth_for(image: str, auths: Iterable[RegistryAuth]) -> RegistryAuth | None:
    """The credentials for an image's registry, if there are any."""
    server = server_of(image)
    return next((auth for auth in auths if _canonical(auth.server) == server), None)


def _canonical(server: str) -> str:
    host = server.lower().removeprefix("https://").removeprefix("http://").partition("/")[0]
    return "docker.io" if host in {"index.docker.io", "registry-1.docker.io"} else host


def digest_of(image: dict[str, Any]) -> str | None:
    """The digest under which a registry knows an image; an image made locally has none."""
    for reference in image.get("RepoDigests") or ():
        return str(reference).partition("@")[2] or None
    return None


def platform_problem(api: EngineApi, name: str, os: str, arch: str) -> str | None:
    """Why an image of this platform cannot run here, or ``None``."""
    here = api.version
    if not os or not arch or (os, arch) == (here.os, here.arch):
        return None
    if os == "linux" and "Docker Desktop" in str(api.info().get("OperatingSystem", "")):
        return None  # it emulates other processors
    return f"image '{name}' is for {os}/{arch}, and this engine runs {here.os}/{here.arch}"


def resolve(
    lookups: Lookups, images: Sequence[str], auths: Sequence[RegistryAuth]
) -> tuple[ImageAnswer, ...]:
    """Look each image up, on the engine and then at its registry; nothing is pulled."""
    known: dict[str, ImageAnswer] = {}
    for image in images:
        if image not in known:
            known[image] = _resolve_one(lookups, image, auth_for(image, auths))
    return tuple(known[image] for image in images)


def _resolve_one(lookups: Lookups, image: str, auth: RegistryAuth | None) -> ImageAnswer:
    api = lookups.api

    def refused(
        problem: Literal["inaccessible", "registry", "platform"], detail: str
    ) -> ImageAnswer:
        return ImageAnswer(image=image, problem=problem, detail=detail)

    try:
        found = lookups.ask(image)
        if found is not None:
            detail = platform_problem(
                api, image, str(found.get("Os", "")), str(found.get("Architecture", ""))
            )
            if detail:
                return refused("platform", detail)
            if auth is not None and (denial := _denial(api, image, auth)):
                return refused("inaccessible", denial)
            exposed = tuple((found.get("Config") or {}).get("ExposedPorts") or ())
            return ImageAnswer(image=image, digest=digest_of(found), exposed=exposed)
        if api.version.podman:
            return ImageAnswer(image=image)  # it cannot ask a registry; the pull will tell
        there = api.distribution(image, auth)
    except EngineError as error:
        if error.status in {400, 401, 403, 404} or _denied(error.message):
            return refused("inaccessible", error.message)
        return refused("registry", error.message)
    platforms = [
        (str(platform.get("os", "")), str(platform.get("architecture", "")))
        for platform in there.get("Platforms") or ()
    ]
    problems = [platform_problem(api, image, *platform) for platform in platforms]
    if problems and all(problems):
        offered = ", ".join(f"{os}/{arch}" for os, arch in platforms)
        here = api.version
        return refused(
            "platform",
            f"image '{image}' is for {offered}, and this engine runs {here.os}/{here.arch}",
        )
    return ImageAnswer(image=image, digest=(there.get("Descriptor") or {}).get("digest"))


def _denial(api: EngineApi, image: str, auth: RegistryAuth) -> str | None:
    """
    What a registry says against credentials for an image that is here already; ``None`` if nothing.

    They are checked all the same, since Azure would: but a registry that is out of reach, or knows no
    such image, does not keep one from what the engine has.
    """
    if api.version.podman:
        return None
    try:
        api.distribution(image, auth, timeout=_CHECK)
    except EngineError as error:
        if error.status in {401, 403} or _refused(error.message):
            return error.message
    return None


def names(api: EngineApi) -> tuple[str, ...]:
    """The names of the engine's images, sorted; without aciflow's own."""
    return tuple(
        sorted(
            name
            for image in api.images()
            if ENDPOINT not in (image.get("Labels") or {})
            for name in image.get("RepoTags") or ()
            if "<none>" not in name
        )
    )


def _denied(message: str) -> bool:
    lowered = message.lower()
    return _refused(message) or any(word in lowered for word in ("manifest unknown", "not found"))


def _refused(message: str) -> bool:
    lowered = message.lower()
    return any(word in lowered for word in ("unauthorized", "denied", "no basic auth"))
