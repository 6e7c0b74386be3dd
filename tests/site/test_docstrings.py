"""Docstrings as the site shows them."""

from __future__ import annotations

import griffe
import pytest

from tools.site.docstrings import Roles, StructSignatures, as_markdown

CLIENT = "cryptoproto.client.client.Client"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("See :class:`~cryptoproto.SqliteStore`.", "See [`SqliteStore`][cryptoproto.SqliteStore]."),
        ("See :class:`Event`.", "See [`Event`][cryptoproto.Event]."),
        ("See :meth:`close`.", "See [`close()`][cryptoproto.Client.close]."),
        ("See :meth:`~cryptoproto.Client.metrics`.", "See [`metrics()`][cryptoproto.Client.metrics]."),
        ("See :attr:`left_open`.", "See [`left_open`][cryptoproto.Client.left_open]."),
        ("See :func:`~cryptoproto.connect`.", "See [`connect()`][cryptoproto.connect]."),
        ("See :meth:`no_such_method`.", "See `no_such_method()`."),
        ("Like this::\n\n    a = 1\n\n    b = 2\n\nEnd.", "Like this:\n\n```python\na = 1\n\nb = 2\n```\n\nEnd."),
        ("::\n\n    a ──► b\n", "```text\na ──► b\n```"),
    ],
)
def test_roles_become_links_and_blocks_become_code(text: str, expected: str) -> None:
    assert as_markdown(text, CLIENT) == expected


def test_names_of_a_public_module_are_found_from_inside_it() -> None:
    scope = "cryptoproto.apikeys.server.middleware.ApiKeysMiddleware"
    assert as_markdown(":func:`load_config`", scope) == "[`load_config()`][cryptoproto.apikeys.server.load_config]"


def test_structs_get_the_signature_with_which_they_are_made() -> None:
    extensions = griffe.load_extensions(Roles, StructSignatures)
    package = griffe.load("cryptoproto.messages.orders", extensions=extensions, resolve_aliases=False)
    assert isinstance(package, griffe.Module)
    order = package["PlaceBuyLimitOrder"]
    names = [parameter.name for parameter in order.members["__init__"].parameters]
    assert names == ["self", "trade_pair", "amount", "price", "client_order_id", "ttl"]
    assert order.members["__init__"].parameters["client_order_id"].default == "None"
    assert str(order.members["__init__"].parameters["amount"].annotation) == "AmountLike"
