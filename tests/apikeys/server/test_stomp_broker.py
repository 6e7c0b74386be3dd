"""Topics in memory."""

from __future__ import annotations

from cryptoproto.apikeys.server import Delivery, StompBroker


def test_messages_reach_the_current_listeners() -> None:
    broker = StompBroker()
    first: list[Delivery] = []
    second: list[Delivery] = []
    stops = [broker.listen("/a", first.append), broker.listen("/a", second.append)]
    assert (broker.publish("/b", "unheard"), broker.listeners("/a")) == (0, 2)
    assert broker.publish("/a", "tëxt", content_type="text/plain", headers={"h": "1", "content-type": "x"}) == 2
    expected = Delivery("/a", "2", "tëxt".encode(), {"h": "1", "content-type": "text/plain"})
    assert first == second == [expected]
    assert first[0].body is second[0].body  # one copy for all
    stops[0]()
    stops[0]()
    assert broker.listeners("/a") == 1
    stops[1]()
    stops[1]()
    assert broker.publish("/a", b"x") == 0
