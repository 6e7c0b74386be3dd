"""The rules of CONTRIBUTING that no linter holds: what a room may import, how large things are, where tests are.

Each exception has its reason. An exception that is no longer needed fails, too, so the lists only get shorter.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "cryptoproto"
GENERATED = PACKAGE / "licensing" / "_fbs"
LINES_OF_A_MODULE: Final = 400
LINES_OF_A_FUNCTION: Final = 60
ATTRIBUTES_OF_A_CLASS: Final = 20

LOW_ROOMS: Final = (
    "instruments", "wire", "messages", "keys", "arguments", "private_file", "file_lock", "identity_lock", "extras",
    "exceptions",
)  # fmt: skip
"""The rooms below ``transport``. They cannot wait, read a clock or draw random numbers: those are arguments."""

WORLD: Final = frozenset({"asyncio", "os", "random", "secrets", "socket", "time"})
"""The modules that make a result depend on more than arguments."""


@functools.cache
def package() -> dict[str, ast.Module]:
    """The modules of the package, by path."""
    return parsed(path for path in PACKAGE.rglob("*.py") if GENERATED not in path.parents)


@functools.cache
def suite() -> dict[str, ast.Module]:
    """The modules below ``tests``, by path."""
    return parsed((ROOT / "tests").rglob("*.py"))


def parsed(paths: Iterable[Path]) -> dict[str, ast.Module]:
    return {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(), str(path)) for path in sorted(paths)}


def functions(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Each function and method, with the number of its lines without those of its docstring."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0]
            documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
            docstring = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
            yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1 - docstring


def attributes(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Each class, with the number of attributes that its instances are given: fields, and what methods assign."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            names = {
                target.attr
                for inner in ast.walk(node)
                if isinstance(inner, ast.Attribute) and isinstance(inner.ctx, ast.Store)
                for target in (inner,)
                if isinstance(target.value, ast.Name) and target.value.id == "self"
            }
            names |= {
                field.target.id
                for field in node.body
                if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
            }
            yield node.name, len(names)


def imported(path: str, tree: ast.Module) -> Iterator[str]:
    """The modules that a module imports when it is imported, those for type checkers included; absolute names."""
    package = path.removesuffix("/__init__.py").removesuffix(".py").split("/")
    if not path.endswith("/__init__.py"):
        package = package[:-1]
    for node in _at_module_level(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*start, *([node.module] if node.module else [])])
            for alias in node.names:
                yield f"{base}.{alias.name}" if _is_module(f"{base}.{alias.name}") else base


def _at_module_level(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            yield node
            yield from _at_module_level(node)


@functools.cache
def _is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def unannotated(tree: ast.Module) -> Iterator[str]:
    """Public variables and attributes whose type a type checker has to guess: names of modules, Class.attribute.

    An attribute that takes a parameter as it is has the type of the parameter.
    """
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            if ast.unparse(node.value.func) in {"TypeVar", "TypeVarTuple", "ParamSpec"}:
                continue
            yield from (name for target in node.targets if (name := ast.unparse(target)) and name[0] != "_")
        elif isinstance(node, ast.Try):
            yield from (handler.name for handler in node.handlers if handler.name and handler.name[0] != "_")
        elif isinstance(node, ast.ClassDef) and node.name[0] != "_":
            yield from (f"{node.name}.{name}" for name in _unannotated_attributes(node))


def _unannotated_attributes(owner: ast.ClassDef) -> list[str]:
    annotated = {ast.unparse(node.target) for node in ast.walk(owner) if isinstance(node, ast.AnnAssign)}
    assigned = [
        target
        for method in owner.body
        if isinstance(method, ast.FunctionDef) and method.name == "__init__"
        for node in ast.walk(method)
        if isinstance(node, ast.Assign) and not isinstance(node.value, ast.Name)
        for target in node.targets
    ]
    return [
        target.attr
        for target in assigned
        if isinstance(target, ast.Attribute)
        and ast.unparse(target.value) == "self"
        and not target.attr.startswith("_")
        and not annotated & {target.attr, f"self.{target.attr}"}
    ]


def below_limit(found: dict[str, int], limit: int, exceptions: dict[str, str]) -> None:
    """Fail for what is above *limit* and no exception, and for exceptions that are below it or gone."""
    above = {name: size for name, size in found.items() if size > limit}
    assert {name: size for name, size in above.items() if name not in exceptions} == {}, f"the limit is {limit}"
    assert [name for name in exceptions if name not in above] == [], "no longer needed as exceptions"


# Modules


def test_a_module_says_what_it_is_about() -> None:
    names = {"utils", "common", "helpers", "types", "misc"}
    assert [path for path in package() if Path(path).stem in names] == [], "name a module after its idea"
    assert [path for path, tree in package().items() if not ast.get_docstring(tree)] == []


def test_input_never_meets_assert() -> None:
    lines = [
        f"{path}:{node.lineno}"
        for path, tree in package().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Assert)
    ]
    assert lines == [], "python -O drops assert; raise an error that says why"


def test_only_the_command_line_prints() -> None:
    calls = [
        f"{path}:{node.lineno}"
        for path, tree in package().items()
        if not path.startswith("cryptoproto/cli/")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert calls == []


# Types

GUESSED: Final[dict[str, str]] = {}  # none; write the reason here if there has to be one


def test_public_names_have_a_type_that_no_checker_has_to_guess() -> None:
    found = {f"{path}:{name}" for path, tree in package().items() for name in unannotated(tree)}
    assert found - GUESSED.keys() == set(), "annotate it: type checkers differ in what they infer"
    assert GUESSED.keys() - found == set(), "no longer needed as exceptions"


def test_guessed_types_are_found() -> None:
    tree = ast.parse(
        "logger = logging.getLogger('a')\n"
        "typed: logging.Logger = logging.getLogger('a')\n"
        "_private = len('a')\n"
        "T = TypeVar('T')\n"
        "try:\n    import a\nexcept ImportError as error:\n    raise\n"
        "class A:\n"
        "    above: int\n"
        "    def __init__(self, given: int) -> None:\n"
        "        self.given = given\n"
        "        self.above = 0\n"
        "        self.typed: int = 0\n"
        "        self._private = 0\n"
        "        self.first = self.second = 0\n"
    )
    assert list(unannotated(tree)) == ["logger", "error", "A.first", "A.second"]


# Sizes

LARGE_MODULES: Final = {
    "cryptoproto/__init__.py": "every public name stands there twice: for type checkers, and in __all__",
}
LONG_FUNCTIONS: Final = {
    "cryptoproto/cli/license.py:acquire": "the options of a command are its parameters",
}
LARGE_CLASSES: Final = {
    "cryptoproto/profiles/values.py:ProfileValues": "the keys of a profile",
    "cryptoproto/client/account/order.py:Order": "the fields that the protocol gives an order",
    "cryptoproto/client/event_stream.py:EventDelivery": "the hot path makes no call between queue and position",
}


def test_the_size_of_modules() -> None:
    sizes = {path: (ROOT / path).read_text().count("\n") for path in package()}
    below_limit(sizes, LINES_OF_A_MODULE, LARGE_MODULES)


def test_the_size_of_functions() -> None:
    sizes = {f"{path}:{name}": lines for path, tree in package().items() for name, lines in functions(tree)}
    below_limit(sizes, LINES_OF_A_FUNCTION, LONG_FUNCTIONS)


def test_the_size_of_classes() -> None:
    sizes = {f"{path}:{name}": count for path, tree in package().items() for name, count in attributes(tree)}
    below_limit(sizes, ATTRIBUTES_OF_A_CLASS, LARGE_CLASSES)


# Imports

WORLDLY: Final = {
    "cryptoproto/file_lock.py imports os": "locks are files",
    "cryptoproto/identity_lock.py imports os": "locks are files",
    "cryptoproto/keys.py imports os": "keys are read from files, and os.PathLike names them",
    "cryptoproto/private_file.py imports os": "writes files with their mode, and syncs them",
}


def test_nothing_below_transport_touches_the_world() -> None:
    found = {
        f"{path} imports {name}"
        for path, tree in package().items()
        if path.split("/")[1].removesuffix(".py") in LOW_ROOMS
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom) and not node.level
            else []
        )
        if name.partition(".")[0] in WORLD
    }
    assert found - WORLDLY.keys() == set()
    assert WORLDLY.keys() - found == set(), "no longer needed as exceptions"


CIRCLES: Final[dict[frozenset[str], str]] = {}  # none; write the reason here if one has to be


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {
        path.removesuffix("/__init__.py").removesuffix(".py").replace("/", "."): set(imported(path, tree))
        for path, tree in package().items()
    }
    circles = {circle for circle in strongly_connected(graph) if len(circle) > 1}
    assert [sorted(circle) for circle in circles - CIRCLES.keys()] == []
    assert [sorted(circle) for circle in CIRCLES.keys() - circles] == [], "no longer needed as exceptions"


def strongly_connected(graph: dict[str, set[str]]) -> list[frozenset[str]]:
    """The modules that reach each other by imports."""
    reach: dict[str, set[str]] = {}
    for name in graph:
        found: set[str] = set()
        waiting = [name]
        while waiting:
            for target in graph.get(waiting.pop(), ()):
                if target in graph and target not in found:
                    found.add(target)
                    waiting.append(target)
        reach[name] = found
    return list({frozenset(other for other in reach[name] if name in reach[other]) | {name} for name in graph})


def test_circles_are_found() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set[str]()}
    assert sorted(map(sorted, strongly_connected(graph))) == [["a", "b", "c"], ["d"]]


# Tests

IMPORTED_TESTS: Final[dict[str, str]] = {}


UNTESTED_BY_NAME: Final = {
    "cryptoproto/__main__.py": "tests/cli/test_app.py starts it as a process",
    "cryptoproto/version.py": "a constant",
    "cryptoproto/client/event_ends.py": "types",
    "cryptoproto/cli/gateway_options.py": "tests/cli/test_gateway.py and tests/cli/test_gateway_operations.py use them",
    "cryptoproto/gateway/settings.py": "a struct",
    "cryptoproto/cli/license_manager.py": "tests/cli/test_license.py has all license commands",
    "cryptoproto/cli/license_options.py": "tests/cli/test_license.py has all license commands",
    "cryptoproto/licensing/request/endpoint.py": "two constants",
}


def test_no_test_module_imports_another() -> None:
    found = {
        f"{path} imports {name}"
        for path, tree in suite().items()
        for name in imported(path, tree)
        if name.rsplit(".", 1)[-1].startswith("test_")
    }
    assert found - IMPORTED_TESTS.keys() == set(), "what both need belongs in tests/support"
    assert IMPORTED_TESTS.keys() - found == set(), "no longer needed as exceptions"


def test_the_test_of_a_module_is_found_by_its_name() -> None:
    missing = set()
    for path in package():
        *rooms, name = path.removesuffix(".py").split("/")[1:]
        if name != "__init__" and not (ROOT.joinpath("tests", *rooms) / f"test_{name.strip('_')}.py").is_file():
            missing.add(path)
    assert missing - UNTESTED_BY_NAME.keys() == set()
    assert UNTESTED_BY_NAME.keys() - missing == set(), "no longer needed as exceptions"
