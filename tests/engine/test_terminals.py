"""Terminals of real processes in real containers, and what containers write for those who attach."""

from __future__ import annotations

import threading
import time

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.engine.conftest import Rig

from aciflow.errors import EngineUnavailableError
from aciflow.local.protocol import CloseSandbox, Exited, OpenTerminal
from aciflow.local.runtime.base import Terminal


pytestmark = pytest.mark.engine

Rigs = Callable[..., Rig]


def _open(rig: Rig, uid: str, command: str = "/bin/sh", **more: Any) -> Terminal:
    wanted: dict[str, Any] = {"uid": uid, "container": "c", "kind": "exec", "command": command}
    return rig.runtime.terminal(OpenTerminal(**{**wanted, **more}))


class Reader:
    """Reads a terminal in a thread of its own, for tests that wait for what it shows."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self.text = b""
        self.ended = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while data := self.terminal.read():
            with self._changed:
                self.text += data
                self._changed.notify_all()
        with self._changed:
            self.ended = True
            self._changed.notify_all()

    def until(self, condition: Callable[[bytes], bool], timeout: float = 20.0) -> bytes:
        """What was shown once it is as wanted."""
        with self._changed:
            if not self._changed.wait_for(lambda: condition(self.text), timeout):
                pytest.fail(f"shown: {self.text!r}")
            return self.text

    def end(self, timeout: float = 20.0) -> bytes:
        """All of it, once it has ended."""
        with self._changed:
            if not self._changed.wait_for(lambda: self.ended, timeout):
                pytest.fail(f"it has not ended; shown: {self.text!r}")
        self._thread.join()
        return self.text


def _processes(rig: Rig, uid: str, name: str) -> list[str]:
    """The command lines in a container that contain ``name``."""
    member = rig.runtime._roster.member(uid, "c")
    assert member is not None
    top = rig.runtime._api.request("GET", f"/containers/{member[1].id}/top").json()
    return [row[-1] for row in top["Processes"] if name in row[-1]]


def _wait(condition: Callable[[], bool], what: str, timeout: float = 20.0) -> None:
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            pytest.fail(what)
        time.sleep(0.05)


def _appears(rig: Rig, uid: str, name: str) -> None:
    _wait(lambda: bool(_processes(rig, uid, name)), f"no process {name}")


def _vanishes(rig: Rig, uid: str, name: str) -> None:
    _wait(lambda: not _processes(rig, uid, name), f"process {name} goes on")


@pytest.fixture
def uid(rig: Rig) -> str:
    """A group whose container only sleeps."""
    made = rig.open()
    rig.shell(made, "exec sleep 300")
    return made


def test_a_shell_answers_what_is_typed(rig: Rig, uid: str) -> None:
    """It is a terminal: it echoes, has the size that was asked for, and ends with its process."""
    terminal = _open(rig, uid, rows=31, columns=97)
    shell = Reader(terminal)
    terminal.write(b"tty; busybox stty size\n")
    shell.until(lambda text: b"/dev/pts/" in text and b"31 97\r\n" in text)
    terminal.resize(40, 120)
    terminal.write(b"busybox stty size\n")
    shell.until(lambda text: b"40 120\r\n" in text)
    terminal.write(b"exit\n")
    assert b"exit" in shell.end()
    terminal.write(b"after the end")
    terminal.resize(10, 10)
    terminal.close()
    terminal.close()


def test_each_group_of_words_is_an_argument_and_nothing_is_quoted(rig: Rig, uid: str) -> None:
    """As Microsoft's own example has it; a quote is a character like any other."""
    assert b"hello 'a b'\r\n" == Reader(_open(rig, uid, "echo  hello 'a b'")).end()


def test_a_command_that_is_not_there_is_said_in_the_terminal(rig: Rig, uid: str) -> None:
    """And then it ends, as with any other command; so it does for none at all."""
    assert b"no-such-program" in Reader(_open(rig, uid, "no-such-program")).end()
    assert Reader(_open(rig, uid, " ")).end()


def test_every_byte_goes_through_both_ways(rig: Rig, uid: str) -> None:
    """To a program that takes the keyboard for itself, also what an engine takes for its own keys."""
    terminal = _open(rig, uid)
    reader = Reader(terminal)
    terminal.write(b"busybox stty raw -echo; printf rea''dy; exec cat\n")
    start = reader.until(lambda text: b"ready" in text).index(b"ready") + 5
    data = b"\x10\x11" + bytes(range(256)) * 40 + b"\x1e\x00\x1e\x10"
    terminal.write(b"")
    for at in range(0, len(data), 1000):
        terminal.write(data[at : at + 1000])
    assert data == reader.until(lambda text: len(text) >= start + len(data))[start:]
    terminal.close()
    reader.end()


def test_closing_a_terminal_ends_its_process(rig: Rig, uid: str) -> None:
    """Also one that is deaf to that, and a shell's job; a reader that waits is woken."""
    Reader(shell := _open(rig, uid)).until(bool)
    shell.write(b"echo \"trap '' HUP; exec sleep 2222\" > /tmp/deaf\n")
    commands = ("sleep 1111", "/bin/sh /tmp/deaf", "/bin/sh")
    terminals = [_open(rig, uid, command) for command in commands]
    terminals[2].write(b"sleep 3333\n")
    readers = [Reader(terminal) for terminal in terminals]
    for name in ("1111", "2222", "sleep 3333"):
        _appears(rig, uid, name)
    for terminal in (*terminals, shell):
        terminal.close()
    for reader in readers:
        reader.end()
    for name in ("1111", "2222", "3333"):
        _vanishes(rig, uid, name)
    assert _processes(rig, uid, "sleep 300")
    _wait(lambda: not _helpers(rig, uid), "a helper is left")


def _helpers(rig: Rig, uid: str) -> list[str]:
    found = rig.runtime._api.containers(f"aciflow.uid={uid}")
    return [one["Command"] for one in found if "signal" in one["Command"]]


def test_several_terminals_at_once_are_apart(rig: Rig, uid: str) -> None:
    """Each has its own process, and its own input."""
    shells = [_open(rig, uid, "cat") for _ in range(4)]
    readers = [Reader(shell) for shell in shells]
    for number, shell in enumerate(shells):
        shell.write(f"number {number}\n".encode())
    for number, reader in enumerate(readers):
        twice = f"number {number}\r\n".encode() * 2
        assert twice == reader.until(lambda text: len(text) >= 20)
    for shell in shells:
        shell.write(b"\x04")
    for reader in readers:
        reader.end()


def test_what_does_not_run_has_no_terminal(rig: Rig) -> None:
    """In words, and without opening anything: a container that ended, or never was."""
    uid = rig.open()
    rig.shell(uid, "exit 0")
    rig.wait(Exited, uid=uid)
    for container in ("c", "other"):
        for kind in ("exec", "attach"):
            with pytest.raises(LookupError, match=f"'{container}' is not running"):
                _open(rig, uid, container=container, kind=kind)


def test_attach_shows_what_comes_from_now_on(rig: Rig) -> None:
    """Both streams as they were written, nothing of what was before, and an end with the container."""
    uid = rig.open()
    rig.shell(
        uid,
        "echo before; until [ -e /tmp/go ]; do sleep 0.05; done; echo öut; sleep 0.2; "
        "echo err >&2; until [ -e /tmp/end ]; do sleep 0.05; done; printf last",
    )
    rig.log_of(uid, "c", lambda text: "before" in text)
    attached = _open(rig, uid, kind="attach")
    reader = Reader(attached)
    attached.write(b"nobody reads this")
    attached.resize(1, 1)
    Reader(_open(rig, uid, "touch /tmp/go")).end()
    assert "öut\nerr\n".encode() == reader.until(lambda text: b"err\n" in text)
    other = Reader(closed := _open(rig, uid, kind="attach"))
    closed.close()
    assert b"" == other.end()
    Reader(_open(rig, uid, "touch /tmp/end")).end()
    assert "öut\nerr\nlast".encode() == reader.end()
    attached.close()


def test_a_group_that_is_closed_ends_its_terminals(rig: Rig, uid: str) -> None:
    """They hold nothing up."""
    readers = [Reader(_open(rig, uid)), Reader(_open(rig, uid, kind="attach"))]
    readers[0].until(bool)
    rig.close(uid)
    for reader in readers:
        reader.end()
    with pytest.raises(LookupError):
        _open(rig, uid)


def test_an_endpoint_that_ends_leaves_no_process_in_what_it_keeps(rigs: Rigs) -> None:
    """Its terminals are hung up; the container goes on."""
    rig = rigs()
    uid = rig.open()
    rig.shell(uid, "exec sleep 300")
    reader = Reader(_open(rig, uid, "sleep 3333"))
    _appears(rig, uid, "3333")
    rig.runtime.close(remove=False)
    reader.end()
    with pytest.raises(EngineUnavailableError):
        _open(rig, uid)
    other = rigs(rig.endpoint_id)
    other.runtime.recover({uid: {"resource_id": "r", "ip": None, "running": {}}})
    assert not _processes(other, uid, "3333")
    assert _processes(other, uid, "300")


def test_who_adopts_a_container_ends_what_a_killed_process_left_in_it(rigs: Rigs) -> None:
    """But not what somebody else runs there."""
    first = rigs()
    uid = first.open()
    started = first.shell(uid, "exec sleep 300")
    reader = Reader(_open(first, uid, "sleep 4444"))
    _appears(first, uid, "4444")
    api = first.runtime._api
    theirs = api.create_exec(started.container_id, {"Cmd": ["sleep", "30"]})
    api.request("POST", f"/exec/{theirs}/start", body={"Detach": True})
    first.runtime._terminals._open.clear()  # as if killed: nobody hangs up
    first.runtime.close(remove=False)
    second = rigs(first.endpoint_id)
    running = {"c": {"attempt": 0, "container_id": started.container_id}}
    second.runtime.recover({uid: {"resource_id": "r", "ip": None, "running": running}})
    _vanishes(second, uid, "4444")
    reader.end()
    assert ["sleep 30"] == [
        line for line in _processes(second, uid, "sleep 30") if line[-3:] != "300"
    ]


def test_terminals_leave_no_descriptors_open(rig: Rig, uid: str) -> None:
    """Neither those that end by themselves, nor those that are closed, nor those nobody reads."""

    def open_and_end() -> None:
        Reader(_open(rig, uid, "true")).end()
        _open(rig, uid, "true").close()
        _open(rig, uid, kind="attach").close()

    open_and_end()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        open_and_end()
    _wait(
        lambda: len(list(Path("/proc/self/fd").iterdir())) <= before + 4,
        "descriptors are left open",
    )


def test_closing_while_a_group_closes(rig: Rig, uid: str) -> None:
    """Neither waits for the other for ever."""
    terminal = _open(rig, uid, "sleep 5555")
    rig.runtime.execute(CloseSandbox(uid=uid))
    terminal.close()
    assert b"" == terminal.read()
