"""The text of a script to its steps. Pure; every error names the file and the line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, get_args

from ..exceptions import ConfigurationError
from ..wire import Protocol
from .script import Peer, Script, Step, Verb
from .values import Constant, Value, parse_value

__all__ = ["parse_script"]

_HEADER: Final = re.compile(r"([A-Z][a-z]+):\s*(.*)")
_FRAME: Final = re.compile(r"([a-z]\w*)?(<<|<|>)\s*(.*)", re.ASCII)
_FIELD: Final = re.compile(r"([A-Za-z_@][\w.]*)=(.+)", re.ASCII | re.DOTALL)
_TYPE: Final = re.compile(r"[A-Z][A-Za-z]+", re.ASCII)
_PLAIN: Final = re.compile(r"""[^\s"\[\]{}]++(?!\S)""")
_END: Final = re.compile(r"[a-z]\w*", re.ASCII)
_ARROWS: Final[dict[str, Verb]] = {">": "send", "<": "expect", "<<": "await"}
_HEADERS: Final = ("Title", "Checks", "Peer", "Protocol", "Strict")
_PEERS: Final[tuple[Peer, ...]] = get_args(Peer)

_PAYLOADS: Final = {"message", "request", "event", "response", "broadcast", "market"}
"""The kinds of frames that carry JSON."""
_SENT: Final[dict[str, set[str]]] = {
    "exchange": {"hello", "proof", "message", "request", "raw", "text"},
    "client": {"hello", "event", "response", "error", "throttling", "broadcast", "raw", "text"},
}
_RECEIVED: Final[dict[str, set[str]]] = {
    "exchange": {"hello", "event", "response", "error", "throttling", "broadcast", "version", "market"},
    "client": {"hello", "proof", "message", "request"},
}
_ALWAYS_RECEIVED: Final = {"close", "lost", "nothing", "ping"}
_ACTIONS: Final[dict[str, set[str]]] = {
    "exchange": {"restart", "disable", "enable", "deposit", "withdraw", "configure"},
    "client": {"connect", "send", "request", "close"},
}
_REPORTS: Final = {"connected", "event", "broadcast", "response", "failed", "ended", "nothing"}
_NUMBERS: Final = {"sequence", "request", "transaction", "timestamp", "type", "tag", "timeout", "times"}
_DAMAGE: Final = {
    "first", "extra", "flip byte", "body first", "body extra", "wrong fill", "wrong padding", "wrong signature",
    "no signature",
}  # fmt: skip
_NO_NUMBER: Final = {"wrong fill", "wrong padding", "wrong signature", "no signature"}


def parse_script(text: str, *, name: str, file: str) -> Script:
    """The script in *text*.

    Args:
        text: the content of the file.
        name: what the script is called in reports.
        file: where the text is from, for errors.

    Raises:
        ConfigurationError: a line is not understood, or the header is incomplete.
    """
    headers: dict[str, str] = {}
    steps: list[Step] = []
    peer: Peer = "exchange"
    for number, line in enumerate(text.splitlines(), 1):
        try:
            words = list(_words(line))
            if not words:
                continue
            shown = " ".join(words)
            found = _HEADER.fullmatch(shown)
            if found is not None and not steps:
                _add_header(headers, found[1], found[2])
                peer = _peer(headers.get("Peer", peer))
            else:
                steps.append(_step(number, shown, words, peer))
        except ValueError as error:
            raise ConfigurationError(f"{file}:{number}: {error}") from None
    try:
        return _with_header(headers, tuple(steps), name)
    except ValueError as error:
        raise ConfigurationError(f"{file}: {error}") from None


def _add_header(headers: dict[str, str], header: str, text: str) -> None:
    if header not in _HEADERS or header in headers:
        raise ValueError(f"{header}: expected each of {', '.join(_HEADERS)} at most once")
    headers[header] = text


def _with_header(headers: dict[str, str], steps: tuple[Step, ...], name: str) -> Script:
    missing = [header for header in ("Title", "Checks", "Peer") if not headers.get(header)]
    if missing:
        raise ValueError(f"the header has no {' and no '.join(missing)}")
    if not any(step.verb in ("expect", "await", "report", "accept") for step in steps):
        raise ValueError("the script expects nothing, so it cannot fail")
    protocols = headers.get("Protocol", "signed, v5").split(",")
    strict = headers.get("Strict", "yes")
    if strict not in ("yes", "no"):
        raise ValueError(f"Strict: {strict} is neither yes nor no")
    try:
        spoken = tuple(Protocol(each.strip()) for each in protocols)
    except ValueError:
        raise ValueError(f"Protocol: {headers['Protocol']} is not known; write signed, v5, or both") from None
    peer = _peer(headers["Peer"])
    return Script(name, headers["Title"], headers["Checks"], peer, spoken, strict == "yes", steps)


def _peer(text: str) -> Peer:
    for peer in _PEERS:
        if text == peer:
            return peer
    raise ValueError(f"Peer: {text} is neither client nor exchange")


def _words(line: str) -> Iterator[str]:
    """The words of a line; quotes and brackets keep spaces. A word that starts with # begins a comment."""
    position, size = 0, len(line)
    while position < size:
        if line[position].isspace():
            position += 1
            continue
        if line[position] == "#":
            return
        plain = _PLAIN.match(line, position)
        if plain is not None:  # most words
            yield plain[0]
            position = plain.end()
            continue
        start, depth, quoted = position, 0, False
        while position < size and (depth or quoted or not line[position].isspace()):
            letter = line[position]
            if quoted and letter == "\\":
                position += 1
            elif letter == '"':
                quoted = not quoted
            elif not quoted:
                depth += (letter in "[{") - (letter in "]}")
            position += 1
        if quoted or depth:
            raise ValueError(f"{line[start:].strip()}: a quote or bracket is not closed")
        yield line[start:position]


def _step(number: int, shown: str, words: list[str], peer: Peer) -> Step:
    found = _FRAME.fullmatch(shown)
    if found is not None:
        end = found[1] or ""
        rest = [words[0].removeprefix(end).lstrip("<>"), *words[1:]]
        return _frame(number, shown, _ARROWS[found[2]], end, [word for word in rest if word], peer)
    verb, rest = words[0], words[1:]
    if verb in ("do", "report"):
        return _driven(number, shown, verb, rest, peer)
    if verb == "wait":
        return Step(number, shown, "wait", arguments=(_seconds(rest),))
    if words[:2] == ["stop", "reading"]:
        return Step(number, shown, "stop reading", end=_end_name(rest[1:]))
    if verb in ("cut", "read"):
        return Step(number, shown, "cut" if verb == "cut" else "read", end=_end_name(rest))
    if verb == "close":
        code = rest.pop(0) if rest and rest[0].isdecimal() else "1000"
        return Step(number, shown, "close", end=_end_name(rest), arguments=(parse_value(code),))
    return _opening(number, shown, verb, rest, peer)


def _opening(number: int, shown: str, verb: str, rest: list[str], peer: Peer) -> Step:
    verbs: dict[str, tuple[Verb, set[str]]]
    if peer == "exchange":
        verbs = {
            "connect": ("connect", {"client", "protocol", "resume"}),
            "open": ("open", {"client", "protocol"}),
            "watch": ("watch", set()),
        }
    else:
        verbs = {"accept": ("accept", {"last_sequence", "resume"}), "open": ("open", set())}
    if verb not in verbs:
        known = ", ".join((*verbs, "cut", "close", "wait", "stop reading", "read", "do", "report", ">, <, <<"))
        raise ValueError(f"{verb} is not a step of a script whose peer is the {peer}; the steps are {known}")
    known_verb, known_fields = verbs[verb]
    end = rest.pop(0) if rest and "=" not in rest[0] else ""
    arguments, fields, settings = _values(rest)
    unknown = [*settings, *(set(fields) - known_fields)]
    if "protocol" in fields and fields["protocol"] not in [Constant(protocol.value) for protocol in Protocol]:
        raise ValueError(f"{shown}: protocol= is signed or v5")
    if arguments or unknown:
        raise ValueError(f"{shown}: {verb} takes a name and {', '.join(sorted(known_fields)) or 'nothing else'}")
    return Step(number, shown, known_verb, end=_end_name([end] if end else []), fields=fields)


def _frame(number: int, shown: str, verb: Verb, end: str, words: list[str], peer: Peer) -> Step:
    if not words:
        raise ValueError(f"{shown}: what is sent or expected is missing")
    kind = words.pop(0)
    if _TYPE.fullmatch(kind) or kind == "payload":
        words.insert(0, kind)
        kind = "message"
    known = _SENT[peer] if verb == "send" else _RECEIVED[peer] | _ALWAYS_RECEIVED
    if kind not in known:
        raise ValueError(f"{shown}: {kind} is not one of {', '.join(sorted(known))}, or the name of a message")
    if kind == "nothing":
        if verb != "expect":
            raise ValueError(f"{shown}: write < nothing")
        return Step(number, shown, verb, end, kind, arguments=(_seconds(words),))
    name = words.pop(0) if kind in _PAYLOADS and words and (_TYPE.fullmatch(words[0]) or words[0] == "payload") else ""
    arguments, fields, settings = _values(words)
    if kind in _PAYLOADS and verb == "send" and not name:
        raise ValueError(f"{shown}: the name of the message is missing")
    if kind in ("text", "error") and verb == "send" and not arguments:
        raise ValueError(f"{shown}: what is sent is missing")
    return Step(number, shown, verb, end, kind, name, arguments, fields, settings)


def _driven(number: int, shown: str, verb: str, words: list[str], peer: Peer) -> Step:
    known = _ACTIONS[peer] if verb == "do" else _REPORTS
    if verb == "report" and peer == "exchange":
        raise ValueError(f"{shown}: only clients report")
    if not words or words[0] not in known:
        raise ValueError(f"{shown}: expected one of {', '.join(sorted(known))}")
    kind = words.pop(0)
    if kind == "nothing":
        return Step(number, shown, "report", kind=kind, arguments=(_seconds(words),))
    name = words.pop(0) if words and _TYPE.fullmatch(words[0]) else ""
    arguments, fields, settings = _values(words)
    return Step(number, shown, "do" if verb == "do" else "report", "", kind, name, arguments, fields, settings)


def _values(words: list[str]) -> tuple[tuple[Value, ...], dict[str, Value], dict[str, Value | None]]:
    arguments: list[Value] = []
    fields: dict[str, Value] = {}
    settings: dict[str, Value | None] = {}
    for word in words:
        found = _FIELD.fullmatch(word)
        if word.startswith("["):
            key, value = _setting(word[1:-1])
            settings[key] = value
        elif found is not None:
            if found[1] in fields:
                raise ValueError(f"{found[1]} is given twice")
            fields[found[1]] = parse_value(found[2])
        else:
            arguments.append(parse_value(word))
    return tuple(arguments), fields, settings


def _setting(text: str) -> tuple[str, Value | None]:
    words = [word for word in text.split() if word != "bytes"]
    if " ".join(words) in _NO_NUMBER:
        return " ".join(words), None
    key = " ".join(words[:-1])
    if key not in _NUMBERS | _DAMAGE - _NO_NUMBER:
        known = ", ".join(sorted(_NUMBERS | _DAMAGE))
        raise ValueError(f"[{text}] is not known; the settings are {known}, most with a number")
    return key, parse_value(words[-1])


def _seconds(words: list[str]) -> Value:
    """``5 s`` or ``for 5 s``; a second if nothing is said."""
    if words[:1] == ["for"]:
        words = words[1:]
    if not words:
        return parse_value("1")
    if len(words) != 2 or words[1] != "s" or not re.fullmatch(r"\d+(\.\d+)?", words[0]):
        raise ValueError(f"{' '.join(words)} is not a time; write it like 5 s")
    return parse_value(words[0])


def _end_name(words: list[str]) -> str:
    if len(words) > 1 or not all(_END.fullmatch(word) for word in words):
        raise ValueError(f"{' '.join(words)} is not the name of a connection")
    return words[0] if words else ""
