"""Configuration files as trees: folded names, names given twice, and files that cannot be read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.apikeys.server.config_file import child, get, items, read_json, read_yaml, text_of


def _file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "file"
    path.write_text(text)
    return path


def test_names_are_folded_and_split(tmp_path: Path) -> None:
    tree = read_yaml(_file(tmp_path, "a-B.c_D: 1\nab:\n  e: [{F-g: 0x10}, ~]\n"))
    assert tree == {"ab": {"cd": "1", "e": [{"fg": "0x10"}, "~"]}}
    assert read_json(_file(tmp_path, '{"a-B.c": 1, "AB": {"d": null}}')) == {"ab": {"c": "1", "d": None}}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: 1\nb: 2\na: 3\n", "`a` in line 3 was given in line 1 already"),
        ("security:\n  a: 1\nsecurity:\n  b: 2\n", "`security` in line 3 was given in line 1 already"),
        ("x: {a: hunter2, a: hunter3}", "`a` in line 1 was given in line 1 already"),
        ("api-keys: 1\napiKeys: 2\n", "`apiKeys` in line 2 was given in line 1 already"),
        ("a: [{b: 1, b: 2}]", "`b` in line 1"),
        ("a.b: 1\na: {b: 2}\n", "`b` is given twice"),
        ("a.b: 1\na: 2\n", "`a` is given twice"),
    ],
)
def test_names_given_twice_in_yaml(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(cp.ConfigurationError, match=complaint) as caught:
        read_yaml(_file(tmp_path, text))
    assert "hunter" not in str(caught.value)


@pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', '{"x": [{"a": "hunter2", "A": "hunter3"}]}'])
def test_names_given_twice_in_json(tmp_path: Path, text: str) -> None:
    with pytest.raises(cp.ConfigurationError, match=r"(?i)`a` is given twice; join the two") as caught:
        read_json(_file(tmp_path, text))
    assert "hunter" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: {", "not valid YAML in line 1, column 5"),
        ("a: \x00", "not valid YAML"),
        ("[" * 5000, "not valid YAML"),
        ("a: 1\n---\na: 2\n", "not valid YAML in line 2"),
        ("[]", "not a mapping"),
        ("", "not a mapping"),
        ('a: "\\ud800"', "half a character"),
        ('"\\udc00": a', "half a character"),
    ],
)
def test_what_is_not_a_mapping_in_yaml(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(cp.ConfigurationError, match=complaint):
        read_yaml(_file(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"key": "hunter2"', "not valid JSON in line 1"),
        ("[]", "not a mapping"),
        ("[" * 100_000, "not valid JSON"),
    ],
)
def test_what_is_not_a_mapping_in_json(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(cp.ConfigurationError, match=complaint) as caught:
        read_json(_file(tmp_path, text))
    assert "hunter" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for read in (read_yaml, read_json):
        with pytest.raises(cp.ConfigurationError, match="cannot be read: No such file"):
            read(tmp_path / "none")
        path = tmp_path / "binary"
        path.write_bytes(b"\xff\xfe")
        with pytest.raises(cp.ConfigurationError, match="not UTF-8"):
            read(path)


def test_values() -> None:
    tree = json.loads('{"ab": {"c": 1}, "n": null, "t": "x", "l": [1]}')
    assert (get(tree, "A-b", 0), get(tree, "n", "d"), get(tree, "none", "d")) == ({"c": 1}, "d", "d")
    assert (child(tree, "ab"), child(tree, "t"), child(tree, "none")) == ({"c": 1}, {}, {})
    assert (text_of("x"), text_of(None), text_of([1]), text_of(5)) == ("x", "", "", "5")
    assert (items([1], Path("f")), items(None, Path("f")), items("", Path("f"))) == ([1], [], [])
    with pytest.raises(cp.ConfigurationError, match="f: a list was expected"):
        items("x", Path("f"))


def test_aliases_that_stand_for_billions_of_values(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x]"]
    lines += [f"a{number}: &a{number} [{', '.join([f'*a{number - 1}'] * 9)}]" for number in range(1, 30)]
    with pytest.raises(cp.ConfigurationError, match="its aliases repeat too much; write out what they stand for"):
        read_yaml(_file(tmp_path, "\n".join(lines)))


def test_numbers_in_json_are_text(tmp_path: Path) -> None:
    digits = "9" * 5000
    tree = read_json(_file(tmp_path, f'{{"a": [{digits}, 1e999, 0.10, -0]}}'))
    assert tree == {"a": [digits, "1e999", "0.10", "-0"]}


@pytest.mark.parametrize("read", [read_yaml, read_json])
def test_a_name_that_no_file_can_have(tmp_path: Path, read: Any) -> None:
    with pytest.raises(cp.ConfigurationError, match="no file can have this name"):
        read(tmp_path / "a\0b")
