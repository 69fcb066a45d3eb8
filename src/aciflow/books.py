"""
What a client has made and still has to delete.

The books decide what leaving a ``with``, closing a client and the end of the interpreter delete: exactly
what is in them. What was adopted, picked up, detached or made by another process is not.
"""

from __future__ import annotations

import secrets
import threading

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from attrs import define, evolve, field, frozen

from aciflow.errors import ConfigurationError
from aciflow.flow.groups import Made
from aciflow.flow.ids import GroupRef, ResourceGroupRef
from aciflow.flow.launch import LaunchRequest


__all__ = ["Books", "Live", "Use"]


@frozen(kw_only=True)
class Live:
    """A container group that this client launched and has to delete."""

    ref: GroupRef
    launch_id: str


@define(kw_only=True)
class Use:
    """
    A resource group, as this client knows it.

    Attributes:
        made: This client made it, or may have: its tag tells.
        location: Its region; ``None`` while it is not known to exist.
        keep: It is never deleted.
        pinned: A ``with`` holds it.
        pending: Launches into it that are under way.
        live: This client's container groups in it, by name.
        detached: Those that are to outlive this process: name to launch.
    """

    ref: ResourceGroupRef
    made: bool = False
    location: str | None = None
    keep: bool = False
    pinned: bool = False
    pending: int = 0
    live: dict[str, Live] = field(factory=dict)
    detached: dict[str, str] = field(factory=dict)

    @property
    def idle(self) -> bool:
        """Whether it was made here and nothing of ours is in it."""
        return self.made and not (self.keep or self.live or self.detached or self.pending)


class Books:
    """
    Every method may be called from any thread.

    Args:
        make_ref: Name to resource group.
        default: Name of the resource group where a launch names none; by default one is made up.

    Attributes:
        on_change: Told whether there is anything to delete, each time that may have changed.
    """

    def __init__(
        self, make_ref: Callable[[str], ResourceGroupRef], default: str | None = None
    ) -> None:
        self.default = default
        self.on_change: Callable[[bool], None] = _nobody
        self._make_ref = make_ref
        self.reset()

    def reset(self) -> None:
        """Forget everything: in a fork all of it is the parent's."""
        self._lock = threading.RLock()
        self._auto: str | None = None
        self._uses: dict[str, Use] = {}
        self._closed = False

    def close(self) -> None:
        """From now on nothing can be launched."""
        self._closed = True

    def check_open(self) -> None:
        """
        Refuse to go on with a client that is closed.

        Raises:
            ConfigurationError: It is.
        """
        if self._closed:
            raise ConfigurationError("this client is closed")

    @property
    def owes(self) -> bool:
        """Whether anything is to be deleted, or may come to be by what is under way."""
        with self._lock:
            return any(use.live or use.pending or use.idle for use in self._uses.values())

    def _tell(self) -> None:
        with self._lock:  # who is told last has the last word
            self.on_change(self.owes)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        finally:
            self._tell()

    # --- resource groups ------------------------------------------------------------------

    def use(self, name: str | None = None) -> Use:
        """A resource group; without a name the default one, or the one that is made for this client."""
        with self._lock:
            wanted = name or self.default or self._auto
            if wanted is None:
                wanted = self._auto = new_name()
            return self._uses.setdefault(wanted.lower(), Use(ref=self._make_ref(wanted)))

    def made_up(self, use: Use) -> bool:
        """Whether it is the one made for this client, under a name that nobody else has."""
        return use.ref.name == self._auto

    @property
    def usual(self) -> str | None:
        """Where a launch without a resource group has gone so far."""
        return self.default or self._auto

    @contextmanager
    def making(self, use: Use) -> Iterator[Made]:
        """Note that a resource group is made, also when that is interrupted."""
        made = Made()
        with self._lock:
            use.pending += 1
            self._tell()
        try:
            yield made
        finally:
            with self._lock, self._telling():
                use.pending -= 1
                use.made = use.made or made.resource_group
                use.location = made.location or use.location

    @contextmanager
    def taking_idle(
        self, *, closing: bool = False, only: Use | None = None
    ) -> Iterator[Iterator[Use]]:
        """
        Take out the resource groups that this client made and nothing needs any more, to delete them.

        Those with a name of the user's own go with the last container group in them; the client's own,
        and those of a ``with``, stay until that ends. Where an exception leaves the block, those that
        are not done are put back.
        """
        left: list[Use] = []

        def each() -> Iterator[Use]:
            while left:
                yield left[0]
                del left[0]  # only now: the next one is asked for

        try:
            with self._lock:
                left += (
                    use
                    for use in self._uses.values()
                    if use.idle
                    and (only is None or use is only)
                    and (closing or not (use.pinned or self.made_up(use)))
                )
                for use in left:
                    del self._uses[use.ref.name.lower()]
                    if self.made_up(use):
                        self._auto = None
            yield each()
        except BaseException:
            self._put_back(left)
            raise
        finally:
            self._tell()

    def _put_back(self, uses: Sequence[Use]) -> None:
        with self._lock:
            for use in uses:
                use.location = None  # it may be on its way out
                now = self._uses.setdefault(use.ref.name.lower(), use)
                now.made = True

    # --- container groups -----------------------------------------------------------------

    @contextmanager
    def launching(self, request: LaunchRequest) -> Iterator[tuple[LaunchRequest, Made]]:
        """Complete a request with what is known by now, and note what comes of it, however it ends."""
        made = Made()
        with self._lock:
            self.check_open()
            use = self.use(request.resource_group.name)
            use.pending += 1
            known = use.location
            self._tell()
        failed = True
        try:
            yield (
                evolve(
                    request,
                    group_known=known is not None,
                    group_new=request.group_new and not use.made,
                    locations=request.locations or ((known,) if known else ()),
                ),
                made,
            )
            failed = False
        finally:
            name = request.spec.name
            with self._lock, self._telling():
                use.pending -= 1
                use.made = use.made or made.resource_group
                # It may have failed because somebody deleted the resource group.
                use.location = None if failed else made.location or use.location
                if made.container_group and (failed or request.lifetime != "detached"):
                    use.live[name] = Live(ref=request.ref, launch_id=request.launch_id)
                    if not failed:  # it took the other's place
                        use.detached.pop(name, None)
                elif made.container_group:
                    use.detached[name] = request.launch_id
                    use.live.pop(name, None)

    def owns(self, ref: GroupRef, launch_id: str | None) -> bool:
        """Whether that launch's container group is still this client's to delete."""
        with self._lock:
            use = self._uses.get(ref.resource_group.name.lower())
            live = use.live.get(ref.name) if use is not None else None
            return live is not None and live.launch_id == launch_id

    def live(self, use: Use | None = None) -> list[Live]:
        """What has to be deleted still."""
        with self._lock:
            uses = self._uses.values() if use is None else (use,)
            return [live for use in uses for live in use.live.values()]

    def forget(self, ref: GroupRef, launch_id: str) -> None:
        """A launch's container group is gone; another launch's of that name is not."""
        with self._lock, self._telling():
            use = self._uses.get(ref.resource_group.name.lower())
            if use is None:
                return
            live = use.live.get(ref.name)
            if live is not None and live.launch_id == launch_id:
                del use.live[ref.name]
            if use.detached.get(ref.name) == launch_id:
                del use.detached[ref.name]


def _nobody(owes: bool) -> None:
    """Where no client is to be kept."""


def new_name() -> str:
    """For a resource group that nobody has named."""
    return f"aciflow-{secrets.token_hex(5)}"
