"""What operators do with a gateway: its status, a handover, and the kill switch and limits of strategies."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import msgspec
import typer

from ..exceptions import ConfigurationError
from .exit_codes import ExitCode
from .gateway_options import NATS, Nats, NatsCa, Nkey, Prefix, SessionOf, Strategy, room, trusted
from .options import Json, Timeout
from .output import console, counted, note, print_json, short, show, table
from .running import reported_if_stopped, run

if TYPE_CHECKING:
    from ..gateway import GatewayStatus, Operator, StrategyLimits

__all__ = ["handover", "kill", "limits", "revive", "status"]


def _operator(
    client_id: SessionOf,
    nats: Nats = NATS,
    nkey: Nkey = None,
    nats_ca: NatsCa = None,
    prefix: Prefix = "cryptoproto",
    timeout: Timeout = 5.0,
) -> Any:
    return room().Operator(nats, client_id, prefix=prefix, timeout=timeout, nkey_seed=nkey, tls=trusted(nats_ca))


def _operation(*, timeout: float = 5.0) -> Callable[[Callable[..., Awaitable[int]]], Callable[..., None]]:
    """Makes a command of a function that uses an operator and returns the exit code.

    The command has the options of the function and those of the connection.
    """

    def decorate(operate: Callable[..., Awaitable[int]]) -> Callable[..., None]:
        _, *parameters = inspect.signature(operate).parameters.values()
        hints = get_type_hints(operate, localns={"Operator": object}, include_extras=True)
        options = {each.name: each.replace(annotation=hints[each.name]) for each in parameters}
        connection = dict(inspect.signature(_operator, eval_str=True).parameters)
        connection["timeout"] = connection["timeout"].replace(default=timeout)

        def command(**values: Any) -> None:
            operator = _operator(**{name: values.pop(name) for name in connection})

            async def main() -> int:
                async with operator:
                    with reported_if_stopped("the request was sent", "see: cryptoproto gateway status"):
                        return await operate(operator, **values)

            run(main())

        shown = [
            each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in (*options.values(), *connection.values())
        ]
        vars(command).update(__signature__=inspect.Signature(shown))
        command.__name__, command.__doc__ = operate.__name__, operate.__doc__
        return command

    return decorate


@_operation()
async def status(operator: Operator, json: Json = False) -> int:
    """Show who owns the session, the state of its link, and all strategies with their limits.

    Exits with code 3 if nobody owns the session.

    Example: [bold]cryptoproto gateway status --client-id alice[/]
    """
    found = await operator.status()
    if json:
        print_json(msgspec.to_builtins(found))
    else:
        _show(found)
    return ExitCode.SUCCESS


@_operation()
async def handover(operator: Operator) -> int:
    """Let the owner close its session, and a standby follow at once.

    Without a standby, the same gateway takes the session up again.

    Example: [bold]cryptoproto gateway handover --client-id alice[/]
    """
    await operator.handover()
    note("the owner hands the session over; see: cryptoproto gateway status")
    return ExitCode.SUCCESS


@_operation(timeout=10.0)
async def kill(operator: Operator, strategy: Strategy, json: Json = False) -> int:
    """Refuse the orders of a strategy from here on, and cancel those that are open.

    Exits with code 1 if an order may still be open; the owner cancels it as soon as it can.

    Example: [bold]cryptoproto gateway kill mm1 --client-id alice[/]
    """
    reply = await operator.kill(strategy)
    if json:
        print_json({"strategy": strategy, "cancelled": reply.cancelled, "not_cancelled": reply.not_cancelled})
    else:
        console.print(f"{strategy} is killed; {counted(reply.cancelled, 'order')} cancelled")
        if reply.not_cancelled:
            console.print(f"[bold red]{counted(reply.not_cancelled, 'order')} may still be open[/]")
    return ExitCode.FAILED if reply.not_cancelled else ExitCode.SUCCESS


@_operation()
async def revive(operator: Operator, strategy: Strategy) -> int:
    """Accept the orders of a killed strategy again.

    Example: [bold]cryptoproto gateway revive mm1 --client-id alice[/]
    """
    await operator.revive(strategy)
    note(f"{strategy} may place orders again")
    return ExitCode.SUCCESS


@_operation()
async def limits(
    operator: Operator,
    strategy: Strategy,
    max_orders_per_second: Annotated[
        int | None, typer.Option(metavar="<count>", help="Orders within one second.")
    ] = None,
    max_open_orders: Annotated[int | None, typer.Option(metavar="<count>", help="Orders that have not ended.")] = None,
    max_open_value: Annotated[
        list[str] | None, typer.Option(help="Value of all open orders: currency=amount. Repeat for more.")
    ] = None,
    price_band: Annotated[str | None, typer.Option(help="Distance from the mid of the book: 0.05 is 5 %.")] = None,
    remove: Annotated[
        list[str] | None, typer.Option(help="Remove a limit, like max_open_orders. Repeat for more.")
    ] = None,
    json: Json = False,
) -> int:
    """Change the limits of a strategy, and show all of them. Those that are not named stay.

    The strategy need not have run yet. Limits hold at once, and for later owners.

    Example: [bold]cryptoproto gateway limits mm1 --client-id alice --max-open-orders 20 --max-open-value USD=100000[/]
    """
    values: dict[str, str] = {}
    for each in max_open_value or ():
        currency, equals, amount = each.partition("=")
        if not equals:
            raise ConfigurationError(f"--max-open-value {each!r} must be currency=amount, like USD=100000")
        values[currency] = amount
    changes: dict[str, Any] = {name.replace("-", "_"): None for name in remove or ()}
    given = {
        "max_orders_per_second": max_orders_per_second,
        "max_open_orders": max_open_orders,
        "max_open_value": values or None,
        "price_band": price_band,
    }
    changes |= {name: value for name, value in given.items() if value is not None}
    now = await operator.set_limits(strategy, **changes)
    if json:
        print_json({"strategy": strategy, "limits": now.as_dict()})
    else:
        console.print(f"{strategy}: {_in_words(now)}")
    return ExitCode.SUCCESS


def _show(found: GatewayStatus) -> None:
    console.print(f"[bold]client id[/]   {found.client_id}")
    console.print(f"[bold]owner[/]       {found.owner}, fence {found.fence}, for {found.owned_s:.0f} s")
    colour = "green" if found.state == "live" else "red"
    console.print(f"[bold]link[/]        [{colour}]{found.state}[/]: {found.reason}")
    console.print(
        f"[bold]events[/]      position {found.position}, lag {found.lag}, {found.published} published by this owner"
    )
    console.print(f"[bold]commands[/]    {found.unanswered} without an outcome")
    shown = table("Strategies", "name", "number", "state", "open orders", "limits", right=("number", "open orders"))
    for name, each in found.strategies.items():
        state = "[red]killed[/]" if each.is_killed else "[green]active[/]"
        shown.add_row(name, str(each.number), state, str(each.open_orders), _in_words(each.limits))
    show(shown)


def _in_words(limits: StrategyLimits) -> str:
    parts = []
    if limits.max_orders_per_second is not None:
        parts.append(f"{counted(limits.max_orders_per_second, 'order')} per second")
    if limits.max_open_orders is not None:
        parts.append(counted(limits.max_open_orders, "open order"))
    parts += [f"open value {short(most)} {currency}" for currency, most in limits.max_open_value.items()]
    if limits.price_band is not None:
        parts.append(f"price band {short(limits.price_band)}")
    return ", ".join(parts) or "no limits"
