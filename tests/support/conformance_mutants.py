"""Exchanges and clients with one fault each, and the scripts that have to notice it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import pytest

import cryptoproto as cp
from cryptoproto.connection.pump import Pump
from cryptoproto.connection.requests import RequestTable
from cryptoproto.connection.throttle import SendGate
from cryptoproto.exchange.accounts import Account
from cryptoproto.exchange.book import Book
from cryptoproto.exchange.feed import MarketFeed
from cryptoproto.exchange.id_set import IdSet
from cryptoproto.exchange.ledger import ClientRecord, MemoryLedger
from cryptoproto.exchange.link import ClientLink
from cryptoproto.exchange.link_table import LinkTable
from cryptoproto.exchange.matching import Matching
from cryptoproto.exchange.outbound import Outbound
from cryptoproto.exchange.rate_limit import RateLimit
from cryptoproto.exchange.venue import Venue
from cryptoproto.transport import Heartbeat
from cryptoproto.wire import BroadcastFrame, ClientSession, Protocol, ServerSession
from cryptoproto.wire.handshake import client_hello

__all__ = ["CLIENT", "EXCHANGE", "Patch"]

Patch = Callable[[pytest.MonkeyPatch], None]


def replaced(owner: Any, name: str, made: Callable[[Any], Any]) -> Patch:
    """A patch that replaces *name* of *owner* by what *made* makes of the original."""
    return lambda patch: patch.setattr(owner, name, made(getattr(owner, name)))


def nothing(owner: Any, name: str, result: Any = None) -> Patch:
    """A patch after which *name* of *owner* does nothing."""
    return replaced(owner, name, lambda _: lambda *args, **kwargs: result)


def close_code(right: int, wrong: int) -> Patch:
    """An exchange that closes with *wrong* in place of *right*."""
    return replaced(
        ClientLink,
        "close",
        lambda close: lambda link, code, reason: close(link, wrong if code == right else code, reason),
    )


def any_sequence(receive: Any) -> Any:
    def patched(session: Any, frame: bytes) -> Any:
        try:
            return receive(session, frame)
        except cp.InvalidSequence:
            return session._verified(session._opener.open(frame))

    return patched


def wrong_error_type(submit: Any) -> Any:
    def patched(venue: Venue, *args: Any) -> Any:
        refused = submit(venue, *args)
        return refused and msgspec.structs.replace(refused, error_type=-1)

    return patched


def reuses_client_order_ids(place: Any) -> Any:
    def patched(matching: Matching, account: Account, *args: Any) -> None:
        account.client_order_ids = IdSet()
        place(matching, account, *args)

    return patched


def goes_on_after_an_error(refuse: Any) -> Any:
    def patched(link: Any, refused: Any) -> None:
        link._loop.call_later(0.1, refuse, link, refused)

    return patched


def stays_after_an_error(refuse: Any) -> Any:
    def patched(outbound: Any, refused: Any) -> None:
        outbound._close = lambda code, reason: None
        refuse(outbound, refused)

    return patched


def forgets_refused_sequences(append: Any) -> Any:
    def patched(ledger: MemoryLedger, command: Any, outputs: Any, *, sequence: int | None = None, **more: Any) -> Any:
        return append(ledger, command, outputs, sequence=sequence if outputs else None, **more)

    return patched


def takes_over_silently(joined: Any) -> Any:
    def patched(table: LinkTable, link: ClientLink) -> None:
        if link.record is not None:
            table.by_client[link.record.client_id] = link

    return patched


def never_closed_inline(placed: Any) -> Any:
    def patched(*args: Any) -> Any:
        private = placed(*args)
        return msgspec.structs.replace(private, message=msgspec.structs.replace(private.message, closed_inline=False))

    return patched


def releases_half(release: Any) -> Any:
    return lambda account, currency, units, time: release(account, currency, units // 2, time)


EXCHANGE: Mapping[str, tuple[Patch, tuple[str, ...]]] = {
    "accepts every sequence": (
        replaced(ServerSession, "receive", any_sequence),
        ("sequences/gap", "sequences/repeated", "sequences/zero", "sequences/negative", "sequences/gap-is-not-handled"),
    ),
    "closes with 1008 for a wrong sequence": (close_code(4001, 1008), ("sequences/gap", "sequences/large-gap")),
    "closes with 1000 for a takeover": (close_code(4000, 1000), ("takeover/newest-wins", "takeover/three-connections")),
    "closes with 1001 for a restart": (close_code(1012, 1001), ("restarts/announced",)),
    "closes with 1008 for the rate limit": (close_code(4009, 1008), ("throttling/ignored",)),
    "closes with 1000 for an undecodable frame": (
        close_code(1002, 1000),
        ("frames/half-a-block", "handshake/version-2"),
    ),
    "leaves the older connection open": (replaced(LinkTable, "joined", takes_over_silently), ("takeover/newest-wins",)),
    "repeats the last seen event": (
        replaced(
            ClientRecord, "after", lambda after: lambda record, seen: after(record, seen - 1 if seen > 0 else seen)
        ),
        ("replay/not-what-was-seen", "replay/beyond-the-newest", "replay/later-events"),
    ),
    "replays nothing": (
        replaced(Outbound, "start", lambda start: lambda out, record, ledger, seen: start(out, record, ledger, -1)),
        ("replay/later-events", "replay/from-the-start", "replay/what-happened-meanwhile", "restarts/replay"),
    ),
    "replays everything for -1": (
        replaced(
            Outbound, "start", lambda start: lambda out, record, ledger, seen: start(out, record, ledger, max(seen, 0))
        ),
        ("replay/live-only",),
    ),
    "says that it has seen no message": (
        replaced(ServerSession, "accept", lambda accept: lambda session, key, last: accept(session, key, 0)),
        ("sequences/hello-names-the-last-one", "restarts/sequences", "takeover/sequences-go-on"),
    ),
    "believes every proof and signature": (
        nothing(cp.PublicKey, "verify", True),
        ("handshake/wrong-signature", "handshake/proof-of-zeros", "frames/wrong-signature", "frames/no-signature"),
    ),
    "answers invalid payloads with error -1": (
        replaced(Venue, "submit", wrong_error_type),
        ("errors/not-json", "errors/amount-0", "errors/unknown-pair", "errors/duplicate-client-order-id"),
    ),
    "accepts a client order id twice": (
        replaced(Matching, "place", reuses_client_order_ids),
        ("errors/duplicate-client-order-id", "errors/duplicate-of-a-closed-order", "restarts/client-order-ids"),
    ),
    "stays connected after an error": (replaced(Outbound, "refuse", stays_after_an_error), ("errors/not-json",)),
    "handles messages behind an error": (
        replaced(ClientLink, "_refuse", goes_on_after_an_error),
        ("errors/nothing-is-handled-behind-one",),
    ),
    "does not count refused messages": (
        replaced(MemoryLedger, "append", forgets_refused_sequences),
        ("sequences/counted-although-refused",),
    ),
    "fills FoK orders in part": (nothing(Book, "can_fill", True), ("orders/fok-killed",)),
    "releases half of a hold": (
        replaced(Account, "release", releases_half),
        ("cancels/one", "cancels/sell", "orders/ttl"),
    ),
    "does not cancel all": (nothing(Matching, "cancel_all"), ("cancels/all",)),
    "lets no order expire": (nothing(Matching, "expire"), ("orders/ttl",)),
    "ignores the limit of open orders": (
        nothing(cp.exchange.server.Exchange, "_limit_open_orders"),
        ("limits/open-orders",),
    ),
    "ignores the rules of pairs": (
        nothing(Matching, "_check_rules"),
        ("limits/tick-size", "limits/lot-size", "limits/smallest-amount"),
    ),
    "never closes an order inline": (
        lambda patch: patch.setattr(
            "cryptoproto.exchange.matching._placed", never_closed_inline(cp.exchange.matching._placed)
        ),
        ("orders/full-fill", "orders/fok-filled", "orders/ioc-in-full"),
    ),
    "numbers responses on its own": (
        replaced(ServerSession, "response", lambda made: lambda session, number, raw: made(session, number + 1, raw)),
        ("rpc/id-comes-back", "rpc/many-in-flight"),
    ),
    "gives all events the same id": (
        replaced(ServerSession, "transaction", lambda made: lambda session, number, *more: made(session, 1, *more)),
        ("sequences/continue", "orders/buy-is-placed"),
    ),
    "does not throttle": (nothing(Outbound, "throttle"), ("throttling/above-the-limit", "throttling/pausing-helps")),
    "never disconnects for the rate": (nothing(RateLimit, "exhausted", False), ("throttling/ignored",)),
    "sends no pings": (nothing(Heartbeat, "start"), ("heartbeat/pings", "heartbeat/silent-client")),
    "does not say why it disconnects": (nothing(Outbound, "report_silence"), ("heartbeat/silent-client",)),
    "broadcasts nothing": (nothing(LinkTable, "broadcast"), ("pairs/disabled", "pairs/broadcast-to-everybody")),
    "publishes no books": (nothing(MarketFeed, "books_changed"), ("market-data/new-order",)),
    "publishes no trades": (nothing(MarketFeed, "publish"), ("market-data/trade", "market-data/disabled-pairs")),
    "speaks version 4": (
        lambda patch: patch.setitem(cp.wire.session.SPOKEN_VERSIONS, 4, Protocol.V5),
        ("handshake/version-4",),
    ),
    "does not check the fill of XDR": (
        lambda patch: patch.setattr(
            "cryptoproto.wire.frames._opaque", lambda body, start, length: body[start : start + length]
        ),
        ("frames/wrong-fill", "frames/body-too-long"),
    ),
}


def shifted_sequence(by: int) -> Patch:
    def made(receive_hello: Any) -> Any:
        def patched(session: ClientSession, frame: bytes) -> Any:
            opened = receive_hello(session, frame)
            session.next_sequence += by
            return opened

        return patched

    return replaced(ClientSession, "_receive_hello", made)


def replaced_receive(made: Callable[[Any], Any]) -> Patch:
    """A client that decodes each frame with what *made* makes of ``receive()``, also those that come in one read."""

    def receive_all(session: ClientSession, frames: list[bytes]) -> Any:
        received: list[Any] = []
        try:
            received.extend(result for frame in frames if (result := session.receive(frame)) is not None)
        except (cp.HandshakeError, cp.DecodeError, cp.HistoryRewound) as error:
            return received, error
        return received, None

    def patch_both(patch: pytest.MonkeyPatch) -> None:
        replaced(ClientSession, "receive", made)(patch)
        patch.setattr(ClientSession, "receive_all", receive_all)

    return patch_both


def position_before(change: Callable[[int], int]) -> Patch:
    """A client that compares transactions with another position than its own."""

    def made(receive: Any) -> Any:
        def patched(session: ClientSession, frame: bytes) -> Any:
            session.last_transaction_id = change(session.last_transaction_id)
            return receive(session, frame)

        return patched

    return replaced_receive(made)


def swallows(error: type[Exception]) -> Patch:
    def made(receive: Any) -> Any:
        def patched(session: ClientSession, frame: bytes) -> Any:
            try:
                return receive(session, frame)
            except error:
                return None

        return patched

    return replaced_receive(made)


def drops_broadcasts(receive: Any) -> Any:
    def patched(session: ClientSession, frame: bytes) -> Any:
        received = receive(session, frame)
        return None if isinstance(received, BroadcastFrame) else received

    return patched


def one_request_id(patch: pytest.MonkeyPatch) -> None:
    for name in ("draft_request", "request_frame"):

        def made(original: Any) -> Any:
            def patched(session: Any, payload: bytes) -> Any:
                session._next_request_id = 1
                return original(session, payload)

            return patched

        patch.setattr(ClientSession, name, made(getattr(ClientSession, name)))


def hello_with(**fields: Any) -> Patch:
    def patched(hello: Any, key: cp.PublicKey) -> bytes:
        return client_hello(msgspec.structs.replace(hello, **fields), key)

    return lambda patch: patch.setattr("cryptoproto.wire.session.client_hello", patched)


class _EverySize:
    def __ne__(self, other: object) -> bool:
        return False

    __hash__ = None  # type: ignore[assignment]


def answers_the_oldest_call(resolve: Any) -> Any:
    def patched(table: Any, request_id: int, payload: bytes) -> None:
        resolve(table, min(table._calls, default=0), payload)

    return patched


def keeps_the_link(patch: pytest.MonkeyPatch) -> None:
    fail = Pump.fail

    def patched(pump: Pump, error: Any, code: Any, **more: Any) -> None:
        fail(pump, error, None if isinstance(error, cp.ServerError) else code, **more)

    async def close(pump: Pump, timeout: float) -> None:
        pass

    patch.setattr(Pump, "fail", patched)
    patch.setattr(Pump, "close", close)


CLIENT: Mapping[str, tuple[Patch, tuple[str, ...]]] = {
    "begins with the last seen sequence": (shifted_sequence(-1), ("sequences/first", "sequences/of-a-new-client")),
    "leaves out a sequence": (shifted_sequence(1), ("sequences/first", "sequences/consecutive")),
    "uses one request id for all": (one_request_id, ("rpc/many-in-flight", "rpc/out-of-order")),
    "delivers repeated events": (
        position_before(lambda position: 0),
        ("events/repeated-in-the-replay", "events/repeated-on-the-connection"),
    ),
    "skips an event that is new": (position_before(lambda position: position + 1), ("events/delivered",)),
    "always resumes from the start": (hello_with(last_seen_order=0), ("handshake/resume", "handshake/live-only")),
    "sends version 4": (hello_with(version=4), ("handshake/v5-sends-its-version", "handshake/signed-sends-no-version")),
    "signs every challenge": (
        lambda patch: patch.setattr("cryptoproto.wire.handshake.CHALLENGE_BYTES", _EverySize()),
        ("handshake/short-challenge", "handshake/long-challenge"),
    ),
    "signs wrongly": (
        replaced(cp.PrivateKey, "sign", lambda sign: lambda key, data: sign(key, data + b"!")),
        ("handshake/hello", "sequences/first"),
    ),
    "gives each response to the oldest call": (
        replaced(RequestTable, "resolve", answers_the_oldest_call),
        ("rpc/out-of-order", "rpc/many-in-flight"),
    ),
    "leaves requests in flight when the link is lost": (
        nothing(RequestTable, "fail_all"),
        ("rpc/connection-lost", "errors/requests-in-flight"),
    ),
    "has no deadlines": (nothing(RequestTable, "_expire"), ("rpc/no-response", "rpc/late-response")),
    "ignores throttling": (nothing(SendGate, "hold"), ("throttling/held",)),
    "does not tell errors apart": (
        lambda patch: patch.setattr(
            "cryptoproto.connection.pump.server_error", lambda _, text: cp.UnknownServerError(-1, text)
        ),
        ("errors/duplicate", "errors/invalid-payload", "errors/missed-heartbeat", "errors/of-the-future"),
    ),
    "sends no pings": (nothing(Heartbeat, "start"), ("heartbeat/pings", "heartbeat/silent-exchange")),
    "drops what it cannot read": (
        swallows(cp.DecodeError),
        ("frames/half-a-block", "frames/wrong-padding", "frames/type-6", "handshake/hello-of-market-data"),
    ),
    "forgets close codes": (
        lambda patch: patch.setattr(
            "cryptoproto.connection.closing.connection_closed", lambda code, reason: cp.ConnectionClosed(None, reason)
        ),
        ("close/restart", "close/taken-over", "sequences/wrong"),
    ),
    "drops broadcasts": (replaced_receive(drops_broadcasts), ("events/broadcasts",)),
    "stays after an error frame": (keeps_the_link, ("errors/without-a-close",)),
    "takes every history": (swallows(cp.HistoryRewound), ("events/rewound",)),
}
