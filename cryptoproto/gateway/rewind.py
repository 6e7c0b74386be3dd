"""What has to be done if the exchange has forgotten history that a gateway and its strategies know."""

from __future__ import annotations

from ..exceptions import HistoryRewound
from .names import Names

__all__ = ["rewound_for_all"]


def rewound_for_all(error: HistoryRewound, names: Names) -> HistoryRewound:
    """*error*, which ended the owner's client, as the gateway and all strategies raise it."""
    remedy = (
        f"delete the NATS streams {names.events_stream} and {names.log_stream}, start the gateways again, and each "
        "strategy with a new store"
    )
    return HistoryRewound(error.position, error.exchange_position, error.what, remedy)
