"""The text of scripts, and the errors that name file and line."""

from __future__ import annotations

import pytest

import cryptoproto as cp
from cryptoproto.conformance import Script, parse_script
from cryptoproto.conformance.values import Constant, Variable

HEADER = "Title: A title\nChecks: protocol.md#handshake\nPeer: {peer}\n\n"


def parse(text: str, peer: str = "exchange") -> Script:
    return parse_script(HEADER.format(peer=peer) + text, name="topic/name", file="topic/name.txt")


def test_a_whole_script() -> None:
    script = parse_script(
        "# A comment\n"
        "Title: A gap closes the connection\n"
        "Checks: protocol.md#close-codes\n"
        "Peer: exchange\n"
        "Protocol: v5\n"
        "Strict: no\n"
        "\n"
        "connect alice  # and a comment\n"
        'bob> PlaceBuyLimitOrder text="# no comment" client_order_id=@1 [sequence $next+1] [first 37 bytes]\n'
        "<< close 4001\n"
        "do restart\n",
        name="topic/name",
        file="f",
    )
    assert (script.title, script.section, script.topic) == (
        "A gap closes the connection", "protocol.md#close-codes", "topic",
    )  # fmt: skip
    assert script.protocols == (cp.Protocol.V5,)
    assert not script.strict
    assert script.actions == ("restart",)
    connect, send, close, _ = script.steps
    assert (connect.verb, connect.end, connect.line) == ("connect", "alice", 8)
    assert (send.verb, send.end, send.kind, send.name) == ("send", "bob", "message", "PlaceBuyLimitOrder")
    assert send.fields["text"] == Constant("# no comment")
    assert send.settings["first"] == Constant(37)
    assert isinstance(send.settings["sequence"], Variable)
    assert (close.verb, close.kind, close.arguments) == ("await", "close", (Constant(4001),))


def test_by_default_a_script_is_strict_and_runs_in_both_forms() -> None:
    script = parse("connect alice\n< nothing for 2 s")
    assert script.strict
    assert script.protocols == tuple(cp.Protocol)
    assert script.steps[1].arguments == (Constant(2),)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("fly", "fly is not a step of a script whose peer is the exchange"),
        ("accept", "accept is not a step"),
        (">", "what is sent or expected is missing"),
        ("> event OrderNotFound", "event is not one of"),
        ("< message X", "message is not one of"),
        ("<< nothing", "write < nothing"),
        ("< nothing for ever", "is not a time"),
        ("wait a while", "is not a time"),
        ("> request", "the name of the message is missing"),
        ("> text", "what is sent is missing"),
        ('> CancelAllOrders text="open', "not closed"),
        ("> CancelAllOrders [sequence", "not closed"),
        ("> CancelAllOrders [colour green]", r"\[colour green\] is not known"),
        ("> CancelAllOrders [sequence $Next]", "is not a variable"),
        ("> CancelOrder order_id=1 order_id=2", "order_id is given twice"),
        ("do magic", "expected one of"),
        ("do", "expected one of"),
        ("report ended", "only clients report"),
        ("connect alice bob", "connect takes a name and client, protocol, resume"),
        ("connect alice colour=green", "connect takes a name and client, protocol, resume"),
        ("connect alice protocol=v4", "protocol= is signed or v5"),
        ("watch Feed", "is not the name of a connection"),
        ("cut one two", "is not the name of a connection"),
        ("Title: again", "fly|is not a step"),
    ],
)
def test_a_line_that_is_not_understood(line: str, words: str) -> None:
    with pytest.raises(cp.ConfigurationError, match=words) as caught:
        parse(f"connect alice\n{line}\n< nothing")
    assert str(caught.value).startswith("topic/name.txt:6: ")


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("Title: a\n", "no Checks and no Peer"),
        ("Title: a\nTitle: b\n", ":2: Title: expected each of"),
        ("Colour: green\n", ":1: Colour: expected each of"),
        ("Peer: server\n", ":1: Peer: server is neither client nor exchange"),
        ("Title: a\nChecks: b\nPeer: client\nProtocol: v4\n\nopen\n< close", "Protocol: v4 is not known"),
        ("Title: a\nChecks: b\nPeer: client\nStrict: perhaps\n\nopen\n< close", "neither yes nor no"),
        ("Title: a\nChecks: b\nPeer: client\n\nopen", "expects nothing"),
    ],
)
def test_a_header_that_is_not_understood(header: str, words: str) -> None:
    with pytest.raises(cp.ConfigurationError, match=words):
        parse_script(header, name="n", file="f.txt")


def test_steps_of_a_script_for_a_client() -> None:
    steps = parse(
        "do connect resume=5\naccept last_sequence=4\ndo request UserBalanceRequest [tag a]\n"
        '> error 2 "no such pair"\nclose 4000\nstop reading\nread\nreport nothing for 2 s\nreport ended code=4000\n'
        '> event payload "x \\"y\\"" [wrong fill]\n',
        "client",
    ).steps
    assert [step.verb for step in steps] == [
        "do", "accept", "do", "send", "close", "stop reading", "read", "report", "report", "send",
    ]  # fmt: skip
    assert steps[2].name == "UserBalanceRequest"
    assert steps[4].arguments == (Constant(4000),)
    assert steps[9].arguments == (Constant('x "y"'),)
    assert steps[9].settings == {"wrong fill": None}
