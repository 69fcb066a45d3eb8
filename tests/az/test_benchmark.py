"""The scripts of the 2017 benchmark, as anyone would run them: ``aciflow local -- bash script``."""

from __future__ import annotations

import json
import subprocess
import sys

from pathlib import Path

import pytest

from tests.images import Engine, left_by


pytestmark = [pytest.mark.az, pytest.mark.slow, pytest.mark.timeout(300)]

# az's own wait makes the create take 31 s; `set -e` is not wanted: two commands must fail.
SCRIPT = r"""
set -u
say() { "$@" > "$OUT/$STEP.out" 2> "$OUT/$STEP.err"; echo $? > "$OUT/$STEP.code"; }
create="az container create -g test-aci --name nginx-aci --image library/nginx --ip-address public"

STEP=group   say az group create --name test-aci --location westus
STEP=bare    say $create
STEP=linux   say $create --os-type Linux
STEP=sized   say $create --os-type Linux --cpu 1 --memory 1.5
STEP=show    say az container show -g test-aci --name nginx-aci
ip=$(az container show -g test-aci --name nginx-aci --query ipAddress.ip -o tsv)
STEP=curl    say curl --silent --show-error --fail --max-time 20 "http://$ip/"
STEP=delete  say az container delete -g test-aci --name nginx-aci --yes
STEP=list    say az container list -g test-aci
STEP=group-delete say az group delete --name test-aci --yes
STEP=exists  say az group exists --name test-aci
exit 42
"""


def test_the_2017_benchmark_s_scripts_run(
    engine: Engine, nginx: str, plain: dict[str, str], home: Path, tmp_path: Path
) -> None:
    """As on Azure: refused without an OS type, then without resources, and then it serves."""
    script = tmp_path / "benchmark.sh"
    script.write_text(SCRIPT)

    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "aciflow", "local", "--", "bash", str(script)],
        env={**plain, "OUT": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=280,
    )

    def code(step: str) -> int:
        return int((tmp_path / f"{step}.code").read_text())

    def out(step: str) -> str:
        said = (tmp_path / f"{step}.err").read_text()
        assert code(step) == 0, f"{step}: {said}"
        return (tmp_path / f"{step}.out").read_text()

    assert done.returncode == 42, done  # the script's own
    assert json.loads(out("group"))["properties"]["provisioningState"] == "Succeeded"
    for step, refusal in {"bare": "InvalidOsType", "linux": "ResourceRequestsNotSpecified"}.items():
        assert code(step) == 1
        assert f"Code: {refusal}\n" in (tmp_path / f"{step}.err").read_text()
    assert (
        "The 'osType' for container group '<null>' is invalid. The value must be one of "
        "'Windows,Linux'." in (tmp_path / "bare.err").read_text()
    )
    made = json.loads(out("sized"))
    assert made["provisioningState"] == "Succeeded"
    assert made["containers"][0]["instanceView"]["currentState"]["state"] == "Running"
    assert json.loads(out("show"))["ipAddress"]["ip"] == made["ipAddress"]["ip"]
    assert out("curl") == "hello from a container\n"
    assert json.loads(out("delete"))["name"] == "nginx-aci"
    assert json.loads(out("list")) == []
    assert out("group-delete") == ""
    assert json.loads(out("exists")) is False
    assert not (home / ".azure").exists()
    assert set(left_by(engine, Path(plain["ACIFLOW_STATE_DIR"]))) == set()
