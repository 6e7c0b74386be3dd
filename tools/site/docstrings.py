"""The package as mkdocstrings shows it. Extensions of griffe, which reads the source.

Docstrings are written for ``help()`` and for editors: roles become links, and blocks after ``::`` become code. Structs
of msgspec get the signature with which they are made, because griffe knows that of dataclasses only.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from typing import Any, Final

import msgspec
from griffe import Class, Extension, Function, Object, Parameter, ParameterKind, Parameters

from .public_names import anchor, public_class

__all__ = ["Roles", "StructSignatures", "as_markdown"]

_ROLE: Final = re.compile(r":(class|func|meth|attr|exc|mod|data):`(?:[^`<]+<)?(~?)([\w.]+)>?`")
_BLOCK: Final = re.compile(r"^(?P<text>[^\n]*?)::\n\n(?P<code>(?:[ \t]+[^\n]*\n|\n)+)", re.MULTILINE)


def as_markdown(text: str, scope: str) -> str:
    """*text* with its roles as links and its literal blocks as fenced code.

    Args:
        text: the docstring, without its indentation.
        scope: the full name of the class or module that it belongs to.
    """

    def link(role: re.Match[str]) -> str:
        kind, tilde, name = role.groups()
        shown = name.rpartition(".")[2] if tilde else name
        shown += "()" if kind in {"func", "meth"} else ""
        target = anchor(name, scope)
        return f"[`{shown}`][{target}]" if target else f"`{shown}`"

    return _BLOCK.sub(_fenced, _ROLE.sub(link, text + "\n")).rstrip()


def _fenced(block: re.Match[str]) -> str:
    code = textwrap.dedent(block["code"]).strip("\n")
    language = "text" if re.search(r"[─│┌└├►▼▲]", code) else "python"
    before = f"{block['text']}:\n\n" if block["text"].strip() else ""
    return f"{before}```{language}\n{code}\n```\n\n"


class Roles(Extension):
    """Translates docstrings."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Translate the docstring of one object."""
        if obj.docstring is not None:
            scope = obj.path if obj.is_class else obj.path.rpartition(".")[0]
            obj.docstring.value = as_markdown(obj.docstring.value, scope)


class StructSignatures(Extension):
    """Gives each public struct the parameters of its constructor."""

    def on_class(self, *, cls: Class, **_: Any) -> None:
        """Add a constructor, if *cls* is a struct."""
        struct = public_class(cls.path)
        if struct is None or not issubclass(struct, msgspec.Struct) or "__init__" in cls.members:
            return
        parameters = [
            Parameter(
                name,
                kind=ParameterKind(parameter.kind.description),
                annotation=_annotation(struct, name),
                default=None if parameter.default is parameter.empty else repr(parameter.default),
            )
            for name, parameter in inspect.signature(struct).parameters.items()
        ]
        cls.set_member("__init__", Function("__init__", parameters=Parameters(Parameter("self"), *parameters)))


def _annotation(struct: type, name: str) -> str:
    """The annotation of a field as it stands in the source."""
    annotations = (inspect.get_annotations(base) for base in struct.__mro__)
    return next(str(found[name]) for found in annotations if name in found)
