"""The volumes of a group: made, filled, and mounted."""

from __future__ import annotations

import contextlib
import shutil
import tempfile

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from aciflow.local.protocol import ContainerRun, Mount
from aciflow.local.runtime.engine import git, pause
from aciflow.local.runtime.engine.address import EngineAddress
from aciflow.local.runtime.engine.api import EngineApi, EngineError
from aciflow.local.runtime.engine.containers import container_name, group_labels, volume_name
from aciflow.local.runtime.engine.groups import Group
from aciflow.local.state import engine_directory, private_directory


__all__ = ["VolumeError", "Volumes", "remove_clones"]

_CHUNK = 1 << 18


class VolumeError(EngineError):
    """
    A volume cannot be had.

    Attributes:
        volume: Its name.
    """

    def __init__(self, volume: str, message: str) -> None:
        super().__init__(0, f"volume '{volume}': {message}")
        self.volume = volume


class Volumes:
    """
    Makes volumes of groups on an engine. Thread-safe.

    Args:
        api: The engine.
        endpoint_id: For labels and names.
        create: Creates a container of some name, also in place of one that a killed process left.
    """

    def __init__(
        self,
        api: EngineApi,
        endpoint_id: str,
        create: Callable[[str, Mapping[str, Any]], str],
    ) -> None:
        self._api = api
        self._endpoint_id = endpoint_id
        self._create = create

    def ensure(self, group: Group, run: ContainerRun) -> None:
        """
        See to it that what a container mounts is there; what is there already stays as it is.

        Raises:
            VolumeError: A folder or a repository is not to be had.
            EngineError: The engine makes no volume.
        """
        for mount in run.mounts:
            if mount.kind == "azure_file":  # each time: it can have gone meanwhile
                self._check_folder(mount)
        if not run.mounts:
            return
        with group.volumes_lock:
            for mount in run.mounts:
                if mount.kind != "azure_file" and mount.key not in group.filled:
                    self._make(group, run.image, mount)
                    group.filled.add(mount.key)

    def _check_folder(self, mount: Mount) -> None:
        if not mount.folder:
            raise VolumeError(
                mount.volume,
                "no local folder stands for its Azure file share (any more); name one with "
                "LocalAzure(azure_files=...)",
            )
        address = self._api.address
        if not address.is_local:
            raise VolumeError(
                mount.volume,
                f"the local folder {mount.folder} cannot be mounted, since the container engine is on "
                f"another machine ({address.host})",
            )
        if not Path(mount.folder).is_dir():
            raise VolumeError(
                mount.volume, f"the local folder {mount.folder} is not there, or is no folder"
            )

    def _make(self, group: Group, image: str, mount: Mount) -> None:
        labels = group_labels(self._endpoint_id, group.uid, group.resource_id)
        name = volume_name(group.uid, mount.key)
        if mount.kind != "git_repo":
            self._api.create_volume(name, labels)
            if mount.files:
                tar = pause.pack(dict(mount.files))
                self._fill(group, image, name, tar, labels)
            return
        wanted = git.Wanted(
            repository=mount.repository, directory=mount.directory, revision=mount.revision
        )
        with _cloned(self._api.address, self._endpoint_id, mount.volume, group, wanted) as tar_file:
            # What a process that was killed has filled in part.
            self._api.remove(_helper(group, name))
            self._api.remove_volume(name)
            self._api.create_volume(name, labels)
            self._fill(group, image, name, _chunks(tar_file), labels)

    def _fill(
        self,
        group: Group,
        image: str,
        volume: str,
        tar: bytes | Iterator[bytes],
        labels: dict[str, str],
    ) -> None:
        """Put files into a volume, by way of a container that is never started."""
        body = {
            "Image": image,
            "Cmd": ["-"],  # some images name no command, and it is not run
            "Labels": labels,
            "HostConfig": {
                "NetworkMode": "none",
                "Mounts": [
                    {
                        "Type": "volume",
                        "Source": volume,
                        "Target": "/aciflow-files",
                        "VolumeOptions": {"NoCopy": True},
                    }
                ],
            },
        }
        helper = self._create(_helper(group, volume), body)
        try:
            self._api.put_archive(helper, "/aciflow-files", tar)
        finally:
            self._api.remove(helper)


def _helper(group: Group, volume: str) -> str:
    return container_name(group.uid, f"fill-{volume[-16:]}")


@contextlib.contextmanager
def _cloned(
    engine: EngineAddress, endpoint_id: str, volume: str, group: Group, wanted: git.Wanted
) -> Iterator[Path]:
    """A tar archive of a clone, in a private folder for as long as it takes."""
    with contextlib.ExitStack() as stack:
        try:
            parent = private_directory(_clones(engine) / endpoint_id)
            work = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=parent)))
            folder = work / "volume"
            folder.mkdir(mode=0o755)
            tar = work / "volume.tar"
            git.clone(wanted, folder, lambda: group.closing)
            git.pack(folder, tar)
        except git.GitError as error:
            shown = git.redacted(wanted.repository, wanted.repository)
            raise VolumeError(volume, f"the git repository {shown}: {error}") from error
        except OSError as error:
            raise VolumeError(volume, f"there is no place for a clone: {error}") from error
        yield tar


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def remove_clones(engine: EngineAddress, endpoint_id: str) -> None:
    """Remove an endpoint's folder of clones, with what a process that was killed left there."""
    shutil.rmtree(_clones(engine) / endpoint_id, ignore_errors=True)


def _clones(engine: EngineAddress) -> Path:
    return engine_directory(engine.key) / "clones"
