"""az's commands about container groups, resource groups and the account, and what they print."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
import urllib.request

from pathlib import Path

import pytest

from tests.az.conftest import GROUP, create, until
from tests.azure_cli import Az

from aciflow.local import LocalAzure


pytestmark = [pytest.mark.az, pytest.mark.slow]

TYPE = "Microsoft.ContainerInstance/containerGroups"


# --- the account ------------------------------------------------------------------------------


def test_az_is_logged_in_before_it_first_runs(az: Az, endpoint: LocalAzure) -> None:
    """The endpoint's subscription is the account, by its application, in a cloud of its own."""
    shown = az.json("account", "show")

    assert shown["id"] == endpoint.subscription_id
    assert shown["environmentName"] == "AciflowLocal"
    assert shown["user"]["type"] == "servicePrincipal"
    assert [shown["id"]] == [one["id"] for one in az.json("account", "list")]
    # the same in the replies of the endpoint as in the file that was written
    assert [shown["id"]] == [one["id"] for one in az.json("account", "list", "--refresh")]


def test_az_gets_tokens_that_can_be_read_and_used(az: Az, endpoint: LocalAzure) -> None:
    """A JSON Web Token of the tenant, for Resource Manager alone."""
    given = az.json("account", "get-access-token")
    payload = given["accessToken"].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "==="))

    assert claims["tid"] == given["tenant"] == az.json("account", "show")["tenantId"]
    assert abs(claims["exp"] - given["expires_on"]) < 60  # az counts from when the reply came
    said = az.refused("account", "get-access-token", "--resource", "https://graph.microsoft.com")
    assert "AADSTS500011" in said


def test_logging_in_again_works_and_a_wrong_secret_does_not(az: Az, tmp_path: Path) -> None:
    """What somebody does by hand: register the cloud, log in with the secret, see the subscription."""
    by_hand = Az(az.program, {**az.environment, "AZURE_CONFIG_DIR": str(tmp_path / "own")})
    url = az.environment["AZURE_RESOURCE_MANAGER_URL"]
    login = [
        *["login", "--service-principal", "--tenant", az.environment["AZURE_TENANT_ID"]],
        *["--username", az.environment["AZURE_CLIENT_ID"]],
    ]

    assert by_hand("cloud", "register", "-n", "Mine", "--endpoint-resource-manager", url).code == 0
    assert by_hand("cloud", "set", "-n", "Mine").code == 0
    assert "AADSTS7000215" in by_hand.refused(*login, "--password", "wrong")
    found = by_hand.json(*login, "--password", az.environment["AZURE_CLIENT_SECRET"])
    assert [az.environment["AZURE_SUBSCRIPTION_ID"]] == [one["id"] for one in found]


# --- a container group --------------------------------------------------------------------------


def test_show_has_an_address_that_serves(az: Az, group: str) -> None:
    """What show prints can be fetched."""
    shown = az.json("container", "show", "-g", GROUP, "-n", group)

    assert (shown["osType"], shown["provisioningState"]) == ("Linux", "Succeeded")
    assert shown["resourceGroup"] == GROUP
    with urllib.request.urlopen(f"http://{shown['ipAddress']['ip']}/", timeout=20) as reply:
        assert reply.read() == b"hello from a container\n"


def test_list_has_the_group(az: Az, group: str, endpoint: LocalAzure) -> None:
    """In its resource group and in the subscription, as JSON and as a table."""
    identity = (
        f"/subscriptions/{endpoint.subscription_id}/resourceGroups/{GROUP}/providers/{TYPE}/{group}"
    )

    assert identity in [one["id"] for one in az.json("container", "list", "-g", GROUP)]
    assert identity in [one["id"] for one in az.json("container", "list")]
    table = az("container", "list", "-g", GROUP, "-o", "table").out.splitlines()
    (line,) = [line for line in table if line.startswith(group)]
    assert re.split(r"\s{2,}", line)[1:4] == [GROUP, "Succeeded", "library/nginx"]


def test_logs_are_the_container_s_output(
    az: Az, endpoint: LocalAzure, group: str, nginx: str
) -> None:
    """What it wrote, all of it or its end."""
    with endpoint.client(resource_group=GROUP) as client:
        talker = client.launch(
            nginx,
            name="talker",
            location="westus",
            command=["/bin/sh", "-c", "echo one; echo two; sleep 3600"],
            wait=False,
        )
        until(az, talker.name, "Running")

        assert az("container", "logs", "-g", GROUP, "-n", "talker").out == "one\ntwo\n\n"
        attached = az(
            "container", "logs", "-g", GROUP, "-n", "talker", "--container-name", "nobody"
        )
        assert attached.code != 0
        talker.delete()


def test_exec_runs_a_command_in_the_container(az: Az, group: str) -> None:
    """Its output is compared: az exits with 0 even where it could not connect."""
    command = ["container", "exec", "-g", GROUP, "-n", group, "--exec-command"]
    done = az(*command, "cat /www/index.html")

    assert done.code == 0, done
    assert "hello from a container" in done.out


def test_exec_of_a_shell_is_a_terminal(az: Az, group: str) -> None:
    """What is typed reaches it, what it says comes back, and its end ends az."""
    command = ["container", "exec", "-g", GROUP, "-n", group, "--exec-command", "/bin/sh"]
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    process = subprocess.Popen(
        [az.program, *command],
        env=dict(az.environment),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        said = _typed(ours, b"#", b"tty && echo sum $((40 + 2))\n", b"sum 42")
        said += _typed(ours, b"", b"exit\n", None)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    assert b"/dev/" in said


def _typed(terminal: int, prompt: bytes, line: bytes, answer: bytes | None) -> bytes:
    """Wait for a prompt, type a line and wait for the answer, or for the end."""
    said = b""
    end = time.monotonic() + 60

    def until_said(what: bytes | None) -> None:
        nonlocal said
        while what is None or what not in said:
            assert time.monotonic() < end, said
            if select.select([terminal], [], [], 1.0)[0]:
                try:
                    part = os.read(terminal, 4096)
                except OSError:  # Linux's way to say that the other side has ended
                    part = b""
                if not part:
                    assert what is None, said
                    return
                said += part

    until_said(prompt)
    os.write(terminal, line)
    until_said(answer)
    return said


def test_attach_shows_what_a_container_writes(
    az: Az, endpoint: LocalAzure, group: str, nginx: str
) -> None:
    """Its state, its events and its output, until it has ended."""
    with endpoint.client(resource_group=GROUP) as client:
        client.launch(
            nginx,
            name="counter",
            location="westus",
            command=["/bin/sh", "-c", "echo one; sleep 9; echo two"],
            restart_policy="Never",
            wait=False,
        )
        until(az, "counter", "Running")

        done = az("container", "attach", "-g", GROUP, "-n", "counter")

    assert done.code == 0, done
    assert "Container 'nginx' is in state 'Running'..." in done.out
    assert "Started container" in done.out
    after = done.out.partition("Start streaming logs:")[2]
    assert "one\ntwo\n" in after


def test_export_is_a_file_that_create_takes(az: Az, group: str, tmp_path: Path) -> None:
    """The exported group, under another name, is made from the file and serves."""
    file = tmp_path / "group.yaml"
    assert az("container", "export", "-g", GROUP, "-n", group, "-f", str(file)).code == 0
    text = file.read_text()
    assert "image: library/nginx" in text
    file.write_text(text.replace(f"name: {group}", "name: copy"))

    made = az.json("container", "create", "-g", GROUP, "-f", str(file))

    assert made["name"] == "copy"
    assert made["properties"]["provisioningState"] == "Succeeded"
    ip = made["properties"]["ipAddress"]["ip"]
    with urllib.request.urlopen(f"http://{ip}/", timeout=20) as reply:
        assert reply.read() == b"hello from a container\n"
    az.json("container", "delete", "-g", GROUP, "-n", "copy", "--yes")


def test_stop_start_restart_and_delete(az: Az, group: str, nginx: str) -> None:
    """Each leads to the state that it says; a deleted group is not found any more."""
    name = ["-g", GROUP, "-n", "cycle"]
    create(az, "cycle", nginx)

    def view() -> dict[str, object]:
        shown = az.json("container", "show", *name)
        found: dict[str, object] = shown["containers"][0]["instanceView"]
        return found

    first = view()["currentState"]
    assert az("container", "stop", *name).code == 0
    until(az, "cycle", "Stopped")
    assert az("container", "start", *name).code == 0
    until(az, "cycle", "Running")
    second = view()["currentState"]
    assert az("container", "restart", *name).code == 0
    until(az, "cycle", "Running")
    third = view()["currentState"]
    assert len({json.dumps(one) for one in (first, second, third)}) == 3
    assert az.json("container", "delete", *name, "--yes")["name"] == "cycle"
    assert "(ResourceNotFound)" in az.refused("container", "show", *name)


# --- resources ----------------------------------------------------------------------------------


def test_resource_groups(az: Az) -> None:
    """Made, shown, listed, waited for and deleted; tags are kept."""
    az.json("group", "create", "-n", "other", "-l", "eastus", "--tags", "a=b", "c=d")

    assert az.json("group", "show", "-n", "other")["tags"] == {"a": "b", "c": "d"}
    assert "other" in [one["name"] for one in az.json("group", "list")]
    assert az.json("group", "list", "--tag", "a=b") != []
    assert az.json("group", "list", "--tag", "a=x") == []
    assert az.json("group", "update", "-n", "other", "--set", "tags.a=z")["tags"]["a"] == "z"
    assert az.json("group", "exists", "-n", "other") is True
    assert az("group", "wait", "-n", "other", "--created", "--interval", "1").code == 0
    assert az("group", "delete", "-n", "other", "--yes", "--no-wait").code == 0
    assert az("group", "wait", "-n", "other", "--deleted", "--interval", "1").code == 0
    assert az.json("group", "exists", "-n", "other") is False
    assert "(ResourceGroupNotFound)" in az.refused("group", "show", "-n", "other")


def test_resources_and_providers(az: Az, group: str) -> None:
    """A container group is a resource among others, and its provider is registered."""
    listed = az.json("resource", "list", "-g", GROUP)
    shown = az.json("resource", "show", "-g", GROUP, "-n", group, "--resource-type", TYPE)
    provider = az.json("provider", "show", "-n", "Microsoft.ContainerInstance")

    assert (group, TYPE) in [(one["name"], one["type"]) for one in listed]
    assert shown["properties"]["osType"] == "Linux"
    assert provider["registrationState"] == "Registered"
    assert "containerGroups" in [one["resourceType"] for one in provider["resourceTypes"]]
    tagged = az.json("resource", "list", "--resource-type", TYPE)
    assert group in [one["name"] for one in tagged]
