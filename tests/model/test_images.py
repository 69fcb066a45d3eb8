from __future__ import annotations

import pytest

from hypothesis import given
from hypothesis import strategies as st

from aciflow.model import parse_image


DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("nginx", "docker.io/library/nginx:latest"),
        ("nginx:1.27", "docker.io/library/nginx:1.27"),
        ("user/app", "docker.io/user/app:latest"),
        ("docker.io/nginx", "docker.io/library/nginx:latest"),
        ("index.docker.io/library/nginx", "docker.io/library/nginx:latest"),
        ("localhost/app", "localhost/app:latest"),
        ("localhost:5000/app:x", "localhost:5000/app:x"),
        ("LOCAL/app", "LOCAL/app:latest"),
        (
            "mcr.microsoft.com/azuredocs/aci-helloworld",
            "mcr.microsoft.com/azuredocs/aci-helloworld:latest",
        ),
        ("[::1]:5000/app", "[::1]:5000/app:latest"),
        (f"alpine@{DIGEST}", f"docker.io/library/alpine@{DIGEST}"),
        (f"a.azurecr.io/b/c__d:t@{DIGEST}", f"a.azurecr.io/b/c__d:t@{DIGEST}"),
    ],
)
def test_full_form(reference: str, expected: str) -> None:
    """What a reference leaves out is filled in as docker does."""
    assert str(parse_image(reference)) == expected


def test_parts() -> None:
    """The parts of a reference by name."""
    image = parse_image(f"r.io:443/team/web-app:v1@{DIGEST}")

    assert (image.registry, image.repository) == ("r.io:443", "team/web-app")
    assert (image.tag, image.digest, image.short_name) == ("v1", DIGEST, "web-app")


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("", "not an image's name"),
        ("Nginx", "not an image's name"),
        ("a//b", "not an image's name"),
        ("a b", "not an image's name"),
        ("nginx:", "not a tag"),
        ("nginx:-x", "not a tag"),
        ("nginx:" + "t" * 129, "not a tag"),
        ("nginx@", "not a digest"),
        ("nginx@sha256:123", "not a digest"),
        ("-.x/app", "not a registry's host name"),
        ("https://r.io/app", "not a registry's host name"),
        ("r.io/" + "a/" * 126 + "a", "more than 255 characters"),
    ],
)
def test_no_reference(reference: str, message: str) -> None:
    """What docker would refuse is refused, with the part that is wrong."""
    with pytest.raises(ValueError, match=message):
        parse_image(reference)


@given(st.text("aB0.:/@-_ ", max_size=20))
def test_the_full_form_is_stable(reference: str) -> None:
    """A full form is its own full form."""
    try:
        image = parse_image(reference)
    except ValueError:
        return
    assert parse_image(str(image)) == image
