"""Configuration files as trees of text: YAML and JSON, read as Spring reads them.

The keys of a mapping are compared without case, hyphens and underscores, and ``a.b: c`` is ``a: {b: c}``. All scalars
are text: a secret such as ``0123`` or ``yes`` stays what it is. A name that is given twice is refused, because readers
differ in which one they keep.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from ...exceptions import ConfigurationError

__all__ = ["Node", "child", "folded", "get", "items", "read_json", "read_yaml", "text_of"]

Node = dict[str, Any]
"""A mapping whose keys are :func:`folded`."""

_MORE_VALUES: Final = 10_000
"""How many more values than characters a file may stand for: aliases repeat values, and can do so without end."""


class _UnusableError(Exception):
    """The file is well-formed, but cannot be used."""


# The base loader builds text, lists and mappings only, so it is even safer than the safe one.
class _Loader(yaml.BaseLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        lines: dict[str, int] = {}
        for key, _ in node.value:
            name, line = folded(str(key.value)), key.start_mark.line + 1
            known = lines.get(name)
            lines[name] = line
            if known is not None:
                raise _UnusableError(f"`{key.value}` in line {line} was given in line {known} already; join the two")
        return super().construct_mapping(node, deep)


def read_yaml(file: Path) -> Node:
    """The mapping in a YAML file.

    Raises:
        ConfigurationError: it cannot be read or is not YAML, or it gives a name twice.
    """
    text = _read(file)
    try:
        document = yaml.load(text, Loader=_Loader)  # noqa: S506 - see _Loader
        return _mapping(document, file, len(text))
    except yaml.MarkedYAMLError as error:
        # The error's own text quotes the file, and with it perhaps a secret.
        mark = error.problem_mark
        where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
        raise ConfigurationError(f"{file}: not valid YAML{where}; check the indentation there") from None
    except (yaml.YAMLError, RecursionError):
        raise ConfigurationError(f"{file}: not valid YAML") from None
    except _UnusableError as error:
        raise ConfigurationError(f"{file}: {error}") from None


def read_json(file: Path) -> Node:
    """The mapping in a JSON file.

    Raises:
        ConfigurationError: it cannot be read or is not JSON, or it gives a name twice.
    """
    text = _read(file)
    try:
        document = json.loads(text, object_pairs_hook=_unique, parse_int=str, parse_float=str)
        return _mapping(document, file, len(text))
    except json.JSONDecodeError as error:
        raise ConfigurationError(f"{file}: not valid JSON in line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise ConfigurationError(f"{file}: not valid JSON") from None
    except _UnusableError as error:
        raise ConfigurationError(f"{file}: {error}") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    seen: set[str] = set()
    for name, _ in pairs:
        if folded(name) in seen:
            raise _UnusableError(f"`{name}` is given twice; join the two")
        seen.add(folded(name))
    return dict(pairs)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{file}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise ConfigurationError(f"{file}: is not UTF-8 text") from None
    except ValueError:
        raise ConfigurationError(f"{str(file)!r}: no file can have this name") from None


def _mapping(document: object, file: Path, characters: int) -> Node:
    tree = _fold(document, iter(range(characters + _MORE_VALUES)))
    if not isinstance(tree, dict):
        raise ConfigurationError(f"{file}: is not a mapping of names to values")
    return tree


def folded(name: str) -> str:
    """A name as it is compared."""
    return name.replace("-", "").replace("_", "").lower()


def _fold(node: object, numbers: Iterator[int]) -> object:
    """*node* with every key folded, and dotted keys split. Each value takes one of *numbers*."""
    if next(numbers, None) is None:
        raise _UnusableError("its aliases repeat too much; write out what they stand for")
    if isinstance(node, list):
        return [_fold(item, numbers) for item in node]
    if not isinstance(node, dict):
        return _text(node)
    result: Node = {}
    for key, value in node.items():
        first, *rest = folded(str(_text(key))).split(".")
        item = _fold(value, numbers)
        for part in reversed(rest):
            item = {part: item}
        _merge(result, first, item)
    return result


def _text(scalar: object) -> object:
    if isinstance(scalar, str) and not scalar.isascii():
        try:
            scalar.encode()
        except UnicodeEncodeError:
            raise _UnusableError("an escape such as \\ud800 stands for half a character; write the whole one") from None
    return scalar


def _merge(node: Node, name: str, item: object) -> None:
    if name not in node:
        node[name] = item
        return
    present = node[name]
    if not isinstance(present, dict) or not isinstance(item, dict):
        raise _UnusableError(f"`{name}` is given twice; join the two")
    for key, value in item.items():
        _merge(present, key, value)


def get(node: Node, name: str, default: object) -> Any:
    """The value with that name, or *default* if there is none or it is null."""
    value = node.get(folded(name), default)
    return default if value is None else value


def child(node: Node, name: str) -> Node:
    """The mapping with that name; empty if there is none."""
    value = get(node, name, {})
    return value if isinstance(value, dict) else {}


def items(value: object, file: Path) -> list[Any]:
    """A list from *file*, or nothing.

    Raises:
        ConfigurationError: it is not a list.
    """
    if value in ("", None):
        return []
    if not isinstance(value, list):
        raise ConfigurationError(f"{file}: a list was expected where the keys, users or authorities are")
    return value


def text_of(value: object) -> str:
    """A scalar as text; empty for lists and mappings."""
    return value if isinstance(value, str) else "" if value is None or isinstance(value, list | dict) else str(value)
