"""Which tags ARM refuses (tag-resources.md)."""

from __future__ import annotations

from collections.abc import Mapping

from aciflow.local.rest.errors import Refusal


__all__ = ["check_tags"]


MAX_TAGS, MAX_NAME, MAX_VALUE = 50, 512, 256
_FORBIDDEN = frozenset("<>%&\\?/")


def check_tags(tags: Mapping[str, str] | None) -> None:
    """
    Refuse tags that ARM would not take.

    Raises:
        Refusal: ``TooManyTags``, ``InvalidTagNameCharacters``, ``TagNameLimitExceeded``,
            ``TagValueLimitExceeded``, ``DuplicateTagName``.
    """
    if not tags:
        return
    if len(tags) > MAX_TAGS:
        raise Refusal(
            400,
            "TooManyTags",
            f"The number of tags provided '{len(tags)}' has exceeded the maximum allowed limit of "
            f"'{MAX_TAGS}'.",
        )
    if len({name.lower() for name in tags}) != len(tags):
        raise Refusal(400, "DuplicateTagName", "Tag names must be unique without regard to case.")
    for name, value in tags.items():
        if not name.strip() or _FORBIDDEN & set(name) or not name.isprintable():
            raise Refusal(
                400,
                "InvalidTagNameCharacters",
                f"The tag name '{name}' is empty or has one of the characters "
                "'<,>,%,&,\\,?,/' or control characters, which are reserved.",
            )
        if len(name) > MAX_NAME:
            raise Refusal(
                400,
                "TagNameLimitExceeded",
                f"The tag name has '{len(name)}' characters; '{MAX_NAME}' are allowed.",
            )
        if len(value) > MAX_VALUE:
            raise Refusal(
                400,
                "TagValueLimitExceeded",
                f"The value of tag '{name}' has '{len(value)}' characters; '{MAX_VALUE}' are allowed.",
            )
