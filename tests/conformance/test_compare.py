"""The comparison notices what it is for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hypothesis import given
from hypothesis import strategies as st
from tests.conformance.compare import Comparison, Difference
from tests.conformance.differences import Class, explain, load
from tests.conformance.recordings import Interaction


GUID = "11111111-2222-4333-8444-555555555555"
OTHER = "aaaaaaaa-2222-4333-8444-555555555555"


def _differences(recorded: Any, ours: Any, sent: frozenset[str] = frozenset()) -> list[Any]:
    return [(path, what) for path, what, _, _ in Comparison(sent).bodies(recorded, ours)]


@pytest.mark.parametrize(
    ("recorded", "ours", "found"),
    [
        ({"a": 1}, {}, [("a", "missing")]),
        ({}, {"a": 1}, [("a", "extra")]),
        ({"a": []}, {}, [("a", "missing")]),
        ({"cpu": 1.0}, {"cpu": 1}, [("cpu", "type")]),
        ({"a": None}, {"a": ""}, [("a", "type")]),
        ({"state": "Succeeded"}, {"state": "succeeded"}, [("state", "value")]),
        ({"Name": 1}, {"name": 1}, [("Name", "missing"), ("name", "extra")]),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, [("", "order")]),
        ({"a": [{"b": 1}]}, {"a": [{"b": 2}]}, [("a[].b", "value")]),
        ({"a": [1, 2]}, {"a": [1]}, [("a[]", "value")]),
        ({"events": [{"name": "Pulled"}]}, {"events": []}, [("events[Pulled]", "missing")]),
        (
            {"at": "2023-05-05T00:15:56Z"},
            {"at": "2023-05-05T00:15:56.1Z"},
            [("at", "value")],
        ),
    ],
)
def test_differences_are_found(recorded: Any, ours: Any, found: list[tuple[str, str]]) -> None:
    """A missing or added key, another type, case, order, length or form of a time."""
    assert _differences(recorded, ours) == found


@pytest.mark.parametrize(
    ("recorded", "ours"),
    [
        (GUID, OTHER),
        ("20.245.161.63", "127.1.2.3"),
        ("2023-05-05T00:15:56.437Z", "2026-01-01T00:00:00.5Z"),
        ("[masked]", "anything"),
        (
            f"wss://sbz.azure.com:19390/logstream/sessionId/{GUID}?api-version=1.0",
            f"wss://127.0.0.1:4443/logstream/sessionId/{OTHER}?api-version=1.0",
        ),
    ],
)
def test_what_the_server_picks_is_compared_by_its_form(recorded: str, ours: str) -> None:
    """Ids, addresses, times, secrets and stream URLs may differ, and nothing else may."""
    assert _differences(recorded, ours) == []
    assert _differences(recorded, "another thing" if recorded != "[masked]" else "") != []


def test_an_echo_has_to_be_exact() -> None:
    """What looks as if the server had picked it, but was sent, must come back as it was."""
    assert _differences(GUID, OTHER, frozenset({GUID})) == [("", "value")]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda each: (
        st.lists(each, max_size=3) | st.dictionaries(st.text(max_size=3), each, max_size=3)
    ),
    max_leaves=8,
)


@given(_JSON)
def test_a_body_is_like_itself(body: Any) -> None:
    """No difference is found where there is none, whatever the body."""
    assert _differences({"body": body}, {"body": body}) == []


@given(_JSON, _JSON)
def test_bodies_that_differ_are_told_apart(one: Any, other: Any) -> None:
    """Two bodies without anything that a server picks are alike only if they are the same."""
    same = repr(one) == repr(other)

    assert (_differences({"body": one}, {"body": other}) == []) == same


def _difference(path: str) -> Difference:
    return Difference(
        where="recording#1",
        kind="GET group",
        version="2023-05-01",
        day="2023-05-05",
        path=path,
        what="extra",
    )


def test_a_class_takes_only_what_it_names() -> None:
    """Kind, field, sort of difference and day must all fit."""
    named = Class(
        id="one",
        why="because",
        kinds=frozenset({"GET group"}),
        paths=frozenset({"tags"}),
        what=frozenset({"extra"}),
        before="2023-05-06",
    )
    late = Class(
        id="two",
        why="because",
        kinds=named.kinds,
        paths=named.paths,
        what=named.what,
        since="2023-05-06",
    )

    found = explain([_difference("tags"), _difference("zones")], [late, named])

    assert dict(found.counts) == {"one": 1}
    assert [each.path for each in found.unexplained] == ["zones"]
    assert found.unused == ["two"]


@pytest.mark.parametrize("path", ["properties", "value[]", "properties.*"])
def test_a_class_of_whole_bodies_is_refused(path: str, tmp_path: Path) -> None:
    """A class names fields; one that would take a body with it cannot be loaded."""
    file = tmp_path / "differences.toml"
    file.write_text(
        f'[[class]]\nid = "one"\nwhy = "{"because " * 10}"\nkinds = ["GET group"]\n'
        f'what = ["extra"]\npaths = ["{path}"]\n'
    )

    with pytest.raises(ValueError, match="more than a field"):
        load(file)


def test_more_classes_than_allowed_are_refused(tmp_path: Path) -> None:
    """The file is a short list, not a place to put everything."""
    file = tmp_path / "differences.toml"
    one = 'why = "because"\nkinds = ["GET group"]\nwhat = ["extra"]\npaths = ["tags"]\n'
    file.write_text("".join(f'[[class]]\nid = "{number}"\n{one}' for number in range(26)))

    with pytest.raises(ValueError, match="25 are allowed"):
        load(file)


def test_requests_to_other_providers_are_told_by_name() -> None:
    """What a recording asks of storage or a registry is not this endpoint's, and is counted so."""
    path = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/a"
    item = Interaction(
        recording="one",
        number=0,
        method="PUT",
        path=path,
        query={},
        request=None,
        status=200,
        headers={},
        response=None,
        at=0.0,
    )

    assert item.foreign == "Microsoft.Storage"
