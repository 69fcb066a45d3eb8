from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import time
import weakref

from pathlib import Path

import pytest

from aciflow.drivers.workers import Workers


ROOT = Path(__file__).parents[2]


def _names(prefix: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == prefix]


def _wait(done: threading.Event) -> None:
    assert done.wait(5.0)


def test_work_runs_in_daemon_threads_that_are_used_again() -> None:
    """One thread is enough for one thing at a time."""
    workers = Workers(4, "again")
    for _ in range(20):
        done = threading.Event()
        workers.submit(done.set)
        _wait(done)
        time.sleep(0.002)  # until it is idle again
    (thread,) = _names("again")
    assert thread.daemon
    workers.close()
    thread.join(5.0)
    assert not thread.is_alive()


def test_no_more_threads_than_allowed_and_all_work_is_done() -> None:
    """The rest waits."""
    workers = Workers(3, "few")
    running, most, lock = 0, 0, threading.Lock()
    done = [threading.Event() for _ in range(12)]

    def work(event: threading.Event) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.01)
        with lock:
            running -= 1
        event.set()

    for event in done:
        workers.submit(lambda event=event: work(event))  # type: ignore[misc]
    for event in done:
        _wait(event)
    assert 3 == most
    workers.close()


def test_a_closed_pool_runs_work_in_the_callers_thread() -> None:
    """Also while a thread of it still has something to do."""
    workers = Workers(2, "closed")
    busy, release = threading.Event(), threading.Event()

    def work() -> None:
        busy.set()
        release.wait(5.0)

    workers.submit(work)
    _wait(busy)
    workers.close()
    release.set()
    for thread in _names("closed"):
        thread.join(5.0)
    ran: list[int] = []
    workers.submit(lambda: ran.append(threading.get_ident()))
    assert [threading.get_ident()] == ran


def test_what_was_given_before_the_end_is_done() -> None:
    """Closing drops nothing."""
    workers = Workers(1, "rest")
    done = threading.Event()
    workers.submit(lambda: time.sleep(0.02))
    workers.submit(done.set)
    workers.close()
    assert done.wait(10.0)


def test_where_no_thread_can_be_had_the_caller_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some interpreters refuse threads once they are ending."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    ran: list[int] = []
    Workers(2, "none").submit(lambda: ran.append(threading.get_ident()))
    assert [threading.get_ident()] == ran


def test_where_no_second_thread_can_be_had_the_first_does_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Work waits for it, and nobody is blocked meanwhile."""
    workers = Workers(2, "one")
    busy, release, done = threading.Event(), threading.Event(), threading.Event()

    def first() -> None:
        busy.set()
        release.wait(5.0)

    workers.submit(first)
    _wait(busy)

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        workers.submit(done.set)
    assert not done.is_set()
    release.set()
    _wait(done)
    workers.close()


def test_all_that_waits_is_done_where_no_thread_can_be_had(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Others may have counted on the thread that could not be started."""
    workers, ran = Workers(1, "drained"), list[int]()

    def refuse(_: threading.Thread) -> None:
        workers.submit(lambda: ran.append(2))
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    workers.submit(lambda: ran.append(1))
    assert [1, 2] == ran


def test_what_was_given_to_a_thread_that_never_came_is_done_on_closing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The pool may be closed while a thread is being started."""
    workers, ran = Workers(2, "late"), list[int]()

    def refuse(_: threading.Thread) -> None:
        workers.close()
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    workers.submit(lambda: ran.append(1))
    assert [1] == ran


@pytest.mark.parametrize("error", [ValueError, SystemExit])
def test_work_that_raises_does_not_cost_a_thread(
    error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged, and the next work is done, by the same thread."""

    def fail() -> None:
        raise error("as told")

    workers, done = Workers(1, "raises"), threading.Event()
    workers.submit(fail)
    time.sleep(0.02)  # until it counts as idle
    workers.submit(done.set)
    _wait(done)
    workers.close()
    assert ["work of raises failed"] == [record.message for record in caplog.records]
    assert "as told" in caplog.text


def test_work_that_raises_in_the_callers_thread_is_logged_too(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Where it runs makes no difference to who gave it."""
    workers = Workers(1, "closed-raises")
    workers.close()
    workers.submit(lambda: int("no number"))
    assert "ValueError" in caplog.text


def test_an_idle_thread_keeps_nothing_alive() -> None:
    """A result may be large."""

    class Large:
        def __call__(self) -> None:
            done.set()

    workers, done = Workers(1, "idle"), threading.Event()
    large = Large()
    gone = weakref.ref(large)
    workers.submit(large)
    del large
    _wait(done)
    until = time.monotonic() + 5.0
    while gone() is not None and time.monotonic() < until:
        gc.collect()
        time.sleep(0.005)
    assert gone() is None
    workers.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_fork_has_threads_of_its_own() -> None:
    """Its parent's are not there, and a lock that was held would never be released."""
    code = """
import os, threading
from aciflow.drivers.workers import Workers
workers = Workers(2, "forked")
first = threading.Event(); workers.submit(first.set); first.wait(5)
with workers._lock:
    child = os.fork()
    if child == 0:
        done = threading.Event()
        workers.submit(done.set)
        os._exit(0 if done.wait(5) else 1)
_, status = os.waitpid(child, 0)
child = os.fork()
if child == 0:
    workers.close()
    os._exit(0)
print(os.waitstatus_to_exitcode(status), os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    # Python 3.12 warns of forking with threads, which is what this is about.
    assert "0 0" == _python(code, "-W", "ignore::DeprecationWarning")


def test_work_is_done_while_the_interpreter_ends() -> None:
    """What a process launched is deleted then."""
    code = """
import atexit, threading
from aciflow.drivers.workers import Workers
workers = Workers(2, "exit")
def last():
    done = threading.Event()
    workers.submit(done.set)
    print(done.wait(5))
atexit.register(last)
"""
    assert "True" == _python(code)
    warmed = code + "first = threading.Event(); workers.submit(first.set); first.wait(5)\n"
    assert "True" == _python(warmed)


def _python(code: str, *options: str) -> str:
    done = subprocess.run(
        [sys.executable, *options, "-c", code],
        capture_output=True,
        text=True,
        timeout=30,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )
    assert 0 == done.returncode, done.stderr
    return done.stdout.strip()
