"""
Image references, as ``docker pull`` reads them.

Grammar: github.com/distribution/reference. ``nginx`` is ``docker.io/library/nginx:latest``.
"""

from __future__ import annotations

import re

from attrs import frozen


_HOST = (
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*)"
)
_SERVER = re.compile(rf"(?:{_HOST}|\[[0-9A-Fa-f:]+\])(?::[0-9]+)?")
_REPOSITORY = re.compile(
    r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*"
)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9A-Fa-f]{32,}")
_LONGEST = 255

DOCKER_HUB = "docker.io"


@frozen(kw_only=True)
class ImageReference:
    """
    A reference with nothing left to guess; ``str()`` is its full form.

    Attributes:
        registry: Host and port.
        repository: Path in the registry.
        tag: ``None`` only where there is a digest.
        digest: Such as ``sha256:...``.
    """

    registry: str
    repository: str
    tag: str | None
    digest: str | None = None

    def __str__(self) -> str:
        tag = "" if self.tag is None else f":{self.tag}"
        digest = "" if self.digest is None else f"@{self.digest}"
        return f"{self.registry}/{self.repository}{tag}{digest}"

    @property
    def short_name(self) -> str:
        """The last word of the repository."""
        return self.repository.rpartition("/")[2]


def parse_image(reference: str) -> ImageReference:
    """
    Take a reference apart and fill in what it leaves out.

    Args:
        reference: As a user writes it.

    Raises:
        ValueError: It is none; the message says why.
    """
    rest, at, digest = reference.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        message = f"{digest!r} is not a digest (sha256:<64 hex digits>)"
        raise ValueError(message)
    head, slash, tail = rest.partition("/")
    if slash and (head == "localhost" or "." in head or ":" in head or head != head.lower()):
        server, path = head, tail
    else:
        server, path = DOCKER_HUB, rest
    path, colon, tag = path.partition(":")
    if colon and not _TAG.fullmatch(tag):
        message = f"{tag!r} is not a tag (letters, digits and _.-, at most 128)"
        raise ValueError(message)
    if not _SERVER.fullmatch(server):
        message = f"{server!r} is not a registry's host name"
        raise ValueError(message)
    if not _REPOSITORY.fullmatch(path):
        message = f"{path!r} is not an image's name (lower case, digits, and single separators)"
        raise ValueError(message)
    if server == "index.docker.io":
        server = DOCKER_HUB
    if server == DOCKER_HUB and "/" not in path:
        path = f"library/{path}"
    if len(f"{server}/{path}") > _LONGEST:
        message = f"the name has more than {_LONGEST} characters"
        raise ValueError(message)
    return ImageReference(
        registry=server,
        repository=path,
        tag=tag if colon else None if at else "latest",
        digest=digest if at else None,
    )
