"""The states of a feed speak like those of a client."""

from __future__ import annotations

import cryptoproto as cp


def test_a_change_has_the_fields_of_a_clients_change() -> None:
    assert set(cp.FeedStateChange.__struct_fields__) == set(cp.StateChange.__struct_fields__) - {"replayed"}
    for name in ("attempt", "delay_s", "error"):
        feed, client = cp.FeedStateChange(cp.FeedState.LIVE, "connected"), cp.StateChange(cp.State.LIVE, "connected")
        assert getattr(feed, name) == getattr(client, name)


def test_states_that_both_have_are_called_the_same() -> None:
    feed = {state.name: state.value for state in cp.FeedState}
    client = {state.name: state.value for state in cp.State}
    assert feed.keys() - client.keys() == {"IDLE"}
    assert client.keys() - feed.keys() == {"RESUMING"}
    assert all(feed[name] == client[name] for name in feed.keys() & client.keys())
