"""The states of a client, and what leads from one to the next."""

from __future__ import annotations

from typing import Final, NamedTuple

from cryptoproto import State

from .drawing import Drawing

__all__ = ["CHANGES", "Change", "client_states"]


class Change(NamedTuple):
    """What leads from one state to another."""

    before: State
    after: State
    reason: str


CHANGES: Final = (
    Change(State.CONNECTING, State.RESUMING, "handshake complete"),
    Change(State.RESUMING, State.LIVE, "replayed and compared"),
    Change(State.LIVE, State.WAITING, "link ended"),
    Change(State.RESUMING, State.WAITING, "link ended"),
    Change(State.CONNECTING, State.WAITING, "no link"),
    Change(State.WAITING, State.CONNECTING, "pause over"),
    Change(State.CONNECTING, State.CLOSED, "key or version does not fit"),
    Change(State.RESUMING, State.CLOSED, "another connection took over"),
    Change(State.LIVE, State.CLOSED, "close(), another connection took over"),
    Change(State.WAITING, State.CLOSED, "close()"),
)
"""All changes. A test runs clients through each of them."""

_PLACES: Final = {
    State.CONNECTING: (120, 50),
    State.RESUMING: (430, 50),
    State.LIVE: (740, 50),
    State.WAITING: (430, 180),
    State.CLOSED: (430, 310),
}


def client_states() -> str:
    """The diagram."""
    drawing = Drawing(860, 360, "The states of a client")
    for state, (x, y) in _PLACES.items():
        drawing.box(x, y, 130, 38, state.name, "end" if state is State.CLOSED else "box")
    words = {(change.before, change.after): change.reason for change in CHANGES}
    drawing.arrow((185, 50), (365, 50))
    drawing.text(275, 42, words[State.CONNECTING, State.RESUMING], "quiet")
    drawing.arrow((495, 50), (675, 50))
    drawing.text(585, 42, words[State.RESUMING, State.LIVE], "quiet")
    drawing.arrow((730, 69), (730, 173), (495, 173))
    drawing.text(722, 160, words[State.LIVE, State.WAITING], "quiet", "end")
    drawing.arrow((430, 69), (430, 161))
    drawing.text(422, 125, words[State.RESUMING, State.WAITING], "quiet", "end")
    drawing.arrow((145, 69), (145, 173), (365, 173))
    drawing.text(153, 125, words[State.CONNECTING, State.WAITING], "quiet", "start")
    drawing.arrow((365, 187), (105, 187), (105, 69))
    drawing.text(240, 204, words[State.WAITING, State.CONNECTING], "quiet")
    drawing.arrow((430, 199), (430, 291))
    drawing.text(438, 240, words[State.WAITING, State.CLOSED], "quiet", "start")
    drawing.arrow((70, 69), (70, 310), (365, 310))
    drawing.text(80, 302, words[State.CONNECTING, State.CLOSED], "quiet", "start")
    drawing.arrow((470, 69), (470, 120), (800, 120), (800, 304), (495, 304))
    drawing.arrow((770, 69), (770, 120))
    drawing.text(790, 296, f"from LIVE: {words[State.LIVE, State.CLOSED]}", "quiet", "end")
    drawing.text(790, 322, f"from RESUMING: {words[State.RESUMING, State.CLOSED]}", "quiet", "end")
    return drawing.svg()
