"""The tree of errors: as drawn, complete, and every error survives a copy."""

from __future__ import annotations

import copy
import inspect
import pickle
import re

import pytest

import cryptoproto as cp
from cryptoproto import exceptions

_ROOM = exceptions.__name__


def _drawn() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Name, parent and builtin bases of every line in the tree of the module's docstring."""
    path: list[str] = []
    tree: dict[str, tuple[str, tuple[str, ...]]] = {}
    for line in inspect.cleandoc(exceptions.__doc__ or "").splitlines():
        match = re.match(r"^(?P<lines>[ │├└─]*)(?P<name>[A-Z]\w+)(?: \((?P<builtins>\w+)\))?", line)
        if match is None or not line.startswith("    "):
            continue
        depth = len(match["lines"]) // 4 - 1
        path[depth:] = [match["name"]]
        builtin = (match["builtins"],) if match["builtins"] else ()
        tree[match["name"]] = (path[depth - 1] if depth else "Exception", builtin)
    return tree


def _written() -> dict[str, tuple[str, tuple[str, ...]]]:
    """The same of the classes themselves."""
    return {
        name: (kind.__bases__[0].__name__, tuple(base.__name__ for base in kind.__bases__[1:]))
        for name, kind in inspect.getmembers(exceptions, inspect.isclass)
    }


def test_the_tree_is_as_drawn() -> None:
    assert _drawn() == _written()


def test_every_error_is_exported() -> None:
    assert sorted(exceptions.__all__) == sorted(_written())


def test_every_error_that_a_trader_can_meet_is_importable_from_the_top() -> None:
    of_their_own_room = {name for name, kind in _kinds() if issubclass(kind, exceptions.LicensingError)}
    assert set(_written()) - of_their_own_room <= set(cp.__all__)


def _kinds() -> list[tuple[str, type[cp.CryptoprotoError]]]:
    return inspect.getmembers(exceptions, inspect.isclass)


# What is not constructed from a single text.
ARGUMENTS: dict[type[cp.CryptoprotoError], tuple[object, ...]] = {
    cp.IdentityInUse: ("alice", 4711),
    cp.ServerError: (2, "no amount"),
    cp.HistoryRewound: (42, 17),
    cp.ConnectionClosed: (4000, "taken over"),
    cp.InsufficientFundsError: ("USD", 7),
    cp.JournalError: ("/data/journal.db", "not a database"),
    cp.RecordingError: ("/data/market.rec", "damaged at byte 100"),
    cp.CredentialsRefused: (401, "unknown key"),
    cp.StompError: ("bad frame", "no destination"),
    exceptions.LicenseRefused: ("no_agreement", "unknown key"),
}


def _example(kind: type[cp.CryptoprotoError]) -> cp.CryptoprotoError:
    for base, arguments in ARGUMENTS.items():
        if issubclass(kind, base):
            return kind(*arguments)
    return kind("something happened")


@pytest.mark.parametrize(("name", "kind"), _kinds(), ids=lambda value: value if isinstance(value, str) else "")
def test_a_copy_and_a_pickle_say_the_same(name: str, kind: type[cp.CryptoprotoError]) -> None:
    error = _example(kind)
    error.sent = True
    for again in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert type(again) is kind
        assert str(again) == str(error) != ""
        assert again.args == error.args
        assert vars(again) == vars(error)
        assert again.sent is True


@pytest.mark.parametrize(("name", "kind"), _kinds(), ids=lambda value: value if isinstance(value, str) else "")
def test_every_error_says_what_it_means(name: str, kind: type[cp.CryptoprotoError]) -> None:
    assert kind.__doc__
    assert kind.__doc__ != kind.__bases__[0].__doc__
