"""STOMP frames: escapes of both versions, pieces of any size, limits, and invalid frames."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cryptoproto as cp
from cryptoproto.apikeys import Frame
from cryptoproto.apikeys.stomp_frames import FrameParser, encode_frame, heart_beats, parse_heart_beat


def _parse(data: bytes, version: str = "1.2", **options: int) -> list[Frame | None]:
    parser = FrameParser(**options)
    parser.version = version
    return parser.feed(data)


def test_the_seeds_connect_frame() -> None:
    frame = Frame(
        "CONNECT",
        {
            "X-Deltix-Session-Id": "#Your session id",
            "X-Deltix-Signature": "#Signature",
            "X-Deltix-Nonce": "1000",
            "heart-beat": "0,0",
            "accept-version": "1.1,1.2",
        },
    )
    assert encode_frame(frame) == (
        b"CONNECT\nX-Deltix-Session-Id:#Your session id\nX-Deltix-Signature:#Signature\nX-Deltix-Nonce:1000\n"
        b"heart-beat:0,0\naccept-version:1.1,1.2\n\n\0"
    )
    assert _parse(encode_frame(frame)) == [frame]


@pytest.mark.parametrize(
    ("version", "text", "written"),
    [
        ("1.2", "a:b", rb"a\cb"),
        ("1.2", "a\nb", rb"a\nb"),
        ("1.2", "a\rb", rb"a\rb"),
        ("1.2", "a\\b", rb"a\\b"),
        ("1.2", "\\n", rb"\\n"),
        ("1.2", "ü", "ü".encode()),
        ("1.1", "a:b\n\\", rb"a\cb\n\\"),
        ("1.1", "a\rb", b"a\rb"),  # 1.1 has no escape for it, and needs none
    ],
)
def test_escapes(version: str, text: str, written: bytes) -> None:
    frame = Frame("SEND", {text: text, "destination": "/x"})
    data = encode_frame(frame, version)
    assert data == b"SEND\n" + written + b":" + written + b"\ndestination:/x\n\n\0"
    assert _parse(data, version) == [frame]


def test_connect_and_connected_are_never_escaped() -> None:
    frame = Frame("CONNECTED", {"server": "a:b\\c", "version": "1.2"})
    assert encode_frame(frame) == b"CONNECTED\nserver:a:b\\c\nversion:1.2\n\n\0"
    assert _parse(encode_frame(frame)) == [frame]


@pytest.mark.parametrize("value", ["a\nevil:1", "a\rb", "a\0b"])
def test_a_connect_frame_cannot_be_made_to_carry_more_headers(value: str) -> None:
    with pytest.raises(cp.ConfigurationError, match="cannot carry"):
        encode_frame(Frame("CONNECT", {"login": value}))
    with pytest.raises(cp.ConfigurationError, match="cannot carry"):
        encode_frame(Frame("CONNECT", {"lo:gin": "x"}))


@pytest.mark.parametrize(
    ("frame", "complaint"),
    [
        (Frame("HELLO"), "not a STOMP command"),
        (Frame("SUBSCRIBE", {}, b"body"), "has no body"),
        (Frame("SEND", {"": "x"}), "must have a name"),
        (Frame("SEND", {"a": "\0"}), "NUL"),
        (Frame("SEND", {"a": "\ud800"}), "UTF-8"),
    ],
)
def test_frames_that_cannot_be_written(frame: Frame, complaint: str) -> None:
    with pytest.raises(cp.ConfigurationError, match=complaint):
        encode_frame(frame)


@pytest.mark.parametrize("version", ["1.1", "1.2"])
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_frames_survive_in_pieces_of_any_size(version: str, data: st.DataObject) -> None:
    text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=10)
    headers = st.dictionaries(text.filter(bool).filter(lambda name: name != "content-length"), text, max_size=4)
    frames = data.draw(
        st.lists(st.builds(Frame, st.sampled_from(["SEND", "MESSAGE", "ERROR"]), headers, st.binary(max_size=40)))
    )
    wire = b"".join(encode_frame(frame, version) + b"\n" * data.draw(st.integers(0, 2)) for frame in frames)
    parser = FrameParser()
    parser.version = version
    found: list[Frame] = []
    while wire:
        size = data.draw(st.integers(1, len(wire)))
        found += [frame for frame in parser.feed(wire[:size]) if frame is not None]
        wire = wire[size:]
    expected = [
        Frame(
            frame.command,
            {**frame.headers, "content-length": str(len(frame.body))} if frame.body else frame.headers,
            frame.body,
        )
        for frame in frames
    ]
    assert found == expected


def test_line_ends_of_1_2_and_heart_beats() -> None:
    assert _parse(b"\n\r\nRECEIPT\r\nreceipt-id:7\r\n\r\n\0\n") == [
        None,
        None,
        Frame("RECEIPT", {"receipt-id": "7"}),
        None,
    ]


def test_of_a_repeated_header_the_first_counts() -> None:
    assert _parse(b"MESSAGE\nfoo:World\nfoo:Hello\n\n\0") == [Frame("MESSAGE", {"foo": "World"})]


def test_a_body_with_content_length_may_contain_nul() -> None:
    frame = Frame("SEND", {"destination": "/x", "content-length": "3"}, b"a\0b")
    assert _parse(b"SEND\ndestination:/x\ncontent-length:3\n\na\0b\0") == [frame]


def test_colons_in_values_are_read_even_if_they_should_have_been_escaped() -> None:
    assert _parse(b"MESSAGE\ndestination:queue:one\n\n\0") == [Frame("MESSAGE", {"destination": "queue:one"})]


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "does not begin with a command"),
        (b"x" * 20, "does not begin with a command"),
        (b"send\n\n\0", "does not begin with a command"),
        (b"SEND\nno colon\n\n\0", "no name or no colon"),
        (b"SEND\n:value\n\n\0", "no name or no colon"),
        (b"SEND\na:\\t\n\n\0", "escape that is not defined"),
        (b"SEND\na:b\\\n\n\0", "escape that is not defined"),
        (b"SEND\na:\xff\n\n\0", "not UTF-8"),
        (b"SEND\ncontent-length:x\n\n\0", "is not a number"),
        (b"SEND\ncontent-length:-1\n\n\0", "is not a number"),
        (b"SEND\ncontent-length:\xc2\xb2\n\n\0", "is not a number"),
        (b"SEND\ncontent-length:2000\n\n", "announces 2000 bytes; the maximum is 1000"),
        (b"SEND\ncontent-length:1\n\nab\0", "longer than its content-length"),
        (b"SEND\n\n" + b"a" * 1001, "longer than 1000 bytes"),
        (b"SEND\n\n" + b"a" * 1001 + b"\0", "longer than 1000 bytes"),
        (b"SUBSCRIBE\n\nbody\0", "has no body"),
        (b"SUBSCRIBE\ncontent-length:4\n\nbody\0", "has no body"),
        (b"SEND\n" + b"a:b\n" * 200 + b"\n\0", "more than 128 headers"),
        (b"SEND\na:" + b"b" * 70_000, "longer than 65536 bytes"),
    ],
)
def test_invalid_frames(data: bytes, complaint: str) -> None:
    with pytest.raises(cp.DecodeError, match=complaint):
        _parse(data, maximum_body=1000)


def test_carriage_return_has_no_escape_in_1_1() -> None:
    with pytest.raises(cp.DecodeError, match="escape that is not defined"):
        _parse(b"SEND\na:\\r\n\n\0", "1.1")


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_give_frames_or_one_error(data: bytes) -> None:
    with contextlib.suppress(cp.DecodeError):
        FrameParser(maximum_body=50).feed(data)


def test_heart_beats_are_agreed_per_direction() -> None:
    assert heart_beats((10_000, 10_000), (0, 0)) == (0, 0)
    assert heart_beats((1_000, 2_000), (3_000, 500)) == (1.0, 3.0)
    assert heart_beats((0, 2_000), (3_000, 500)) == (0, 3.0)
    assert parse_heart_beat(None) == (0, 0)
    assert parse_heart_beat("5,6") == (5, 6)
    for wrong in ("", "5", "a,b", "-1,0", "1,2,3", "1.5,2", "9999999999,1"):
        with pytest.raises(cp.DecodeError, match="two numbers"):
            parse_heart_beat(wrong)


def test_a_frame_shows_no_header_values() -> None:
    assert "hunter2" not in repr(Frame("CONNECT", {"passcode": "hunter2"}, b"hunter2"))
