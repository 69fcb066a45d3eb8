"""
The endpoint that all processes of a user share on one engine.

Whoever holds a file lock runs it and answers the others. When that process ends, however it ends, the
next one that needs the endpoint, or waits with an open client, takes the lock, loads the state and adopts
the containers by their labels. So nothing has to be running for ``get()`` to find what another process
left.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import sys
import threading
import time
import weakref

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from aciflow.errors import (
    ConfigurationError,
    EndpointUnreachableError,
    EngineUnavailableError,
)
from aciflow.local import channel
from aciflow.local.azure import LocalAzure
from aciflow.local.clock import LocalClock, SharedClock
from aciflow.local.duplex import RemoteTerminal, lend
from aciflow.local.endpoint import Endpoint
from aciflow.local.host import Host
from aciflow.local.protocol import Reply, Request
from aciflow.local.runtime.base import Runtime, Terminal
from aciflow.local.service import ENGINE_LACKS, new_id
from aciflow.local.state import (
    FileLock,
    Store,
    engine_directory,
    private_directory,
    state_root,
    write_private,
)
from aciflow.local.tokens import AccessToken, Tokens


if TYPE_CHECKING:
    from aciflow.local.faults import Faults
    from aciflow.local.runtime.engine.address import EngineAddress


__all__ = ["SharedService", "shared"]

_PATIENCE = 30.0
"""Seconds to find or become the holder. Becoming it takes well below one."""

_ANSWER = 150.0
"""Seconds to wait for the holder's answer: longer than a DELETE is held or a registry is waited for."""

_REPEATABLE = {"GET", "HEAD", "DELETE"}

_lock = threading.Lock()
_made: dict[tuple[str, str], tuple[LocalAzure, SharedService]] = {}
_services: weakref.WeakSet[SharedService] = weakref.WeakSet()


def shared() -> LocalAzure:
    """
    This process's access to the shared endpoint; the same object every time.

    Raises:
        EngineUnavailableError: There is no engine.
    """
    from aciflow.local.runtime.engine.address import require_engine

    engine = require_engine()
    key = (engine.url, str(state_root()))
    with _lock:
        found = _made.get(key)
        if found is None or found[1].closed:
            service = SharedService(engine)
            found = _made[key] = (LocalAzure.over(service), service)
        return found[0]


class SharedService:
    """
    The shared endpoint, in this process or in another; a :class:`aciflow.local.service.Service`.

    Args:
        engine: Whose containers it runs.
    """

    def __init__(self, engine: EngineAddress) -> None:
        self._engine = engine
        self.directory = private_directory(engine_directory(engine.key) / "shared")
        self._identity = _identity(self.directory)
        self.tokens = Tokens(
            time.time,
            bytes.fromhex(self._identity["key"]),
            tenant_id=self._identity["tenant_id"],
        )
        self._clock = SharedClock()
        self._parents: object = None
        self.closed = False
        self._reset()
        _services.add(self)

    def _reset(self) -> None:
        self._lock = threading.RLock()
        self._holder_lock = FileLock(self.directory / "holder.lock")
        self._host: Host | None = None
        self._listener: channel.Listener | None = None
        self._idle: list[channel.Connection] = []
        self._watch: channel.Connection | None = None

    def forget(self) -> None:
        """In a fork: everything but the files is the parent's."""
        connections = [*self._idle, *([self._watch] if self._watch else [])]
        for connection in connections:
            connection.forget()
        if self._listener is not None:
            self._listener.forget()
        self._parents = (self._host, self._listener, connections)  # not to be collected here
        self._reset()

    # --- as a Service ---------------------------------------------------------------------

    @property
    def kind(self) -> Literal["engine", "simulated"]:
        """Real containers."""
        return "engine"

    @property
    def subscription_id(self) -> str:
        """The same in every process."""
        return str(self._identity["subscription_id"])

    @property
    def tenant_id(self) -> str:
        """The same in every process."""
        return str(self._identity["tenant_id"])

    @property
    def runtime(self) -> Runtime | None:
        """Where this process holds the endpoint."""
        return self._host.runtime if self._host is not None else None

    @property
    def clock(self) -> LocalClock:
        """Real time."""
        return self._clock

    @property
    def faults(self) -> Faults:
        """
        It has none.

        Raises:
            ConfigurationError: Always.
        """
        raise ConfigurationError(
            "the shared local endpoint has no faults, since other programs use it too; make an endpoint "
            "of your own: aciflow.local.LocalAzure()"
        )

    @property
    def holds(self) -> bool:
        """Whether this process runs the endpoint."""
        return self._host is not None

    def token(self) -> AccessToken:
        """A token that the endpoint accepts, in whichever process it is."""
        return self.tokens.issue()

    def start(self) -> None:
        """
        Find the holder or become it; from now on take over from it if it ends.

        Raises:
            EngineUnavailableError: The engine does not answer.
        """
        with self._lock:
            if not self._idle:  # called again and again, and each connection is a thread over there
                connection = self._connect()
                if connection is not None:
                    self._idle.append(connection)
            self._begin_watch()

    def request(self, request: Request) -> Reply:
        """
        Answer a request.

        Raises:
            httpx.ReadError: The holder was killed in the middle of a request that must not be repeated;
                as with any server, it may or may not have been carried out.
            httpx.ReadTimeout: The holder has been stopped, or hangs.
        """
        host = self._host
        if host is not None:
            return host.request(request)
        answer = self._ask(
            {"op": "request", "request": channel.encode_request(request)},
            repeat=request.method in _REPEATABLE,
        )
        return channel.decode_reply(answer) if answer is not None else self.request(request)

    def connect(self, session: str, password: str) -> Terminal | None:
        """
        Open what an exec or attach has promised, in whichever process the endpoint is.

        Returns:
            ``None`` for a session that cannot be claimed, as after another process has taken over.

        Raises:
            LookupError: Its container does not run any more.
        """
        with self._lock:
            # Of its own, since it is the terminal's from then on.
            connection = self._connect() if self._host is None else None
        host = self._host
        if connection is None:
            if host is None:
                raise EndpointUnreachableError("this local endpoint is closed")
            return host.connect(session, password)
        try:
            asked = {"op": "connect", "session": session, "password": password}
            answer = connection.ask(asked, timeout=_ANSWER)
        except OSError as error:
            connection.close()
            raise EndpointUnreachableError(
                f"the process that holds the local endpoint has ended: {error}"
            ) from error
        if answer == {"connected": True}:
            return RemoteTerminal(connection)
        connection.close()
        if answer == channel.CLOSING:
            return self.connect(session, password)
        if "problem" in answer:
            raise _problem(answer["problem"])
        return None

    def keep(self) -> None:
        """
        Have a process in the background go on with it until no group is left.

        Raises:
            EngineUnavailableError: It cannot be started.
        """
        from aciflow.local.keeper import ensure_keeper

        ensure_keeper()

    def groups(self) -> int:
        """How many container groups there are."""
        host = self._host
        if host is not None:
            return len(host.endpoint.recovery())
        answer = self._ask({"op": "groups"}, repeat=True)
        return int(answer["groups"]) if answer is not None else self.groups()

    def describe(self) -> dict[str, Any]:
        """What ``doctor`` shows."""
        from aciflow.local.runtime.engine.runtime import EngineRuntime

        return EngineRuntime("doctor", engine=self._engine).describe()

    def close(self) -> None:
        """End this process's part; groups that are still there stay, and the next process finds them."""
        with self._lock:
            if self.closed:
                return
            self.closed = True
            watch, self._watch = self._watch, None
            if watch is not None:
                watch.close()
            self._drop_idle()
            host, self._host = self._host, None
            if host is None or self._listener is None:
                return
            # First nobody may ask any more, then it is certain whether a group is left.
            finished = self._listener.close()
            host.close(keep=not (finished and host.endpoint.idle))
            (self.directory / "holder.json").unlink(missing_ok=True)
            self._holder_lock.release()

    # --- the other process ----------------------------------------------------------------

    def _ask(self, message: dict[str, Any], *, repeat: bool) -> Any:
        """The holder's answer; ``None`` if this process has become the holder."""
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else self._connect()
            if connection is None:
                return None
            try:
                connection.send(message, timeout=_ANSWER)
            except TimeoutError as error:
                connection.close()
                raise _late() from error
            except OSError:
                connection.close()
                continue  # nothing was read by anyone: a frame counts when it is whole
            try:
                answer = connection.receive(timeout=_ANSWER)
            except TimeoutError as error:  # stopped, not dead: asking again would last as long
                connection.close()
                raise _late() from error
            except OSError as error:
                connection.close()
                if repeat:
                    continue
                raise _lost(error) from error
            if answer == channel.CLOSING:
                connection.close()
                time.sleep(0.01)  # it needs a moment to be gone
                continue
            with self._lock:
                if self.closed:
                    connection.close()
                else:
                    self._idle.append(connection)
            if "problem" in answer:
                raise _problem(answer["problem"])
            return answer

    def _connect(self) -> channel.Connection | None:
        """A new connection to the holder, or ``None`` if it is this process, perhaps only now."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            if self.closed:
                raise RuntimeError("this local endpoint is closed")
            if self._host is not None:
                return None
            if self._holder_lock.acquire():
                self._become_holder()
                return None
            holder = Store(self.directory / "holder.json").load()
            if holder is not None:
                with contextlib.suppress(OSError):
                    return channel.Connection.open(int(holder["port"]), str(holder["secret"]))
            if time.monotonic() > deadline:
                raise EngineUnavailableError(
                    "another process holds this user's local endpoint and does not answer; "
                    f"its id is in {self.directory / 'holder.json'}"
                )
            time.sleep(0.01)

    def _drop_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def _begin_watch(self) -> None:
        if self._watch is not None or self._host is not None:
            return
        watch = self._connect()
        if watch is None:
            return
        self._watch = watch
        threading.Thread(
            target=self._take_over_after, args=(watch,), name="aciflow-shared", daemon=True
        ).start()

    def _take_over_after(self, watch: channel.Connection) -> None:
        """Wait until the holder is gone; then somebody must see to probes and restarts."""
        with contextlib.suppress(OSError):
            watch.receive()  # it never says anything
        watch.close()
        with self._lock:
            if self._watch is not watch or self.closed:
                return  # nobody here needs the endpoint any more
            self._watch = None
            self._drop_idle()  # they led to the same process
            # No engine: the next request will say so.
            with contextlib.suppress(EngineUnavailableError, OSError):
                self._begin_watch()

    # --- this process ---------------------------------------------------------------------

    def _become_holder(self) -> None:
        from aciflow.local.runtime.engine.runtime import EngineRuntime

        runtime = EngineRuntime(self._identity["endpoint_id"], engine=self._engine, ephemeral=False)
        endpoint = Endpoint(
            subscription_id=self._identity["subscription_id"],
            tenant_id=self._identity["tenant_id"],
            token_check=self.tokens.check,
            new_id=new_id,
            unsupported=ENGINE_LACKS,
        )
        store = Store(self.directory / "state.json")
        saved = store.load()
        try:
            if saved is not None:
                # Of another version: its containers are removed below, since nobody knows them.
                with contextlib.suppress(ValueError):
                    endpoint.load(saved)
            host = Host(endpoint, runtime, store, clock=self._clock)
            if endpoint.idle:
                runtime.recover({})
            secret = secrets.token_hex(32)
            listener = channel.Listener(secret, self._answer)
            holder = {"pid": os.getpid(), "port": listener.port, "secret": secret}
            self._host = host
            self._listener = listener
            write_private(self.directory / "holder.json", json.dumps(holder).encode())
        except BaseException:
            self._host = None
            runtime.close(remove=False)
            self._holder_lock.release()
            raise

    def _answer(self, message: dict[str, Any]) -> dict[str, Any] | channel.Takeover:
        host = self._host
        if host is None:
            return channel.CLOSING
        try:
            if message["op"] == "request":
                reply = host.request(channel.decode_request(message["request"]))
                return channel.encode_reply(reply)
            if message["op"] == "connect":
                terminal = host.connect(message["session"], message["password"])
                if terminal is None:
                    return {"connected": False}
                run = partial(lend, terminal)
                return channel.Takeover({"connected": True}, run, terminal.close)
            return {"groups": len(host.endpoint.recovery())}
        except EngineUnavailableError as error:
            return {"problem": ["engine", error.message]}
        except LookupError as error:
            return {"problem": ["lookup", str(error.args[0] if error.args else error)]}
        except Exception as error:  # the asker's problem, and this thread serves it again
            if isinstance(error, EndpointUnreachableError) and self._host is not host:
                return channel.CLOSING  # a host that is closed has not begun with a request
            return {"problem": ["other", f"{type(error).__name__}: {error}"]}


def _identity(directory: Path) -> dict[str, str]:
    """Who the endpoint is: written once, by whichever process comes first."""
    path = directory / "identity.json"
    fresh = {
        "endpoint_id": secrets.token_hex(16),
        "subscription_id": new_id(),
        "tenant_id": new_id(),
        "key": secrets.token_hex(32),
    }
    if not path.exists():
        draft = directory / f"identity.{os.getpid()}.{threading.get_ident()}"
        write_private(draft, json.dumps(fresh).encode())
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
    found: dict[str, str] = json.loads(path.read_bytes())
    return found


def _lost(error: OSError) -> Exception:
    import httpx

    return httpx.ReadError(f"the process that holds the local endpoint has ended: {error}")


def _late() -> Exception:
    import httpx

    return httpx.ReadTimeout("the process that holds the local endpoint does not answer")


def _problem(problem: list[str]) -> Exception:
    kind, message = problem
    if kind == "lookup":
        return LookupError(message)
    return EngineUnavailableError(message) if kind == "engine" else RuntimeError(message)


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()
    for service in list(_services):
        service.forget()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_after_fork)
