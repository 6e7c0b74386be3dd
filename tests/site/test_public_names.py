"""Everything public is documented: each name, and each public method and property of a class."""

from __future__ import annotations

import functools
import inspect
from typing import Any

import pytest

from tools.site.public_names import anchor, documented_members, exported

CLASSES = {name: value for name, value in exported().items() if inspect.isclass(value)}


@pytest.mark.parametrize("name", sorted(exported()))
def test_a_public_name_is_documented(name: str) -> None:
    value = exported()[name]
    if inspect.isclass(value) or inspect.isfunction(value):
        assert inspect.getdoc(value)


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_the_members_of_a_public_class_are_documented(name: str) -> None:
    cls = CLASSES[name]
    documented = dict(documented_members(cls))
    assert {member for member in dir(cls) if not member.startswith("_") and is_ours(cls, member)} <= documented.keys()


def is_ours(cls: type, member: str) -> bool:
    """Whether *member* is a method or property that this package has written."""
    owner = next((base for base in cls.__mro__ if member in vars(base)), None)
    value: Any = inspect.getattr_static(cls, member)
    kinds = (property, classmethod, staticmethod, functools.cached_property)
    return owner is not None and owner.__module__.startswith("cryptoproto") and (
        isinstance(value, kinds) or inspect.isfunction(value)
    )  # fmt: skip


def test_a_name_is_looked_up_where_it_stands() -> None:
    assert anchor("Client", "cryptoproto.sync.client.Client") == "cryptoproto.sync.Client"
    assert anchor("Client", "cryptoproto.quotes.quotes.Quotes") == "cryptoproto.Client"
    assert anchor("Client.close", "cryptoproto.quotes.quotes.Quotes") == "cryptoproto.Client.close"
    assert anchor("no_such_thing", "cryptoproto.quotes.quotes.Quotes") is None
