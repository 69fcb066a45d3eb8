"""
The container that holds the namespaces of a group of several containers.

129 bytes of machine code that sleep for ever, imported as an image: there is nothing to pull. Groups of
one container do without.
"""

from __future__ import annotations

import io
import struct
import tarfile


__all__ = ["CHANGES", "elf", "executable", "image_tar", "pack"]


_BASE = 0x400000
_HEADERS = 64 + 56
_MACHINES = {"amd64": 62, "arm64": 183}
_CODE = {
    # again: mov eax, 34 (pause); syscall; jmp again
    "amd64": bytes.fromhex("b822000000 0f05 ebf7"),
    # again: x0..x3 = 0; mov x8, #73 (ppoll); svc #0; b again
    "arm64": struct.pack(
        "<7I",
        *(0xD2800000, 0xD2800001, 0xD2800002, 0xD2800003),
        *(0xD2800928, 0xD4000001, 0x17FFFFFA),
    ),
}

CHANGES = ('ENTRYPOINT ["/pause"]', "USER 65535:65535")
"""How the image is configured, in Dockerfile words."""


def elf(arch: str) -> bytes:
    """
    A static executable that does nothing, for ``amd64`` or ``arm64``.

    Raises:
        ValueError: There is no code for this architecture.
    """
    return executable(arch, _CODE.get(arch, b""))


def executable(arch: str, code: bytes) -> bytes:
    """
    A static executable of some machine code, for ``amd64`` or ``arm64``.

    Raises:
        ValueError: There is no code for this architecture.
    """
    if arch not in _MACHINES:
        raise ValueError(f"no pause program for architecture {arch}")
    size = _HEADERS + len(code)
    ident = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    header = struct.pack(
        "<16sHHIQQQIHHHHHH",
        *(ident, 2, _MACHINES[arch], 1, _BASE + _HEADERS, 64, 0, 0, 64, 56, 1, 64, 0, 0),
    )
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 0x1000)
    return header + segment + code


def pack(files: dict[str, bytes], mode: int = 0o644) -> bytes:
    """A tar archive of files, owned by root."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            entry.mode = mode
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def image_tar(arch: str) -> bytes:
    """The pause image's whole file system."""
    return pack({"pause": elf(arch)}, mode=0o755)
