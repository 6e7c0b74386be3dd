"""What users import: every type that a public call takes or returns has a public name, and every name a description."""

from __future__ import annotations

import ast
import inspect
import sys
import typing
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, Final, NamedTuple

import msgspec
import pytest

import cryptoproto as cp
import cryptoproto.messages
from cryptoproto import sync
from tests.support import reference

FACES: Final = [cp, sync]
MADE_BY_THE_PACKAGE: Final = {
    cp.Connection, cp.EventStream, cp.PreparedMessage, cp.PreparedOrder, cp.ReportStream, cp.Subscription,
    sync.Connection, sync.Order, sync.OrderTable, sync.PreparedMessage, sync.PreparedOrder, sync.Stream,
}  # fmt: skip
"""Classes that users get from a call and do not construct: their constructors are not public."""

PUBLIC_METHODS: Final = {"__aenter__", "__aiter__", "__anext__", "__await__", "__enter__", "__iter__", "__next__"}


class Signature(NamedTuple):
    """The annotations of something public, as written, and where their names are looked up."""

    where: str
    annotations: dict[str, Any]
    names: dict[str, Any]
    owner: Any


def signatures(face: ModuleType) -> Iterator[Signature]:
    for name in face.__all__:
        value = getattr(face, name)
        if inspect.isfunction(value):
            yield Signature(name, value.__annotations__, value.__globals__, value)
        if not inspect.isclass(value):
            continue
        for kind in value.__mro__:
            if not kind.__module__.startswith("cryptoproto"):
                continue
            module = vars(sys.modules[kind.__module__])
            yield Signature(name, dict(vars(kind).get("__annotations__", {})), module, kind)
            for member, function in functions_of(kind):
                if member == "__init__" and value in MADE_BY_THE_PACKAGE:
                    continue
                yield Signature(f"{name}.{member}", function.__annotations__, function.__globals__, function)


def functions_of(kind: type) -> Iterator[tuple[str, Callable[..., Any]]]:
    for name, member in vars(kind).items():
        if name.startswith("_") and name != "__init__" and name not in PUBLIC_METHODS:
            continue
        plain = member.__func__ if isinstance(member, classmethod | staticmethod) else member
        plain = plain.fget if isinstance(plain, property) else plain
        if inspect.isfunction(plain):
            yield name, plain


def names_in(annotation: str | typing.ForwardRef) -> set[str]:
    if isinstance(annotation, typing.ForwardRef):  # of a TypedDict
        annotation = annotation.__forward_arg__
    return {node.id for node in ast.walk(ast.parse(annotation, mode="eval")) if isinstance(node, ast.Name)}


def is_ours(name: str, value: Any) -> bool:
    """Whether a name in an annotation stands for a type or an alias that this package defines."""
    if inspect.isclass(value) and value.__module__.startswith("cryptoproto"):
        return True
    if isinstance(value, ModuleType | typing.TypeVar):
        return False
    ours = [module for key, module in sys.modules.items() if key.startswith("cryptoproto.")]
    return any(name in getattr(module, "__all__", ()) for module in ours)


@pytest.mark.parametrize("face", FACES, ids=lambda face: face.__name__)
def test_every_type_of_a_public_call_is_exported(face: ModuleType) -> None:
    exported = {id(getattr(each, name)) for each in FACES for name in each.__all__}
    checked = 0
    missing = set()
    for signature in signatures(face):
        for parameter, annotation in signature.annotations.items():
            if parameter.startswith("_"):
                continue
            for name in names_in(annotation):
                value = signature.names.get(name)
                if value is None or not is_ours(name, value):
                    continue
                checked += 1
                if id(value) not in exported:
                    missing.add(f"{name} of {signature.where}")
    assert checked > 50
    assert not missing


@pytest.mark.parametrize("face", FACES, ids=lambda face: face.__name__)
def test_every_annotation_of_a_public_call_resolves(face: ModuleType) -> None:
    for signature in signatures(face):
        assert typing.get_type_hints(signature.owner, include_extras=True) is not None, signature.where


@pytest.mark.parametrize("face", FACES, ids=lambda face: face.__name__)
def test_names_are_public_sorted_and_unique(face: ModuleType) -> None:
    names = list(face.__all__)
    assert len(set(names)) == len(names)
    assert [name for name in names if name.startswith("_")] == (["__version__"] if face is cp else [])
    values: dict[int, str] = {}
    for name in names:
        value = getattr(face, name)
        if inspect.isclass(value) and value.__module__.startswith("cryptoproto"):
            assert id(value) not in values, f"{name} is also exported as {values[id(value)]}"
            values[id(value)] = name


def test_every_message_is_exported_under_its_wire_name() -> None:
    messages = {
        name: value
        for name, value in vars(cryptoproto.messages).items()
        if inspect.isclass(value) and issubclass(value, msgspec.Struct) and name in cryptoproto.messages.__all__
    }
    assert len(messages) > 30
    for name, value in messages.items():
        assert getattr(cp, name) is value


def test_every_error_that_trading_can_raise_is_exported() -> None:
    from cryptoproto import exceptions

    licensing = {
        name for name in exceptions.__all__ if issubclass(getattr(exceptions, name), exceptions.LicensingError)
    }
    assert set(exceptions.__all__) - licensing <= set(cp.__all__)


def test_the_reference_page_describes_every_name() -> None:
    assert reference.PAGE.read_text() == reference.page(), "run: python -m tests.support.reference"
