"""Every metric, from the metrics of a client that has just been made."""

from __future__ import annotations

import asyncio
from typing import Final

from prometheus_client.core import Metric

import cryptoproto as cp
from cryptoproto.client.prometheus import ClientCollector

from ..markdown import heading, table

__all__ = ["MEANINGS", "fresh_metrics", "page"]

_HEAD: Final = """\
# Metrics

[`client.metrics()`][cryptoproto.Client.metrics] returns them as a [`MetricsSnapshot`][cryptoproto.MetricsSnapshot];
[`serve_metrics()`][cryptoproto.client.prometheus.serve_metrics] (extra `metrics`) serves them to Prometheus, under the names on the
right. [How to monitor a bot](../how-to/monitor.md) says which of them to watch.
"""
_GATEWAY: Final = """\
`cryptoproto gateway run --metrics-port 9100` serves those of the client that owns the session, with the prefix
`cryptoproto_gateway` in place of `cryptoproto_client`, and these:

| name in Prometheus | kind | meaning |
| --- | --- | --- |
| `cryptoproto_gateway_is_owner` | gauge | 1 while this gateway owns the exchange session; the sum over all gateways should be 1 |
| `cryptoproto_gateway_fence` | gauge | number of the present ownership; grows with each takeover |
| `cryptoproto_gateway_takeovers_total` | counter | how often this gateway has become the owner |
| `cryptoproto_gateway_event_stream_position` | gauge | last transaction that was published to the strategies |
| `cryptoproto_gateway_event_stream_lag` | gauge | transactions that were received and are not published yet |
| `cryptoproto_gateway_events_published_total` | counter | transactions published by this gateway |
"""

MEANINGS: Final = {
    "events": "transactions received",
    "broadcasts": "broadcasts received",
    "connections": "connections opened, with a complete handshake",
    "disconnections": "connections that have ended",
    "orders_sent": "orders handed to the network",
    "orders_acknowledged": "orders that the exchange has accepted",
    "orders_rejected": "orders that the exchange has refused",
    "cancels_sent": "cancels of one order handed to the network",
    "cancel_alls_sent": "cancels of all orders handed to the network",
    "not_sent": "calls that ended with RequestNotSent",
    "outcomes_unknown": "calls that ended with OutcomeUnknown; each gets a report later",
    "resent": 'messages sent again, with resend="once"',
    "requests": "requests sent",
    "throttled": "throttling frames received",
    "queued_events": "events that wait to be read by your loop",
    "requests_in_flight": "requests without a response",
    "unanswered_messages": "orders and cancels without an answer",
    "pacing_depth": "messages that wait for order_rate",
    "pacing_hold_s": "seconds until the next of them may be sent",
    "throttling_hold_s": "seconds for which throttling still holds messages",
    "open_orders": "orders that are open, as of the last event",
    "connected": "1 while there is a connection",
    "order_to_acknowledgement": "from the call that places an order until the answer is read",
    "request_round_trip": "from the call that sends a request until its response is read",
    "receive_to_dispatch": "from reading an event until it is passed to you",
}
"""What each metric means, by its name in a snapshot."""


class _Snapshot:
    """Metrics that ask for nothing more than their names."""

    def __init__(self, snapshot: cp.MetricsSnapshot) -> None:
        self._snapshot = snapshot

    def metrics(self) -> cp.MetricsSnapshot:
        return self._snapshot


async def fresh_metrics() -> cp.MetricsSnapshot:
    """The metrics of a client that has not connected yet."""
    key = cp.PrivateKey.generate()
    return cp.Client("ws://127.0.0.1:1", client_id="alice", private_key=key, server_key=key.public_key).metrics()


def page() -> str:
    """The page."""
    families: dict[str, Metric] = {}
    for name, values in _each(asyncio.run(fresh_metrics())).items():
        (families[name],) = ClientCollector(_Snapshot(values)).collect()
    rows = [
        [f"`{name}`", MEANINGS[name], family.type, f"`{family.name}{'_total' if family.type == 'counter' else ''}`"]
        for name, family in families.items()
    ]
    own = table(["name", "meaning", "kind", "name in Prometheus"], rows)
    return "\n\n".join([_HEAD, heading(2, "Of a client"), own, heading(2, "Of a gateway"), _GATEWAY])


def _each(snapshot: cp.MetricsSnapshot) -> dict[str, cp.MetricsSnapshot]:
    """A snapshot for each metric alone, by its name."""
    found = {name: cp.MetricsSnapshot({name: count}, {}, {}) for name, count in snapshot.counters.items()}
    found |= {name: cp.MetricsSnapshot({}, {name: value}, {}) for name, value in snapshot.gauges.items()}
    found |= {name: cp.MetricsSnapshot({}, {}, {name: value}) for name, value in snapshot.histograms.items()}
    return found
