"""Passwords and secrets: typed at a terminal, or read from standard input."""

from __future__ import annotations

import io
import sys

import pytest
import typer

from cryptoproto.cli.prompts import ask_secret


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, object]] = []

    def prompt(text: str, **options: object) -> str:
        asked.append((text, options))
        return "geheim"

    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr(typer, "prompt", prompt)
    assert ask_secret("Password", confirm=True) == "geheim"
    assert asked == [("Password", {"hide_input": True, "err": True, "confirmation_prompt": True})]


def test_without_a_terminal_a_line_is_read(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("geheim\r\nmore\n"))
    assert ask_secret("Password") == "geheim"
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "geheim" not in captured.err


def test_an_empty_standard_input_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    with pytest.raises(typer.Abort):
        ask_secret("Password")
