"""Commands and sessions in real containers: in this process, through another one, and over a WebSocket."""

from __future__ import annotations

import asyncio
import logging
import threading

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests import images
from tests.images import Engine, Image
from tests.launch.conftest import Awaited, Run
from tests.launch.helpers import SLEEP, script
from tests.waiting import until

import aciflow

from aciflow import ExecTimeoutError, NoShellError, Ready
from aciflow.local import LocalAzure


pytestmark = pytest.mark.engine

HOLDER = "client = aciflow.Client('local'); print(client._core.target.endpoint._service.holds)"
BARE = "aciflow-test/no-shell:1"


@pytest.fixture(params=["in process", "another process", "websocket"])
def target(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Arguments of a client: the same engine, reached in three ways."""
    with ExitStack() as stack:
        if request.param == "another process":
            holder = stack.enter_context(script(HOLDER + "; time.sleep(600)"))
            assert holder.line() == "True"
            yield {"target": "local"}
        elif request.param == "in process":
            yield {"target": stack.enter_context(LocalAzure("engine"))}
        else:
            azure = stack.enter_context(LocalAzure("engine"))
            served = stack.enter_context(azure.serve())
            monkeypatch.setenv("SSL_CERT_FILE", str(served.ca_file))
            yield {
                "target": served.url,
                "credential": azure.credential(),
                "subscription_id": azure.subscription_id,
                "location": "eastus",
            }


@pytest.fixture(params=["sync", "async"])
def there(request: pytest.FixtureRequest, target: Any, loop: Run) -> Iterator[Any]:
    """A client of either colour, by either way."""
    made = (
        aciflow.Client(**target)
        if request.param == "sync"
        else Awaited(aciflow.AsyncClient(**target), loop)
    )
    with made as client:
        yield client


@pytest.fixture(scope="session")
def bare_image(engine: Engine) -> str:
    """An image without a shell."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(images, "APPLETS", "sleep hostname")
        return Image(name=BARE, command=SLEEP).ensure(engine)


def processes(group: Any, word: str) -> list[str]:
    """Those in its container whose command line has a word; this look's own is not one of them."""
    shown: str = group.exec(["ps"]).output
    return [line for line in shown.splitlines() if word in line]


def test_exec(there: Any, web_image: str, caplog: pytest.LogCaptureFixture) -> None:
    """Output and exit code, whatever the arguments and however much; and in time."""
    caplog.set_level(logging.DEBUG)
    group = there.launch(web_image, command=SLEEP, ready=Ready.exec(["test", "-d", "/tmp"]))
    word = "a b\t$HOME `id` 'q' \"d\" \\n !x\x03\x04\nü"

    hostname = group.exec(["cat", "/etc/hostname"])
    assert (hostname.output.strip(), hostname.exit_code) == (group.name, 0)
    assert group.exec(["printf", "%s", word]).output == word
    failed = group.exec(["sh", "-c", "printf 'a\\r\\nb'; printf c >&2; exit 7"])
    assert (failed.output, failed.exit_code) == ("a\r\nbc", 7)
    # A program of that name, not the shell's own command.
    assert group.exec(["exit", "3"]).exit_code == 127
    large = group.exec(["sh", "-c", "head -c 10000000 /dev/zero | tr '\\0' x; echo end"])
    assert (large.exit_code, large.output) == (0, "x" * 10_000_000 + "end\n")

    with pytest.raises(ExecTimeoutError, match="within 2 s and was ended") as caught:
        group.exec(["sh", "-c", "trap '' INT TERM HUP; echo begun; sleep 4711"], timeout=2)
    assert caught.value.output == "begun\n"
    assert until(lambda: not processes(group, "4711"))
    secrets = [one.getMessage() for one in caplog.records if "TEXT" in one.getMessage()]
    assert secrets == []


def test_attach(there: Any, web_image: str) -> None:
    """What the container writes from then on, as it comes, until one has seen enough."""
    group = there.launch(web_image, command=SLEEP)

    with group.attach() as session:
        group.exec(["sh", "-c", "echo first > /proc/1/fd/1"])
        assert b"first" in session.read()
        group.exec(["sh", "-c", "printf 'ü2\\n' > /proc/1/fd/1"])
        assert "ü2" in next(iter(session))


def test_stopped(there: Any, web_image: str) -> None:
    """In what does not run, nothing can be run; and what is not there is said to be missing."""
    group = there.launch(web_image, command=["/bin/sh", "-c", "trap exit TERM; sleep 600 & wait"])
    with pytest.raises(aciflow.GroupGoneError, match="no container 'other'"):
        group.exec(["true"], container="other")
    group.stop()

    with pytest.raises(aciflow.ContainerNotRunningError, match="does not run"):
        group.exec(["true"])
    with pytest.raises(aciflow.ContainerNotRunningError, match="does not run"):
        group.attach()


def test_no_shell(there: Any, bare_image: str) -> None:
    """One word works, without an exit code; more than one are refused with the way out."""
    group = there.launch(bare_image)

    assert group.exec(["hostname"]) == aciflow.ExecResult(f"{group.name}\n", None)
    with pytest.raises(NoShellError, match=r"exec: .*/bin/sh.*Use an image with a shell"):
        group.exec(["hostname", "-i"])
    with pytest.raises(NoShellError, match="no shell"):
        group.wait(Ready.exec(["hostname"]), timeout=20)


def test_wrong_arguments(any_client: Any, web_image: str) -> None:
    """They are refused before anything is sent."""
    group = any_client.launch(web_image, command=SLEEP)

    for argv in ("ls", [], [""], ["a\0b"], ["echo", "x" * 200_000]):
        with pytest.raises(aciflow.ValidationError, match="argv"):
            group.exec(argv)
    with pytest.raises(aciflow.ValidationError, match="timeout"):
        group.exec(["true"], timeout=0)


def test_ready_from_inside(there: Any, web_image: str) -> None:
    """A port without an address is asked in the container; so is HTTP; a command counts by its exit."""
    serve = "sleep 1; mkdir /tmp/w; echo hi > /tmp/w/x; exec httpd -f -p 8080 -h /tmp/w"
    group = there.launch(
        web_image,
        command=["/bin/sh", "-c", serve],
        ready=Ready.tcp(8080, via="container")
        & Ready.http("/x", 8080, 200, via="container")
        & Ready.exec(["test", "-f", "/tmp/w/x"]),
        timeout=60,
    )

    assert group.ip is None
    group.wait(Ready.http("/none", 8080, 404, via="container"), timeout=30)
    with pytest.raises(aciflow.NotReadyError, match="from inside: nothing answers there"):
        group.wait(Ready.tcp(8081, via="container"), timeout=2)


def test_a_cancelled_command_ends(target: Any, web_image: str) -> None:
    """Ctrl-C and cancellation reach the command, which would go on otherwise."""

    async def main() -> None:
        async with aciflow.AsyncClient(**target) as client:
            group = await client.launch(web_image, command=SLEEP)
            running = asyncio.create_task(group.exec(["sleep", "4712"]))

            async def shown() -> bool:
                return "4712" in (await group.exec(["ps"])).output

            while not await shown():  # noqa: ASYNC110 (a process elsewhere)
                await asyncio.sleep(0.05)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
            while await shown():  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    with asyncio.Runner() as runner:
        runner.run(main())


def test_many_at_once(client: aciflow.Client, web_image: str) -> None:
    """Commands of one handle in several threads do not mix."""
    group = client.launch(web_image, command=SLEEP)
    outputs: dict[int, str] = {}

    def say(number: int) -> None:
        outputs[number] = group.exec(["sh", "-c", f"sleep 0.2; echo {number}"]).output

    threads = [threading.Thread(target=say, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert outputs == {number: f"{number}\n" for number in range(6)}


def test_the_holder_of_a_session_dies(web_image: str) -> None:
    """Whoever reads is told; the process that looked after the container is another one then."""
    with script(HOLDER + "; time.sleep(600)") as holder:
        assert holder.line() == "True"
        with aciflow.Client("local") as client:
            group = client.launch(web_image, command=SLEEP)
            with group.attach() as session:
                holder.popen.kill()
                holder.popen.communicate(timeout=30)
                with pytest.raises(aciflow.EndpointUnreachableError, match="has ended"):
                    session.read(timeout=20)
            assert until(lambda: group.exec(["echo", "again"]).output == "again\n")


def test_the_asker_of_a_session_dies(client: aciflow.Client, web_image: str) -> None:
    """The process that it had started loses its terminal, and ends."""
    group = client.launch(web_image, name="web", resource_group="exec", command=SLEEP)
    asker = (
        "group = aciflow.Client('local').get('web', resource_group='exec'); print('there')\n"
        "group.exec(['sleep', '4713'])"
    )
    with script(asker) as other:
        assert other.line() == "there"
        assert until(lambda: processes(group, "4713"))
        other.popen.kill()
        other.popen.communicate(timeout=30)
        assert until(lambda: not processes(group, "4713"))
