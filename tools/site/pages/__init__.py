"""The pages that are made from the code."""

from __future__ import annotations

from tests.support import reference

from . import api, close_codes, commands, configuration, messages, metrics, notebooks, options

__all__ = ["generated"]


def generated() -> dict[str, str]:
    """The text of each generated page, by its path in the site."""
    return (
        api.pages()
        | notebooks.pages()
        | {
            "reference.md": reference.page(lambda name: f"[`{name}`][cryptoproto.{name}]"),
            "reference/messages.md": messages.page(),
            "reference/close-codes.md": close_codes.page(),
            "reference/options.md": options.page(),
            "reference/commands.md": commands.page(),
            "reference/configuration.md": configuration.page(),
            "reference/metrics.md": metrics.page(),
        }
    )
