"""A small web server to launch, made from a static busybox of this machine, so that nothing is pulled."""

from __future__ import annotations

import io
import shutil
import tarfile

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from aciflow.errors import ConfigurationError


if TYPE_CHECKING:
    from aciflow.local.runtime.engine.api import EngineApi


__all__ = ["web_image"]

_NAME = "aciflow-bench/web:1"
_COMMAND = 'CMD ["/bin/busybox", "httpd", "-f", "-p", "80", "-h", "/www"]'
# Debian puts its static one there; the user's PATH may name a dynamic one first.
_PLACES = ("/bin/busybox", "/usr/bin/busybox", "/bin/busybox.static", "/usr/bin/busybox.static")


@contextmanager
def web_image(engine: EngineApi, wanted: str | None) -> Iterator[str]:
    """
    An image whose container serves HTTP on port 80.

    Args:
        engine: Where to make it.
        wanted: The user's own image, used as it is; ``None`` makes one, and removes it afterwards.

    Raises:
        ConfigurationError: There is no image and no static busybox to make one from.
    """
    if wanted is not None:
        if engine.inspect_image(wanted) is None:
            raise ConfigurationError(
                f"the engine has no image {wanted}: pull it first, since a pull is not what is measured"
            )
        yield wanted
        return
    existed = engine.inspect_image(_NAME) is not None
    if not existed:
        engine.import_image(_archive(_busybox()), _NAME, changes=[_COMMAND])
    try:
        yield _NAME
    finally:
        if not existed:
            engine.remove_image(_NAME)


def _busybox() -> bytes:
    found = [shutil.which("busybox"), *_PLACES]
    for path in (Path(place) for place in found if place is not None):
        if path.is_file() and is_static(content := path.read_bytes()):
            return content
    raise ConfigurationError(
        "no image to launch: name one that serves on port 80 with --image, or install a static busybox "
        "(Debian: apt-get install busybox-static)"
    )


def is_static(content: bytes) -> bool:
    """
    Whether a program is an ELF without an interpreter, so that it runs where there is no libc.

    Reads the program headers of 64-bit little-endian files (ELF-64 Object File Format, version 1.5).
    """
    if not content.startswith(b"\x7fELF\x02\x01"):
        return False
    offset = int.from_bytes(content[32:40], "little")
    size = int.from_bytes(content[54:56], "little")
    count = int.from_bytes(content[56:58], "little")
    interpreter = (3).to_bytes(4, "little")  # PT_INTERP
    headers = (content[offset + n * size : offset + n * size + 4] for n in range(count))
    return interpreter not in headers


def _archive(busybox: bytes) -> bytes:
    """The image's file system."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content, mode in (
            ("bin/busybox", busybox, 0o755),
            ("www/index.html", b"hello\n", 0o644),
        ):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            entry.mode = mode
            tar.addfile(entry, io.BytesIO(content))
    return out.getvalue()
