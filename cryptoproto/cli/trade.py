"""``tail``, ``order`` and ``request``: one connection, by hand."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Annotated, Literal

import typer

from ..connection import Connection, Event, connect
from ..exceptions import OrderRejected, RequestTimeout
from ..messages import (
    CancelAllOrders,
    CancelOrder,
    InsufficientFunds,
    Message,
    OrderCancelled,
    OrderNotFound,
    OrderPlaced,
    PlaceBuyFoKOrder,
    PlaceBuyIoCOrder,
    PlaceBuyLimitOrder,
    PlaceOrder,
    PlaceSellFoKOrder,
    PlaceSellIoCOrder,
    PlaceSellLimitOrder,
    UserBalanceRequest,
    UserBalanceResponse,
    UserOrdersRequest,
    UserOrdersResponse,
    plain,
)
from .options import (
    ClientId,
    Insecure,
    Json,
    KeyFile,
    ProtocolName,
    ServerKeyFile,
    Timeout,
    TransportName,
    Url,
    connecting,
    run,
)
from .output import console, fields, note, print_json, table

__all__ = ["order", "request", "tail"]

order = typer.Typer(no_args_is_help=True, help="Place and cancel orders, and wait for what the exchange says.")

_KINDS: dict[tuple[str, str], type[PlaceOrder]] = {
    ("buy", "gtc"): PlaceBuyLimitOrder,
    ("sell", "gtc"): PlaceSellLimitOrder,
    ("buy", "fok"): PlaceBuyFoKOrder,
    ("sell", "fok"): PlaceSellFoKOrder,
    ("buy", "ioc"): PlaceBuyIoCOrder,
    ("sell", "ioc"): PlaceSellIoCOrder,
}


def _show(event: Event, json: bool) -> None:
    if json:
        print_json({"transaction_id": event.transaction_id, "timestamp": event.timestamp, "payload": event.payload})
        return
    when = event.at.astimezone().strftime("%H:%M:%S.%f")[:-3] if event.at else "broadcast   "
    name = str(event.payload.get("@type", "?"))
    number = "" if event.transaction_id is None else str(event.transaction_id)
    text = fields(event.message) if isinstance(event.message, Message) else str(event.payload)
    console.print(f"[dim]{when}[/] [cyan]{number:>8}[/] [bold]{name:<22}[/] {text}", soft_wrap=True)


def tail(
    url: Url,
    client_id: ClientId,
    key: KeyFile,
    server_key: ServerKeyFile,
    resume_from: Annotated[
        int, typer.Option(help="Show what comes after this transaction id: 0 = everything, -1 = what is new.")
    ] = 0,
    count: Annotated[int | None, typer.Option("--count", "-n", help="Stop after so many events.")] = None,
    protocol: ProtocolName = "signed",
    transport: TransportName = "auto",
    insecure: Insecure = False,
    json: Json = False,
) -> None:
    """Show your events as they come.

    This connection takes over from any other of the same client id.

    Example: [bold]cryptoproto tail --url ws://127.0.0.1:8400 --client-id alice --key alice.pem
    --server-key exchange.pub[/]
    """

    async def main() -> int:
        async with connecting(
            url,
            client_id,
            key,
            server_key,
            protocol=protocol,
            transport=transport,
            insecure=insecure,
            resume_from=resume_from,
        ) as connection:
            left = count
            async for event in connection:
                _show(event, json)
                if left is not None:
                    left -= 1
                    if left <= 0:
                        break
        return 0

    run(main())


def _place_command(side: str) -> None:
    """Add the command for one side; the two differ in nothing else."""

    def place(
        pair: Annotated[str, typer.Argument(help="Trade pair, like BTC_USD.")],
        amount: Annotated[str, typer.Argument(help="How much of the first currency.")],
        price: Annotated[str, typer.Argument(help="Limit, in the second currency.")],
        url: Url,
        client_id: ClientId,
        key: KeyFile,
        server_key: ServerKeyFile,
        time_in_force: Annotated[
            Literal["gtc", "fok", "ioc"],
            typer.Option(help="Rest in the book, fill or kill, or immediate or cancel."),
        ] = "gtc",
        ttl: Annotated[int, typer.Option(help="Seconds until it is cancelled, 0 = never.")] = 0,
        client_order_id: Annotated[
            int | None, typer.Option(help="Your number for it; made from the clock if left out.")
        ] = None,
        protocol: ProtocolName = "signed",
        transport: TransportName = "auto",
        insecure: Insecure = False,
        timeout: Timeout = 10.0,
        json: Json = False,
    ) -> None:
        number = time.time_ns() // 1000 if client_order_id is None else client_order_id
        message = _KINDS[side, time_in_force](pair, amount, price, number, ttl)
        link = connecting(url, client_id, key, server_key, protocol=protocol, transport=transport, insecure=insecure)
        run(_place(link, message, timeout, json))

    place.__doc__ = f"""Place a {side} order and wait until the exchange has accepted or refused it.

    Example: [bold]cryptoproto order {side} BTC_USD 0.5 15000 --time-in-force ioc[/]
    (with the connection in CRYPTOPROTO_URL, _CLIENT_ID, _KEY and _SERVER_KEY)
    """
    order.command(side)(place)


_place_command("buy")
_place_command("sell")


async def _place(link: connect, message: PlaceOrder, timeout: float, json: bool) -> int:
    def settles(event: Event) -> bool:
        told = event.message
        if isinstance(told, OrderPlaced):
            return told.client_order_id == message.client_order_id
        return isinstance(told, InsufficientFunds)

    async with link as connection:
        outcome = await _send_and_wait(connection, message, settles, timeout, json)
    if isinstance(outcome, InsufficientFunds):
        raise OrderRejected(f"not enough {outcome.currency} for this order")
    if isinstance(outcome, OrderPlaced) and not json:
        done = "filled at once" if outcome.closed_inline else f"{plain(outcome.amount)} left"
        note(f"[green]accepted[/] as order {outcome.order_id}, {done}")
    return 0


@order.command("cancel")
def cancel(
    order_id: Annotated[int, typer.Argument(help="The exchange's number of the order.")],
    url: Url,
    client_id: ClientId,
    key: KeyFile,
    server_key: ServerKeyFile,
    protocol: ProtocolName = "signed",
    transport: TransportName = "auto",
    insecure: Insecure = False,
    timeout: Timeout = 10.0,
    json: Json = False,
) -> None:
    """Cancel one order and wait until it is cancelled.

    Example: [bold]cryptoproto order cancel 17[/] (with the connection in CRYPTOPROTO_*)
    """

    def settles(event: Event) -> bool:
        return isinstance(event.message, OrderCancelled | OrderNotFound) and event.message.order_id == order_id

    async def main() -> int:
        async with connecting(
            url, client_id, key, server_key, protocol=protocol, transport=transport, insecure=insecure
        ) as connection:
            outcome = await _send_and_wait(connection, CancelOrder(order_id), settles, timeout, json)
        if isinstance(outcome, OrderNotFound):
            raise OrderRejected(f"order {order_id} is not open; `cryptoproto request orders` lists those that are")
        return 0

    run(main())


@order.command("cancel-all")
def cancel_all(
    url: Url,
    client_id: ClientId,
    key: KeyFile,
    server_key: ServerKeyFile,
    protocol: ProtocolName = "signed",
    transport: TransportName = "auto",
    insecure: Insecure = False,
    timeout: Timeout = 10.0,
    json: Json = False,
) -> None:
    """Cancel all your orders and wait until none is open.

    Example: [bold]cryptoproto order cancel-all[/] (with the connection in CRYPTOPROTO_*)
    """

    async def main() -> int:
        async with connecting(
            url, client_id, key, server_key, protocol=protocol, transport=transport, insecure=insecure
        ) as connection:
            await connection.send(CancelAllOrders())
            # The response comes behind the message, so it tells what the message left.
            response = await connection.request(UserOrdersRequest(), timeout=timeout)
        left = sum(
            len(book.buy) + len(book.sell)
            for book in (response.order_books.values() if isinstance(response, UserOrdersResponse) else ())
        )
        if json:
            print_json({"open_orders": left})
        else:
            note(f"{left} orders are open")
        return 0 if left == 0 else 1

    run(main())


async def _send_and_wait(
    connection: Connection, message: Message, settles: Callable[[Event], bool], timeout: float, json: bool
) -> Message | None:
    await connection.send(message)
    try:
        async with asyncio.timeout(timeout):
            async for event in connection:
                _show(event, json)
                if settles(event) and isinstance(event.message, Message):
                    return event.message
    except TimeoutError:
        raise RequestTimeout(
            f"the message was sent, but nothing was heard of it within {timeout:g} s; "
            f"`cryptoproto tail` shows whether it took effect"
        ) from None
    return None


def request(
    what: Annotated[str, typer.Argument(help="balances, orders, or the @type of any request.")],
    url: Url,
    client_id: ClientId,
    key: KeyFile,
    server_key: ServerKeyFile,
    protocol: ProtocolName = "signed",
    transport: TransportName = "auto",
    insecure: Insecure = False,
    timeout: Timeout = 10.0,
    json: Json = False,
) -> None:
    """Ask the exchange for your balances or open orders.

    Example: [bold]cryptoproto request balances[/] (with the connection in CRYPTOPROTO_*)
    """
    name = {"balances": UserBalanceRequest.__name__, "orders": UserOrdersRequest.__name__}.get(what, what)

    async def main() -> int:
        async with connecting(
            url, client_id, key, server_key, protocol=protocol, transport=transport, insecure=insecure
        ) as connection:
            if json:
                print_json(await connection.request({"@type": name}, timeout=timeout, raw=True))
            else:
                response = await connection.request({"@type": name}, timeout=timeout)
                _show_response(response if isinstance(response, Message) else None, response.payload)
        return 0

    run(main())


def _show_response(response: Message | None, payload: object) -> None:
    if isinstance(response, UserBalanceResponse):
        shown = table("Balances", "currency", "available", "on hold", right=("available", "on hold"))
        for currency, balance in sorted(response.balances.items()):
            shown.add_row(currency, plain(balance.available), plain(balance.on_hold))
        console.print(shown)
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
        console.print(shown)
    else:
        console.print_json(data=payload)
