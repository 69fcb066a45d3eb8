"""How long a container group lives, in real processes that end in every way."""

from __future__ import annotations

import json
import time
import warnings

from pathlib import Path

import pytest

from tests.images import Engine
from tests.launch.conftest import records
from tests.launch.helpers import containers, fetch, names, run_script, script
from tests.waiting import until

import aciflow


pytestmark = pytest.mark.engine

ENDINGS = {"end": "", "exit": "sys.exit(3)", "exception": "raise ValueError('the script broke')"}
CODES = {"end": 0, "exit": 3, "exception": 1}

LAUNCH = """
client = aciflow.Client("local")
group = client.launch({image!r}, name="lives", public_ip=True, lifetime={lifetime!r})
print(group.url(), group.resource_group)
"""


def keeping(state: Path) -> int | None:
    """Id of the process that holds the endpoint, if it is alive."""
    pids = [
        int(json.loads(holder.read_bytes())["pid"])
        for holder in (state / "local").glob("*/shared/holder.json")
    ]
    return next((pid for pid in pids if Path(f"/proc/{pid}").exists()), None)


@pytest.mark.parametrize("ending", ENDINGS)
def test_process(ending: str, web_image: str, engine: Engine, state: Path) -> None:
    """Without a ``with`` it is deleted when the interpreter ends, however it does."""
    code = LAUNCH.format(image=web_image, lifetime="process") + ENDINGS[ending]
    status, out, err = run_script(code)
    assert CODES[ending] == status, err
    assert out.startswith("http://")
    assert ("the script broke" in err) == (ending == "exception")
    assert "aciflow:" not in err
    assert [] == containers(engine, "lives")
    assert [] == records(state)


@pytest.mark.parametrize("ending", ENDINGS)
def test_scope(ending: str, web_image: str, engine: Engine) -> None:
    """It is deleted when its block is left, also by an exception."""
    code = f"""
with aciflow.Client("local") as client:
    with client.launch({web_image!r}, name="lives", lifetime="scope") as group:
        print(group.state)
        {ENDINGS[ending] or "pass"}
"""
    status, out, err = run_script(code)
    assert (CODES[ending], "Running\n") == (status, out), err
    assert [] == containers(engine, "lives")


@pytest.mark.parametrize("ending", ENDINGS)
def test_detached(ending: str, web_image: str, engine: Engine, state: Path) -> None:
    """It outlives its process, is kept by one in the background, and is picked up and deleted."""
    code = LAUNCH.format(image=web_image, lifetime="detached") + ENDINGS[ending]
    status, out, err = run_script(code)
    assert CODES[ending] == status, err
    assert "aciflow:" not in err
    url, resource_group = out.split()
    assert "hello from a container\n" == fetch(url)
    assert [] == [text for text in records(state) if '"name"' in text]
    keeper = until(lambda: keeping(state))

    with aciflow.Client("local") as client:
        group = client.get("lives", resource_group=resource_group)
        assert group.url() == url
        group.delete()
        assert set() == names(client)
    assert [] == containers(engine, "lives")
    until(lambda: not Path(f"/proc/{keeper}").exists())


def test_detached_on_a_loop(web_image: str, engine: Engine) -> None:
    """The same from asyncio, with the module's function."""
    code = f"""
import asyncio, warnings
warnings.simplefilter("ignore")
async def main():
    async with await aciflow.aio.launch({web_image!r}, name="lives", lifetime="detached") as group:
        print(group.resource_group)
asyncio.run(main())
"""
    status, out, err = run_script(code)
    assert (0, "") == (status, err)
    with aciflow.Client("local") as client:
        client.get("lives", resource_group=out.strip()).delete()
    assert [] == containers(engine, "lives")


def test_an_async_client_that_nobody_closed(web_image: str, engine: Engine) -> None:
    """Its loop has ended by then; the interpreter's end deletes all the same."""
    code = f"""
import asyncio
async def main():
    client = aciflow.AsyncClient("local")
    group = await client.launch({web_image!r}, name="lives")
    print(group.state)
asyncio.run(main())
"""
    status, out, err = run_script(code)
    assert (0, "Running\n", "") == (status, out, err)
    assert [] == containers(engine, "lives")


def test_nobody_waits_and_another_process_picks_it_up(web_image: str, engine: Engine) -> None:
    """``wait=False``: while the first process lives, another one finds the group and waits for it."""
    code = f"""
with aciflow.Client("local") as client:
    group = client.launch({web_image!r}, name="lives", public_ip=True, wait=False)
    print(group.resource_group)
    sys.stdout.flush()
    time.sleep(3)
"""
    with script(code) as first:
        resource_group = first.line()
        with aciflow.Client("local") as client:
            group = client.get("lives", resource_group=resource_group)
            group.wait(aciflow.Ready.http("/"), timeout=30)
            assert "hello from a container\n" == fetch(group.url())
        status, _, err = first.end()
    assert (0, "") == (status, err)
    assert [] == containers(engine, "lives")


def test_nobody_waits_and_the_process_is_gone(web_image: str, engine: Engine) -> None:
    """``wait=False`` and detached: the process ends at once, and the container still comes up."""
    code = f"""
client = aciflow.Client("local")
group = client.launch(
    {web_image!r}, name="lives", public_ip=True, wait=False, lifetime="detached")
print(group.resource_group)
"""
    status, out, err = run_script(code)
    assert (0, "") == (status, err)
    with aciflow.Client("local") as client:
        group = client.get("lives", resource_group=out.strip())
        group.wait(aciflow.Ready.tcp(), timeout=30)
        assert "hello from a container\n" == fetch(group.url())
        group.delete()
    assert [] == containers(engine, "lives")


def test_a_killed_process_leaves_a_record(web_image: str, engine: Engine, state: Path) -> None:
    """SIGKILL: the ledger names what is left and how to remove it, and that can be done."""
    code = LAUNCH.format(image=web_image, lifetime="process") + "time.sleep(600)"
    with script(code) as first:
        _, resource_group = first.line().split()
        first.popen.kill()
        first.end()
    [record] = [json.loads(text) for text in records(state) if '"name"' in text]
    assert ("accepted", "lives") == (record["stage"], record["name"])
    assert f"aciflow delete lives --resource-group {resource_group}" == record["remove_with"]
    with aciflow.Client("local") as client:
        client.get("lives", resource_group=resource_group).delete()
    assert [] == containers(engine, "lives")


def test_a_fork_deletes_nothing(web_image: str, engine: Engine) -> None:
    """A child that leaves the block, and ends as scripts do, leaves its parent's group alone."""
    code = f"""
with aciflow.Client("local") as client:
    with client.launch({web_image!r}, name="lives", public_ip=True) as group:
        child = os.fork()
        if child:
            assert os.waitpid(child, 0)[1] == 0
            print(group.refresh().state)
        else:
            assert client.get("lives", resource_group=group.resource_group).state == "Running"
            with client.launch({web_image!r}, name="childs") as own:
                assert own.resource_group != group.resource_group
            sys.exit(0)
"""
    with warnings.catch_warnings():
        status, out, err = run_script(code)
    assert (0, "Running\n", "") == (status, out, err)
    assert [] == containers(engine, "lives") + containers(engine, "childs")


def test_many_are_deleted_together(web_image: str, engine: Engine) -> None:
    """Closing a client deletes its groups at once, not one after the other."""
    with aciflow.Client("local") as client:
        groups = [client.launch(web_image) for _ in range(4)]
        began = time.monotonic()
        groups[0].delete()
        one = time.monotonic() - began
        began = time.monotonic()
    assert time.monotonic() - began < 3 * one + 1
    for group in groups:
        assert [] == containers(engine, group.name)


def test_what_a_fork_launches(web_image: str, engine: Engine) -> None:
    """A child that launches by a client of its parent's deletes that at its end, and no more."""
    code = f"""
with aciflow.Client("local") as client:
    with client.launch({web_image!r}, name="lives") as group:
        child = os.fork()
        if child:
            assert os.waitpid(child, 0)[1] == 0
            print([one.name for one in client.list()])
            client.get("lives", resource_group=group.resource_group)
        else:
            client.launch({web_image!r}, name="childs")
            from aciflow import lifetimes
            lifetimes._close_all()
            os._exit(0)
"""
    status, out, err = run_script(code)
    assert (0, "") == (status, err)
    assert "childs" not in out
    assert [] == containers(engine, "lives") + containers(engine, "childs")
