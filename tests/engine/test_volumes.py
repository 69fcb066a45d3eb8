"""Volumes: local folders that stand for shares, repositories, and what containers share."""

from __future__ import annotations

import base64
import contextlib
import functools
import http.server
import os
import shutil
import socket
import subprocess
import threading
import time

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hypothesis import given
from hypothesis import strategies as st
from tests.engine.conftest import Rig

from aciflow.local.protocol import Closed, CloseSandbox, Exited, Mount, StartFailed
from aciflow.local.runtime.engine import git
from aciflow.local.runtime.engine.address import EngineAddress
from aciflow.local.state import state_root


PASSWORD = "s3cret%2Fword"

needs_git = pytest.mark.skipif(
    shutil.which("git") is None and os.environ.get("CI") != "true",  # there they fail
    reason="git is not installed",
)


class Repository:
    """
    A repository that is served on loopback, to who knows the password.

    Attributes:
        commits: Its two commits, oldest first; ``file`` says ``one`` and then ``two``.
        lines: Command lines that were there while it was asked, with a NUL after each word.
    """

    def __init__(self, folder: Path) -> None:
        self._work = folder / "work"
        self._work.mkdir()
        self.git("init", "-q", "-b", "main")
        hook = self._work / ".git" / "hooks" / "post-checkout"
        hook.parent.mkdir(exist_ok=True)
        self.commits = []
        for text in ("one", "two"):
            (self._work / "file").write_text(text)
            (self._work / "run").write_text("#!/bin/sh\necho it runs\n")
            (self._work / "run").chmod(0o755)
            (self._work / "deep").mkdir(exist_ok=True)
            (self._work / "deep" / "link").unlink(missing_ok=True)
            (self._work / "deep" / "link").symlink_to("../file")
            self.git("add", "-A")
            self.git("commit", "-q", "-m", text)
            self.commits.append(self.git("rev-parse", "HEAD").strip())
        served = folder / "served"
        self.git("clone", "-q", "--bare", str(self._work), str(served / "thing.git"))
        self.git("-C", str(served / "thing.git"), "update-server-info")
        self.asked: list[str] = []
        self.lines: set[bytes] = set()
        handler = functools.partial(
            _Handler, directory=str(served), asked=self.asked, lines=self.lines
        )
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}
        )
        self._thread.start()

    @property
    def host(self) -> str:
        """Where it is served."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        """With the credentials."""
        return f"http://me:{PASSWORD}@{self.host}/thing.git"

    def git(self, *arguments: str) -> str:
        """Run git in the working tree."""
        who = {
            f"GIT_{role}_{what}": "x@y"
            for role in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")
        }
        return subprocess.run(
            ["git", *arguments],
            cwd=self._work,
            env={"PATH": os.environ["PATH"], "HOME": str(self._work), **who},
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    def close(self) -> None:
        """End the server."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Handler(http.server.SimpleHTTPRequestHandler):
    def __init__(self, *arguments: Any, asked: list[str], lines: set[bytes], **more: Any) -> None:
        self._asked = asked
        self._lines = lines
        super().__init__(*arguments, **more)

    def do_GET(self) -> None:
        self._asked.append(self.path)
        for line in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):  # it has just ended
                self._lines.add(line.read_bytes())
        wanted = base64.b64encode(b"me:s3cret/word").decode()
        if self.headers.get("Authorization") != f"Basic {wanted}":
            self.send_response(401)
            self.send_header("WWW-Authenticate", "Basic realm=x")
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            super().do_GET()

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    """A repository with two commits."""
    made = Repository(tmp_path)
    yield made
    made.close()


def _mount(**more: Any) -> Mount:
    return Mount(**{"volume": "v", "path": "/v", "kind": "git_repo", **more})


def _clones() -> list[Path]:
    """What clones have left."""
    return list(state_root().glob("local/*/clones/*/*"))


# --- folders ------------------------------------------------------------------------------------


@pytest.mark.engine
def test_a_folder_stands_for_a_share(rig: Rig, tmp_path: Path) -> None:
    """What containers write is in the folder, what is in the folder they read; it outlives them."""
    (tmp_path / "before").write_text("from here")
    uid = rig.open(containers=2)
    share = Mount(volume="share", path="/data", kind="azure_file", folder=str(tmp_path))
    fixed = Mount(
        volume="share", path="/data", kind="azure_file", folder=str(tmp_path), read_only=True
    )
    rig.shell(uid, "cat /data/before; echo -n from there > /data/after", "writes", mounts=(share,))
    assert 0 == rig.wait(Exited, uid=uid, container="writes").exit_code
    rig.shell(uid, "cat /data/after; touch /data/no", "reads", mounts=(fixed,))
    assert 0 != rig.wait(Exited, uid=uid, container="reads").exit_code
    assert "from here" == rig.logs(uid, "writes")
    assert "from there" in rig.logs(uid, "reads")
    assert "Read-only file system" in rig.logs(uid, "reads")
    rig.close(uid)
    assert {"before", "after"} == {path.name for path in tmp_path.iterdir()}


@pytest.mark.engine
@pytest.mark.parametrize(
    ("folder", "why"), [("", "azure_files"), ("/no/such/folder", "/no/such/folder")]
)
def test_a_folder_that_is_gone(rig: Rig, folder: str, why: str) -> None:
    """The start fails and names the volume; it works as soon as the folder is back."""
    uid = rig.open()
    mount = Mount(volume="share", path="/data", kind="azure_file", folder=folder)
    rig.begin(uid, mounts=(mount,))
    failed = rig.wait(StartFailed, uid=uid)
    assert "share" == failed.volume
    assert "volume 'share'" in failed.message
    assert why in failed.message


@pytest.mark.engine
def test_a_folder_is_no_use_to_an_engine_elsewhere(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would mount a folder of its own machine, or make one."""
    monkeypatch.setattr(rig.runtime._api, "address", EngineAddress("tcp://192.0.2.1:2375", "test"))
    uid = rig.open()
    mount = Mount(volume="share", path="/data", kind="azure_file", folder=str(tmp_path))
    rig.begin(uid, mounts=(mount,))
    assert "another machine (192.0.2.1)" in rig.wait(StartFailed, uid=uid).message


# --- repositories -------------------------------------------------------------------------------


@needs_git
@pytest.mark.engine
@pytest.mark.parametrize(
    ("directory", "place"), [("", "thing/"), (".", ""), ("some/where", "some/where/")]
)
def test_a_repository_is_cloned_once_for_all(
    rig: Rig, repository: Repository, directory: str, place: str
) -> None:
    """Where the kubelet puts it; it can be run and written to, and has no credentials in it."""
    mount = _mount(repository=repository.url, directory=directory)
    uid = rig.open(containers=2)
    script = f"cd /v/{place}; cat file deep/link; ./run; ls -d .git; cat .git/config"
    script = f"{script}; echo changed > file"
    rig.shell(uid, script, "first", mounts=(mount,))
    rig.wait(Exited, uid=uid, container="first", exit_code=0)
    log = rig.logs(uid, "first")
    assert log.startswith("twotwoit runs\n.git\n")
    assert f"url = http://{repository.host}/thing.git" in log
    assert "s3cret" not in log
    asked = len(repository.asked)
    rig.shell(uid, f"cat /v/{place}file", "second", mounts=(mount,))
    rig.wait(Exited, uid=uid, container="second")
    assert "changed\n" == rig.logs(uid, "second")
    assert asked == len(repository.asked)
    assert [] == _clones()


@needs_git
@pytest.mark.engine
def test_a_revision(rig: Rig, repository: Repository) -> None:
    """The commit that was asked for is checked out, for users that are not root too."""
    uid = rig.open()
    mount = _mount(repository=repository.url, revision=repository.commits[0])
    rig.shell(uid, "cat /v/thing/file && /v/thing/run", mounts=(mount,), run_as_user=1234)
    rig.wait(Exited, uid=uid, exit_code=0)
    assert "oneit runs\n" == rig.logs(uid)


@needs_git
@pytest.mark.engine
@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"revision": "0" * 40}, "0000"),
        ({"revision": "--upload-pack=x"}, "revision"),
        ({"directory": "../out"}, "directory"),
        ({"repository": "file:///etc"}, "must begin with https://"),
        ({"repository": "/etc"}, "must begin with https://"),
        ({"repository": "https://[::1"}, "must begin with https://"),
        ({"repository": "ext::sh -c touch% /tmp/pwned"}, "must begin with https://"),
        ({"repository": "http://me:wrong@{host}/thing.git"}, "http://{host}/thing.git"),
        ({"repository": "http://me:wrong@127.0.0.1:1/thing.git"}, "127.0.0.1"),
    ],
)
def test_a_repository_that_cannot_be_had(
    rig: Rig, repository: Repository, change: dict[str, str], why: str
) -> None:
    """The start fails, says which volume and why, and repeats no password."""
    changed = {name: value.format(host=repository.host) for name, value in change.items()}
    uid = rig.open()
    rig.begin(uid, mounts=(_mount(**{"repository": repository.url, **changed}),))
    failed = rig.wait(StartFailed, uid=uid)
    assert "v" == failed.volume
    assert why.format(host=repository.host) in failed.message
    assert not {"s3cret", "wrong"} & set(failed.message.replace(":", " ").replace("@", " ").split())
    assert "s3cret" not in failed.message
    assert [] == _clones()


@needs_git
@pytest.mark.engine
def test_closing_a_group_ends_its_clone(rig: Rig) -> None:
    """A server that accepts and says nothing holds nothing up, and no git goes on."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"git://127.0.0.1:{silent.getsockname()[1]}/x"
        uid = rig.open()
        rig.begin(uid, mounts=(_mount(repository=url),))
        peer, _ = silent.accept()
        with peer:
            assert peer.recv(100)
            rig.runtime.execute(CloseSandbox(uid=uid))
            rig.wait(Closed, uid=uid)
            peer.settimeout(20)
            while peer.recv(100):  # until its process has ended
                pass
    assert [] == _clones()


@needs_git
@pytest.mark.engine
def test_who_adopts_a_group_does_not_clone_again(
    rigs: Callable[..., Rig], repository: Repository, tmp_path: Path
) -> None:
    """Its volumes are as its containers left them, folders too; a clone left half-way is removed."""
    share = tmp_path / "share"
    share.mkdir()
    mounts = (
        _mount(repository=repository.url),
        Mount(volume="share", path="/share", kind="azure_file", folder=str(share)),
        Mount(volume="keys", path="/keys", kind="secret", files={"key": b"value"}),
        Mount(volume="empty", path="/empty"),
    )
    first = rigs()
    uid = first.open(containers=2)
    script = (
        "echo 1 >> /v/thing/file; echo 2 > /share/file; echo 3 > /keys/key; echo 4 > /empty/file"
    )
    started = first.shell(uid, f"{script}; exec sleep 300", mounts=mounts)
    first.runtime._api.inspect(started.container_id)
    end = time.monotonic() + 20
    while not (share / "file").exists():
        assert time.monotonic() < end
        time.sleep(0.05)
    asked = len(repository.asked)
    first.runtime.close(remove=False)
    assert first.runtime._engine is not None
    left = state_root() / "local" / first.runtime._engine.key / "clones" / first.endpoint_id / "x"
    left.mkdir(parents=True)

    second = rigs(first.endpoint_id)
    running = {"c": {"attempt": 0, "container_id": started.container_id}}
    second.runtime.recover({uid: {"resource_id": "r", "ip": None, "running": running}})
    script = "sleep 0.5; cat /v/thing/file /share/file /keys/key /empty/file"
    second.shell(uid, script, "other", mounts=mounts)
    second.wait(Exited, uid=uid, container="other")
    assert "two1\n2\n3\n4\n" == second.logs(uid, "other")
    assert asked == len(repository.asked)
    assert [] == _clones()


@needs_git
@pytest.mark.engine
def test_a_volume_that_was_filled_in_part_is_filled_anew(
    rigs: Callable[..., Rig], repository: Repository
) -> None:
    """Whoever filled it was killed before a container could have it."""
    first = rigs()
    uid = first.open()
    api = first.runtime._api
    labels = {"aciflow.endpoint": first.endpoint_id, "aciflow.uid": uid}
    api.create_volume(f"aciflow-{uid}-v", labels)
    body = {
        "Image": first.image,
        "Labels": labels,
        "HostConfig": {
            "Mounts": [{"Type": "volume", "Source": f"aciflow-{uid}-v", "Target": "/f"}]
        },
    }
    api.create(f"aciflow-{uid}-fill-{f'aciflow-{uid}-v'[-16:]}", body)
    first.runtime.close(remove=False)
    second = rigs(first.endpoint_id)
    second.runtime.recover({uid: {"resource_id": "r", "ip": None, "running": {}}})
    second.ask(uid)
    second.shell(uid, "cat /v/thing/file", mounts=(_mount(repository=repository.url),))
    second.wait(Exited, uid=uid, exit_code=0)
    assert "two" == second.logs(uid)


@needs_git
def test_nothing_of_this_user_comes_into_a_clone(
    tmp_path: Path, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither hooks nor credentials nor any other setting of theirs."""
    config = tmp_path / "gitconfig"
    marker = tmp_path / "ran"
    config.write_text(
        f'[init]\ntemplateDir = {tmp_path}/t\n[credential]\nhelper = "!touch {marker}; echo"\n'
    )
    hook = tmp_path / "t" / "hooks" / "post-checkout"
    hook.parent.mkdir(parents=True)
    hook.write_text(f"#!/bin/sh\ntouch {marker}\n")
    hook.chmod(0o755)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    target = tmp_path / "work" / "volume"
    target.mkdir(parents=True)
    git.clone(git.Wanted(repository=repository.url, directory="."), target, lambda: False)
    assert "two" == (target / "file").read_text()
    other = git.Wanted(repository=f"http://{repository.host}/thing.git", directory="more")
    with pytest.raises(git.GitError):
        git.clone(other, target, lambda: False)
    assert not marker.exists()


@needs_git
def test_no_command_line_has_the_credentials(tmp_path: Path, repository: Repository) -> None:
    """Nor has one of git's own helpers: all users of a machine can read them."""
    target = tmp_path / "clones" / "volume"
    target.mkdir(parents=True)
    git.clone(git.Wanted(repository=repository.url, directory="."), target, lambda: False)
    assert any(b"git-remote-http" in line for line in repository.lines)
    assert not any(
        word in line for line in repository.lines for word in (PASSWORD.encode(), b"s3cret/word")
    )


@pytest.mark.parametrize(
    "url", ["https://me\n:x@host/y", "https://me%0Ahost=evil:x@host/y", "https://me:x%00@host/y"]
)
def test_a_url_that_would_say_more_than_credentials_is_not_tried(tmp_path: Path, url: str) -> None:
    """Git would take a second line as another answer to it."""
    with pytest.raises(git.GitError, match="control characters"):
        git.clone(git.Wanted(repository=url), tmp_path, lambda: False)


def test_a_machine_without_git_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """And what to do."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        git.GitError, match="no git, which the local engine clones with: install it"
    ):
        git.clone(git.Wanted(repository="https://x/y"), tmp_path, lambda: False)


_WORD = st.text("abcXYZ019-_.~%", min_size=3, max_size=12)


@given(user=_WORD, password=_WORD, text=st.text(max_size=20))
def test_credentials_are_taken_out_of_any_text(user: str, password: str, text: str) -> None:
    """As they stand in the URL, wherever git repeats them."""
    url = f"https://{user}:{password}@host.example/x"
    assert password not in git.redacted(f"{text} {url} {password}", url)
    assert "host.example/x" in git.redacted(url, url)
    plain = "https://host.example/x"
    assert text == git.redacted(text, plain)
