"""Pieces of Markdown that several generated pages use."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence

from griffe import Docstring, DocstringSectionKind

from .docstrings import as_markdown

__all__ = ["arguments", "cell", "described", "first_paragraph", "heading", "table"]


def heading(level: int, text: str) -> str:
    """A heading."""
    return f"{'#' * level} {text}"


def table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; cells that contain a line break or a bar are written so that they stay in their cell."""
    lines = [names, ["---"] * len(names), *([cell(one) for one in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cell(text: str) -> str:
    """*text* on one line, for a table."""
    return " ".join(text.split()).replace("|", "\\|")


def described(value: object) -> str:
    """The docstring of a class or function as Markdown, without its sections of arguments and errors."""
    sections = Docstring(_docstring(value)).parse("google", warnings=False)
    text = "\n\n".join(str(one.value) for one in sections if one.kind is DocstringSectionKind.text)
    return as_markdown(text, _scope(value))


def first_paragraph(value: object) -> str:
    """The first paragraph of a docstring as Markdown, on one line."""
    return cell(described(value).split("\n\n")[0])


def arguments(value: object) -> dict[str, str]:
    """What the docstring of a class or function says of each argument or attribute, as Markdown."""
    kinds = {DocstringSectionKind.parameters, DocstringSectionKind.attributes}
    sections = Docstring(_docstring(value)).parse("google", warnings=False)
    return {
        item.name: as_markdown(item.description, _scope(value))
        for section in sections
        if section.kind in kinds
        for item in section.value
    }


def _docstring(value: object) -> str:
    text = inspect.getdoc(value)
    if not text:
        raise LookupError(f"{value} has no docstring")
    return re.sub(r"``([^`]+)``", r"`\1`", text)


def _scope(value: object) -> str:
    module, name = getattr(value, "__module__", ""), getattr(value, "__qualname__", "")
    return f"{module}.{name}" if inspect.isclass(value) else f"{module}.{name}".rpartition(".")[0]
