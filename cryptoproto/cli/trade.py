"""``tail``, ``order`` and ``request``: commands that use one connection."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, Final, Literal, TypeVar

import typer

from ..connection import Connection, Event, connect
from ..exceptions import (
    ConfigurationError,
    ConnectionClosed,
    InsufficientFundsError,
    OrderRejected,
    OutcomeUnknown,
    ProtocolError,
)
from ..messages import (
    CancelAllOrders,
    CancelOrder,
    InsufficientFunds,
    Message,
    OrderCancelled,
    OrderNotFound,
    OrderPlaced,
    PlaceBuyLimitOrder,
    PlaceOrder,
    PlaceSellLimitOrder,
    Side,
    TimeInForce,
    Unknown,
    UserBalanceRequest,
    UserBalanceResponse,
    UserOrdersRequest,
    UserOrdersResponse,
    place_message,
    plain,
)
from .exit_codes import ExitCode
from .options import (
    ClientId,
    Insecure,
    Json,
    KeyFile,
    ProfileName,
    ProfileTimeout,
    ProtocolName,
    ServerKeyFile,
    TakeOver,
    TransportOverride,
    Url,
    answer_timeout,
    connecting,
    connection_settings,
)
from .order_checks import OrderCheck
from .output import console, counted, note, print_event, print_json, short, show, table
from .running import reported_if_stopped, run

__all__ = ["order", "request", "tail"]

T = TypeVar("T")

_ADVICE: Final = "`cryptoproto tail` shows whether it took effect"

order: typer.Typer = typer.Typer(
    no_args_is_help=True, help="Place and cancel orders, and wait for the answer of the exchange."
)


def _show(event: Event, json: bool) -> None:
    if json:
        print_json({"transaction_id": event.transaction_id, "timestamp": event.timestamp, "payload": event.payload})
    else:
        print_event(event)


def tail(
    url: Url = None,
    client_id: ClientId = None,
    key: KeyFile = None,
    server_key: ServerKeyFile = None,
    profile: ProfileName = None,
    resume_from: Annotated[
        int, typer.Option(min=-1, help="Show the events after this transaction id: 0 = all, -1 = only new ones.")
    ] = 0,
    count: Annotated[
        int | None, typer.Option("--count", "-n", min=1, metavar="<count>", help="Stop after so many events.")
    ] = None,
    protocol: ProtocolName = None,
    transport: TransportOverride = None,
    insecure: Insecure = False,
    take_over: TakeOver = False,
    json: Json = False,
) -> None:
    """Show your events as they happen, until Ctrl-C.

    An exchange allows one connection for each client id, so this ends a bot that uses the same one elsewhere.

    Example: [bold]cryptoproto tail --url ws://127.0.0.1:8400 --client-id alice --key alice.pem
    --server-key exchange.pub[/]
    """

    async def main() -> int:
        settings = connection_settings(
            url, client_id, key, server_key, profile=profile, protocol=protocol, transport=transport,
            insecure=insecure,
        )  # fmt: skip
        async with connecting(settings, take_over=take_over, resume_from=resume_from) as connection:
            left = count
            async for event in connection:
                _show(event, json)
                if left is not None:
                    left -= 1
                    if left <= 0:
                        break
        return ExitCode.SUCCESS

    run(main())


def _place_command(side: str) -> None:
    """Add the command for one side; apart from the side, the two are the same."""

    def place(
        pair: Annotated[str, typer.Argument(help="Trade pair, like BTC_USD.")],
        amount: Annotated[str, typer.Argument(help="How much of the first currency to trade.")],
        price: Annotated[str, typer.Argument(help="The limit price, in the second currency.")],
        url: Url = None,
        client_id: ClientId = None,
        key: KeyFile = None,
        server_key: ServerKeyFile = None,
        profile: ProfileName = None,
        time_in_force: Annotated[
            Literal["gtc", "fok", "ioc"],
            typer.Option(help="gtc: rest in the book; fok: fill all or nothing; ioc: fill what is possible at once."),
        ] = "gtc",
        ttl: Annotated[int, typer.Option(min=0, metavar="<seconds>", help="Time to live; 0 = until cancelled.")] = 0,
        client_order_id: Annotated[
            int | None, typer.Option(help="Your own number for the order; made from the clock by default.")
        ] = None,
        protocol: ProtocolName = None,
        transport: TransportOverride = None,
        insecure: Insecure = False,
        take_over: TakeOver = False,
        timeout: ProfileTimeout = None,
        json: Json = False,
    ) -> None:
        message = place_message(
            pair,
            Side(side),
            amount=amount,
            price=price,
            time_in_force=TimeInForce(time_in_force),
            ttl=ttl,
            client_order_id=time.time_ns() // 1000 if client_order_id is None else client_order_id,
        )
        settings = connection_settings(
            url, client_id, key, server_key, profile=profile, protocol=protocol, transport=transport,
            insecure=insecure, timeout=timeout,
        )  # fmt: skip
        link = connecting(settings, take_over=take_over)
        seconds = answer_timeout(settings)
        run(_place(link, OrderCheck(settings, message, seconds), message, seconds, json))

    place.__doc__ = f"""Place a {side} order and wait until the exchange has accepted or refused it.

    The instruments and limits of a profile are checked before the order is sent.

    Example: [bold]cryptoproto order {side} BTC_USD 0.5 15000 --time-in-force ioc[/]
    (CRYPTOPROTO_URL, _CLIENT_ID, _KEY and _SERVER_KEY describe the connection)
    """
    order.command(side)(place)


_place_command("buy")
_place_command("sell")


async def _place(link: connect, check: OrderCheck, message: PlaceOrder, timeout: float, json: bool) -> int:
    def settles(event: Event) -> bool:
        answer = event.message
        if isinstance(answer, OrderPlaced):
            return answer.client_order_id == message.client_order_id
        return isinstance(answer, InsufficientFunds)

    async with check.book() as book, link as connection:
        await check.check(connection, book)
        outcome = await _answered(connection, message, partial(_event, connection, settles, json), timeout)
    if isinstance(outcome, InsufficientFunds):
        raise InsufficientFundsError(outcome.currency, outcome.order_id)
    if isinstance(outcome, OrderPlaced) and not json:
        rests = isinstance(message, PlaceBuyLimitOrder | PlaceSellLimitOrder)
        note(f"[green]accepted[/] as order {outcome.order_id}, {_done(outcome, rests=rests)}")
    return ExitCode.SUCCESS


def _done(placed: OrderPlaced, *, rests: bool) -> str:
    """What has been done of an order, and what becomes of the rest."""
    if placed.closed_inline:
        return "filled at once"
    left = short(placed.amount)
    if rests:
        return f"{left} left to be filled"
    filled = placed.initial_amount - placed.amount
    return f"{short(filled)} filled, {left} cancelled" if filled else "nothing filled: it is cancelled"


@order.command("cancel")
def cancel(
    order_id: Annotated[int, typer.Argument(help="The order id that the exchange has given it.")],
    url: Url = None,
    client_id: ClientId = None,
    key: KeyFile = None,
    server_key: ServerKeyFile = None,
    profile: ProfileName = None,
    protocol: ProtocolName = None,
    transport: TransportOverride = None,
    insecure: Insecure = False,
    take_over: TakeOver = False,
    timeout: ProfileTimeout = None,
    json: Json = False,
) -> None:
    """Cancel one order and wait until it is cancelled.

    Example: [bold]cryptoproto order cancel 17[/] (CRYPTOPROTO_* describes the connection)
    """

    def settles(event: Event) -> bool:
        return isinstance(event.message, OrderCancelled | OrderNotFound) and event.message.order_id == order_id

    async def main() -> int:
        settings = connection_settings(
            url, client_id, key, server_key, profile=profile, protocol=protocol, transport=transport,
            insecure=insecure, timeout=timeout,
        )  # fmt: skip
        async with connecting(settings, take_over=take_over) as connection:
            answer = partial(_event, connection, settles, json)
            outcome = await _answered(connection, CancelOrder(order_id), answer, answer_timeout(settings))
        if isinstance(outcome, OrderNotFound):
            raise OrderRejected(f"order {order_id} is not open; `cryptoproto request orders` lists the open orders")
        return ExitCode.SUCCESS

    run(main())


@order.command("cancel-all")
def cancel_all(
    url: Url = None,
    client_id: ClientId = None,
    key: KeyFile = None,
    server_key: ServerKeyFile = None,
    profile: ProfileName = None,
    protocol: ProtocolName = None,
    transport: TransportOverride = None,
    insecure: Insecure = False,
    take_over: TakeOver = False,
    timeout: ProfileTimeout = None,
    json: Json = False,
) -> None:
    """Cancel all your open orders and wait until the exchange has done so.

    Example: [bold]cryptoproto order cancel-all[/] (CRYPTOPROTO_* describes the connection)
    """

    async def main() -> int:
        settings = connection_settings(
            url, client_id, key, server_key, profile=profile, protocol=protocol, transport=transport,
            insecure=insecure, timeout=timeout,
        )  # fmt: skip
        async with connecting(settings, take_over=take_over) as connection:
            answer = partial(connection.request, UserOrdersRequest())
            response = await _answered(connection, CancelAllOrders(), answer, answer_timeout(settings))
            # The response comes after the events of the cancellations, so by now all of them have arrived.
            arrived = [await anext(connection) for _ in range(connection.queued)]
        cancelled = sum(isinstance(event.message, OrderCancelled) for event in arrived)
        books = response.order_books.values() if isinstance(response, UserOrdersResponse) else ()
        left = sum(len(book.buy) + len(book.sell) for book in books)
        if json:
            print_json({"cancelled": cancelled, "open_orders": left})
        elif left:
            note(f"{counted(cancelled, 'order')} cancelled; [red]{counted(left, 'order')} still open[/]")
        else:
            done = f"{counted(cancelled, 'order')} cancelled, none left open"
            note(done if cancelled else "there were no open orders")
        return ExitCode.FAILED if left else ExitCode.SUCCESS

    run(main())


async def _answered(connection: Connection, message: Message, answer: Callable[[], Awaitable[T]], timeout: float) -> T:
    """Send *message* and return its *answer*.

    Raises:
        OutcomeUnknown: it was sent, and its answer did not come.
    """
    with reported_if_stopped("the message may have been sent", _ADVICE):
        await connection.send(message)
    try:
        with reported_if_stopped("the message was sent", _ADVICE):
            async with asyncio.timeout(timeout):
                return await answer()
    except TimeoutError:
        what = f"no answer came within {timeout:g} s"
    except (ConnectionClosed, ProtocolError) as error:
        what = f"its answer did not come: {error}"
    raise OutcomeUnknown(f"the message was sent, but {what}; {_ADVICE}")


async def _event(connection: Connection, settles: Callable[[Event], bool], json: bool) -> Message | Unknown:
    """Show the events that follow, and return the message of the first that *settles* what was sent."""
    while True:
        event = await anext(connection)
        _show(event, json)
        if settles(event):
            return event.message


def request(
    what: Annotated[str, typer.Argument(help="balances, orders, or the @type of another request.")],
    url: Url = None,
    client_id: ClientId = None,
    key: KeyFile = None,
    server_key: ServerKeyFile = None,
    profile: ProfileName = None,
    protocol: ProtocolName = None,
    transport: TransportOverride = None,
    insecure: Insecure = False,
    take_over: TakeOver = False,
    timeout: ProfileTimeout = None,
    json: Json = False,
) -> None:
    """Ask the exchange for your balances or open orders.

    Example: [bold]cryptoproto request balances[/] (CRYPTOPROTO_* describes the connection)
    """
    name = {"balances": UserBalanceRequest.__name__, "orders": UserOrdersRequest.__name__}.get(what, what)
    if not name[:1].isupper():
        raise ConfigurationError(
            f"{what!r} is not a request: ask for balances, orders, or a @type such as {UserBalanceRequest.__name__}"
        )

    async def main() -> int:
        settings = connection_settings(
            url, client_id, key, server_key, profile=profile, protocol=protocol, transport=transport,
            insecure=insecure, timeout=timeout,
        )  # fmt: skip
        async with connecting(settings, take_over=take_over) as connection:
            with reported_if_stopped("the request was sent", "ask again"):
                if json:
                    print_json(await connection.request({"@type": name}, raw=True))
                else:
                    _show_response(await connection.request({"@type": name}))
        return ExitCode.SUCCESS

    run(main())


def _show_response(response: Message | Unknown) -> None:
    if isinstance(response, UserBalanceResponse):
        shown = table("Balances", "currency", "available", "on hold", right=("available", "on hold"))
        for currency, balance in sorted(response.balances.items()):
            shown.add_row(currency, plain(balance.available), plain(balance.on_hold))
        show(shown)
    elif isinstance(response, UserOrdersResponse):
        columns = ("pair", "side", "order", "client order id", "amount left", "price")
        shown = table("Open orders", *columns, right=columns[2:])
        for pair, book in response.order_books.items():
            for side, orders in (("[green]buy[/]", book.buy), ("[red]sell[/]", book.sell)):
                for entry in orders:
                    shown.add_row(
                        pair, side, str(entry.order_id), str(entry.client_order_id or ""), plain(entry.amount),
                        plain(entry.price),
                    )  # fmt: skip
        if shown.row_count:
            show(shown)
        else:
            note("there are no open orders")
    else:
        console.print_json(data=response.payload)
