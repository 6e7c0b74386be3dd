"""Which module each public name comes from, so that it can be imported when it is used for the first time.

The imports in ``cryptoproto/__init__.py`` say the same to type checkers.
"""

from __future__ import annotations

from typing import Final

__all__ = ["home_of"]

_NAMES: Final = {
    "client": (
        "BalanceDifference Client ClientCall ClientOverrides EventStream MemoryStore MetricsSnapshot Order "
        "OrderDifference OrderStatus OrderTable OutcomeReport PreparedOrder Report ReportStream SqliteStore "
        "State StateChange Store TradingClient"
    ),
    "client.metrics": "HistogramSnapshot Throttling",
    "client.store": "OutboxEntry OutboxKind",
    "connection": (
        "ConnectArguments ConnectCall Connection ConnectOptions ConnectOverrides Event PreparedMessage Throttle connect"
    ),
    "event_loop": "run",
    "exceptions": (
        "ClientClosed ConcurrentConnection ConfigurationError ConnectError ConnectionClosed "
        "CredentialsRefused CryptoprotoError DecodeError DuplicateClientOrderId GatewayError HandshakeError "
        "HeartbeatTimeout HistoryRewound HistoryTruncated IdentityInUse InsufficientFundsError InvalidKey "
        "InvalidPayload InvalidSequence JournalError LoginRefused MissingExtra OpenTimeout OrderFilled OrderInvalid "
        "OrderNotFilled OrderNotOpen OrderRejected OutcomeUnknown OwnershipLost PasswordRequired "
        "ProtocolError RateLimited RecordingError ReplaceIncomplete RequestError RequestNotSent "
        "RequestTimeout ServerError ServerRestart SlowConsumer StompError StoreError TradesDisabled "
        "UnknownServerError UnsupportedMessageType UnsupportedVersion"
    ),
    "garbage_collection": "tuned_gc",
    "history": (
        "BalanceRecord CostMethod HasMid History HistoryTable OrderChange OrderRecord Prices ProfitAndLoss "
        "RecordedStatus TradeRecord When"
    ),
    "instruments": "BookSource Instrument LimitedOrder OrderLimits",
    "keys": "PrivateKey PublicKey",
    "market_data": (
        "BookSide Feed FeedArguments FeedCall FeedObserver FeedOverrides FeedState FeedStateChange Level "
        "MarketData MarketUpdate OrderBook fetch_instruments"
    ),
    "messages": (
        "AmountLike AnonymousTrade Balance BuyOrderAmountChanged BuyOrderCancelled BuyOrderClosed "
        "BuyOrderPlaced CancelAllOrders CancelOrder DepositTransactionAccepted InstrumentRules "
        "InsufficientFunds Message OpenOrder OpenOrders OrderAmountChanged OrderBookAgg OrderCancelled "
        "OrderClosed OrderNotFound OrderPlaced Outgoing OwnTrade PlaceBuyFoKOrder PlaceBuyIoCOrder "
        "PlaceBuyLimitOrder PlaceOrder PlaceSellFoKOrder PlaceSellIoCOrder PlaceSellLimitOrder "
        "SellOrderAmountChanged SellOrderCancelled SellOrderClosed SellOrderPlaced SetBalance Side Time "
        "TimeInForce TradesDisabledOnPairs TradesEnabledOnPairs TradingRules TransactionInfo Unknown "
        "UserBalanceRequest UserBalanceResponse UserOrdersRequest UserOrdersResponse "
        "WithdrawalTransactionAccepted"
    ),
    "profiles": "Profile ProfileValues",
    "quotes": "QuoteFailure QuoteLevel Quotes QuoteUpdate",
    "reconnect": "Backoff Subscription",
    "recording": "Candle Recorder Replay candles record replay",
    "transport": "Closed Listener OpenOptions Transport TransportKind TransportOpener",
    "wire": "ErrorType Protocol",
}
_HOMES: Final = {name: (room, name) for room, names in _NAMES.items() for name in names.split()}
_HOMES["OutcomeKind"] = ("client.outcomes", "Kind")


def home_of(name: str) -> tuple[str, str] | None:
    """The module of a public name, and its name there; ``None`` if it is not public."""
    return _HOMES.get(name)
