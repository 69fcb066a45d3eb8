"""Ctrl-C and cancellation, wherever they come, end with nothing left."""

from __future__ import annotations

import asyncio
import socket
import threading

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.images import Engine
from tests.launch.conftest import records
from tests.launch.helpers import SLEEP, containers, names, script

import aciflow


pytestmark = pytest.mark.engine

LAUNCH = """
import warnings
warnings.simplefilter("ignore", aciflow.LocalTargetWarning)
aciflow.launch(
    sys.argv[1], name="stopped", public_ip=True, command=["/bin/sleep", "600"],
    on_phase=lambda event: print(event.name, event.status, event.detail))
"""


def test_while_it_waits_for_the_port(web_image: str, engine: Engine, state: Path) -> None:
    """KeyboardInterrupt reaches the caller after the container is gone."""
    with script(LAUNCH, web_image) as child:
        child.lines_until("running")
        child.interrupt()
        _, _, err = child.end()
    assert err.rstrip().endswith("KeyboardInterrupt")
    assert [] == containers(engine, "stopped")
    assert [] == records(state)


@contextmanager
def silent_registry() -> Iterator[tuple[str, threading.Event, threading.Event]]:
    """A registry that takes connections and answers none, until it is told to hang up."""
    asked, hang_up = threading.Event(), threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        taken: list[socket.socket] = []

        def serve() -> None:
            while not hang_up.is_set():
                try:
                    taken.append(server.accept()[0])
                except TimeoutError:
                    continue
                asked.set()
            server.close()
            for one in taken:
                one.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}", asked, hang_up
        finally:
            hang_up.set()
            thread.join()


def test_while_arm_has_not_answered(engine: Engine, state: Path) -> None:
    """In the middle of the PUT its answer is awaited, so that nothing can come up afterwards."""
    with silent_registry() as (address, asked, hang_up), script(LAUNCH, f"{address}/x:1") as child:
        assert asked.wait(20)
        child.interrupt()
        hang_up.set()
        _, _, err = child.end()
    assert "KeyboardInterrupt" in err
    assert [] == containers(engine, "stopped")
    assert [] == records(state)


def test_twice(web_image: str, engine: Engine, state: Path) -> None:
    """A second one in the middle of the clean-up: the end of the interpreter finishes it."""
    with script(LAUNCH, web_image) as child:
        child.lines_until("running")
        child.interrupt()
        child.interrupt()
        _, _, err = child.end()
    assert "KeyboardInterrupt" in err
    assert [] == containers(engine, "stopped")
    assert [] == records(state)


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_while_a_client_closes(colour: str, web_image: str, engine: Engine, state: Path) -> None:
    """What it had not deleted by then is deleted when the interpreter ends."""
    code = {
        "sync": """
client = aciflow.Client("local")
for name in ("one", "two", "three"):
    client.launch(sys.argv[1], name=name)
print("closing")
client.close()
""",
        "async": """
import asyncio
async def main():
    client = aciflow.AsyncClient("local")
    await asyncio.gather(*(client.launch(sys.argv[1], name=n) for n in ("one", "two", "three")))
    print("closing")
    await client.close()
asyncio.run(main())
""",
    }
    with script(code[colour], web_image) as child:
        child.lines_until("closing")
        child.interrupt()
        _, _, err = child.end()
    assert "KeyboardInterrupt" in err
    assert [] == [found for name in ("one", "two", "three") for found in containers(engine, name)]
    assert [] == records(state)


def test_in_the_block(web_image: str, engine: Engine) -> None:
    """The block is left as by any exception."""
    code = f"""
with aciflow.Client("local") as client:
    with client.launch({web_image!r}, name="stopped", public_ip=True) as group:
        print("inside")
        time.sleep(600)
"""
    with script(code) as child:
        child.lines_until("inside")
        child.interrupt()
        _, _, err = child.end()
    assert err.rstrip().endswith("KeyboardInterrupt")
    assert [] == containers(engine, "stopped")


def test_a_cancelled_task(web_image: str, engine: Engine) -> None:
    """The task ends as cancelled, once its container is gone; the client goes on."""

    async def main() -> None:
        async with aciflow.AsyncClient("local") as client:
            running = asyncio.Event()

            def hook(event: Any) -> None:
                if "running" in event.detail:
                    running.set()

            task = asyncio.create_task(
                client.launch(
                    web_image, name="stopped", public_ip=True, command=SLEEP, on_phase=hook
                )
            )
            await asyncio.wait_for(running.wait(), 20)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert [] == containers(engine, "stopped")
            async with await client.launch(web_image, name="stopped") as group:
                assert "Running" == group.state

    asyncio.run(main())


def test_a_timeout_of_the_callers(web_image: str, engine: Engine) -> None:
    """``asyncio.timeout`` around a launch is a TimeoutError with nothing left."""

    async def main() -> None:
        async with aciflow.AsyncClient("local") as client:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1.0):
                    await client.launch(web_image, name="stopped", public_ip=True, command=SLEEP)

    asyncio.run(main())
    assert [] == containers(engine, "stopped")
    with aciflow.Client("local") as client:
        assert set() == names(client)
