"""Names of public classes in the text become links."""

from __future__ import annotations

import pytest

from tools.site.code_names import linked

CLIENT = "[`Client`][cryptoproto.Client]"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A `Client` and a `Client`.", f"A {CLIENT} and a `Client`."),
        ("A `Client`.\n\n## More\n\nA `Client`.", f"A {CLIENT}.\n\n## More\n\nA {CLIENT}."),
        ("| `Client` | x |", f"| {CLIENT} | x |"),
        ("An `Exchange`.", "An [`Exchange`][cryptoproto.exchange.Exchange]."),
        ("## The `Client`", "## The `Client`"),
        ("See [the `Client`](client.md).", "See [the `Client`](client.md)."),
        ("```python\n`Client`\n```", "```python\n`Client`\n```"),
        ("```sh\n## `Client`\n```\nA `Client`.", f"```sh\n## `Client`\n```\nA {CLIENT}."),
        ("`Nothing`, `place()` and `client`", "`Nothing`, `place()` and `client`"),
    ],
)
def test_the_first_mention_in_a_section_is_a_link(text: str, expected: str) -> None:
    assert linked(text) == expected
