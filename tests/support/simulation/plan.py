"""What a seed draws: a world, and what goes wrong in it."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

__all__ = ["CLIENTS", "PATIENCE_S", "Fault", "Plan", "draw", "draw_with_gateways"]

CLIENTS: Final = ("alice", "bob", "carol")
PATIENCE_S: Final = 15.0
"""After this time even those who wait for long notice that nothing arrives."""

_TAKEOVERS_S: Final = 4.0
"""A standby needs this time to follow, and to carry out some commands."""

_TOGETHER: Final = 0.5
"""How many of the faults of gateways follow soon after another one: two in a row do what neither does alone."""

_SOON_S: Final = 0.3

_CODES: Final = (1000, 1001, 1011, 1012, 4001, 4009)


@dataclass(frozen=True)
class Fault:
    """Something goes wrong, or is done to the world.

    Attributes:
        at: when, in seconds.
        kind: what; a method of :class:`~tests.support.simulation.faults.Faults`.
        client: whom it befalls; empty if everybody.
        details: its arguments.
    """

    at: float
    kind: str
    client: str = ""
    details: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        details = ", ".join(f"{name}={value}" for name, value in self.details.items())
        return f"{self.at:6.2f} s  {self.kind:<16} {self.client:<6} {details}".rstrip()


@dataclass(frozen=True)
class Plan:
    """A world.

    Attributes:
        seed: draws everything.
        duration: for how long things go wrong, in seconds.
        latency: of the network in one direction.
        jitter: the most that is added to it.
        window: bytes in flight before a link is not writable.
        rate_limit: of the exchange.
        maker_fee: a fraction, as text.
        taker_fee: a fraction, as text.
        tail: how many events of a client the exchange keeps in memory.
        snapshot_every: commands between two snapshots of the journal.
        disk_delay: how long a commit of the journal takes, at most.
        overlap: how many transactions before those that a client asks for the exchange replays at most.
        ping_timeout: after how many seconds of silence the exchange closes a link.
        max_closed: how many orders that have ended a client remembers.
        clients: who trades.
        quoter: who of them quotes; empty if nobody does.
        faults: what goes wrong, in order.
        has_gateways: whether gateways share the session of one more client id.
    """

    seed: int
    duration: float
    latency: float
    jitter: float
    window: int
    rate_limit: float | None
    maker_fee: str
    taker_fee: str
    tail: int
    snapshot_every: int
    disk_delay: float
    overlap: int
    ping_timeout: float
    max_closed: int
    clients: tuple[str, ...]
    quoter: str
    faults: tuple[Fault, ...]
    has_gateways: bool = False

    @property
    def rewinds(self) -> bool:
        """Whether the exchange is restored from a backup at the end."""
        return any(fault.kind == "restore" for fault in self.faults)

    def keeping(self, places: list[int]) -> Plan:
        """The same world, in which only the faults at these places happen."""
        return replace(self, faults=tuple(self.faults[place] for place in places))

    def __str__(self) -> str:
        settings = {
            name: getattr(self, name)
            for name in (
                "duration", "latency", "jitter", "window", "rate_limit", "maker_fee", "taker_fee", "tail",
                "snapshot_every", "disk_delay", "overlap", "ping_timeout", "max_closed", "quoter",
            )
        }  # fmt: skip
        world = ", ".join(f"{name}={value}" for name, value in settings.items())
        return "\n".join([f"seed {self.seed}: {', '.join(self.clients)}; {world}", *map(str, self.faults)])


def draw(seed: int) -> Plan:
    """The world of *seed*."""
    choice = random.Random(f"plan {seed}")
    clients = CLIENTS[: choice.choice((2, 2, 3))]
    duration = choice.uniform(3.0, 9.0)
    fees = choice.choice((("0", "0"), ("0", "0"), ("0.001", "0.002")))
    faults = [
        _fault(choice, choice.uniform(0.3, duration), clients) for _ in range(choice.choice((0, 3, 5, 6, 8, 10, 14)))
    ]
    if choice.random() < 0.1:
        begun = choice.uniform(0.3, duration * 0.7)
        faults.append(Fault(begun, "backup"))
        faults.append(Fault(choice.uniform(begun, duration), "restore", details={"down": choice.uniform(0.0, 2.0)}))
    faults.sort(key=lambda fault: fault.at)
    return Plan(
        seed=seed,
        duration=duration,
        latency=choice.choice((0.0005, 0.005, 0.02, 0.1)),
        jitter=choice.choice((0.0, 0.001, 0.02, 0.2)),
        window=choice.choice((2_000, 16_000, 64_000)),
        rate_limit=choice.choice((None, None, None, 8.0, 20.0)),
        maker_fee=fees[0],
        taker_fee=fees[1],
        tail=choice.choice((8, 32, 1024)),
        snapshot_every=choice.choice((5, 40, 10_000)),
        disk_delay=choice.choice((0.0005, 0.004, 0.05)),
        overlap=choice.choice((0, 0, 0, 8)),
        ping_timeout=choice.choice((2.5, 2.5, PATIENCE_S)),
        max_closed=choice.choice((3, 1_000)),
        clients=clients,
        quoter=choice.choice(("", "", clients[-1])),
        faults=tuple(faults),
    )


def draw_with_gateways(seed: int) -> Plan:
    """The world of *seed*, and gateways that share one more session."""
    plan, choice = draw(seed), random.Random(f"gateways {seed}")
    faults = [fault for fault in plan.faults if fault.kind not in ("backup", "restore")]
    duration = plan.duration + _TAKEOVERS_S
    at = 0.0
    for _ in range(choice.choice((0, 3, 6, 9))):
        follows = at > 0.0 and choice.random() < _TOGETHER
        at = at + choice.expovariate(1 / _SOON_S) if follows else choice.uniform(0.3, duration)
        kind = choice.choice(_GATEWAY_KINDS)
        faults.append(Fault(round(at, 3), kind, details=_OF_GATEWAYS[kind](choice)))
    faults.sort(key=lambda fault: fault.at)
    return replace(plan, duration=duration, faults=tuple(faults), has_gateways=True)


def _fault(choice: random.Random, at: float, clients: tuple[str, ...]) -> Fault:
    kind = choice.choice(_KINDS)
    client = choice.choice(clients) if kind in _OF_A_CLIENT else ""
    return Fault(round(at, 3), kind, client, _DETAILS[kind](choice))


def _seconds(shortest: float, longest: float) -> Callable[[random.Random], dict[str, Any]]:
    return lambda choice: {"seconds": round(choice.uniform(shortest, longest), 3)}


_DETAILS: Final[dict[str, Callable[[random.Random], dict[str, Any]]]] = {
    # Links
    "cut": lambda choice: {
        "after": choice.choice((0, choice.randint(0, 300), choice.randint(0, 3000))),
        "upwards": choice.random() < 0.5,
        "silent": choice.choice(("", "", "here", "there")),
    },
    "half_open": lambda choice: {"up": choice.random() < 0.6, "down": choice.random() < 0.6},
    "slow_link": lambda choice: {
        "seconds": round(choice.uniform(0.2, choice.choice((5.0, 12.0, 12.0))), 3),
        "upwards": choice.random() < 0.5,
    },
    "network_down": lambda choice: {
        "seconds": choice.choice((round(choice.uniform(0.1, 3.0), 3), 0.5, 12.0)),
        "silent": choice.random() < 0.3,
    },
    "disconnect": lambda choice: {"code": choice.choice(_CODES)},
    # The exchange
    "restart": lambda choice: {},
    "reopen": _seconds(0.0, 1.5),
    "crash": lambda choice: {"seconds": round(choice.uniform(0.0, 1.5), 3), "silent": choice.random() < 0.3},
    "slow_disk": lambda choice: {
        "seconds": round(choice.uniform(0.5, 3.0), 3),
        "delay": round(choice.uniform(0.1, 1.0), 3),
    },
    "disable_pair": _seconds(0.1, 2.0),
    "transfer": lambda choice: {"deposit": choice.random() < 0.6, "amount": choice.randint(1, 50)},
    "clock": lambda choice: {"seconds": choice.choice((-3600, -2, 1, 61, 3600))},
    # Clients
    "kill": lambda choice: {"power": choice.random() < 0.3, "seconds": round(choice.uniform(0.0, 1.0), 3)},
    "leave": lambda choice: {"timeout": choice.choice((0.0, 0.05, 2.0))},
    "slow_handler": _seconds(0.2, 3.0),
}


def _owner(choice: random.Random) -> dict[str, Any]:
    return {"owner": choice.random() < 0.8}


def _moment(choice: random.Random) -> dict[str, Any]:
    """When a process is stopped: at once, when it sends something, or some steps after an acknowledgement."""
    return {
        "at": choice.choice(("", "exchange", "nats", "nats", "steps", "steps")),
        "skipped": choice.choice((0, 0, 1, 2, 3)),
        "sends": choice.random() < 0.5,
    }


def _reconnection(choice: random.Random) -> dict[str, Any]:
    return {"resend": choice.random() < 0.6, "again": choice.choice((0, 0, 1, 4))}


_OF_GATEWAYS: Final[dict[str, Callable[[random.Random], dict[str, Any]]]] = {
    "kill_gateway": lambda choice: {
        **_owner(choice),
        "power": choice.random() < 0.3,
        **_moment(choice),
        "seconds": round(choice.uniform(0.0, 3.0), 3),
    },
    "stop_gateway": lambda choice: {
        **_owner(choice),
        **_moment(choice),
        "seconds": round(choice.uniform(0.05, choice.choice((1.0, 2.0, 6.0))), 3),
    },
    "leave_gateway": _owner,
    "cut_from_nats": lambda choice: {
        **_owner(choice),
        "seconds": round(choice.uniform(0.1, choice.choice((1.0, 8.0))), 3),
        **_reconnection(choice),
    },
    "cut_from_exchange": lambda choice: {**_owner(choice), "silent": choice.random() < 0.5},
    # NATS
    "lose_nats_leader": lambda choice: {
        **_owner(choice),
        "seconds": round(choice.uniform(0.1, choice.choice((0.5, 4.0))), 3),
        "stored": choice.randint(0, 4),
        "reconnect": choice.choice((0.0, round(choice.uniform(0.05, 0.6), 3))),
        "again": choice.choice((0, 0, 1, 4)),
    },
    "stale_nats": lambda choice: {
        "seconds": round(choice.uniform(0.5, 6.0), 3),
        "lag": round(choice.uniform(0.01, choice.choice((0.2, 4.0))), 3),
    },
    "silent_nats": lambda choice: {
        "seconds": round(choice.uniform(0.2, 4.0), 3),
        "share": round(choice.uniform(0.02, 0.5), 3),
    },
    "cut_strategy": lambda choice: {
        "seconds": round(choice.uniform(0.1, choice.choice((0.5, 4.0))), 3),
        **_reconnection(choice),
    },
}
_GATEWAY_KINDS: Final = (*sorted(_OF_GATEWAYS), "kill_gateway", "kill_gateway", "stop_gateway", "stop_gateway")
_OF_A_CLIENT: Final = {
    "cut", "half_open", "slow_link", "disconnect", "transfer", "kill", "leave", "slow_handler",
}  # fmt: skip
_KINDS: Final = (
    "cut", "cut", "cut", "half_open", "slow_link", "slow_link", "network_down", "disconnect", "restart", "reopen",
    "crash", "crash", "slow_disk", "disable_pair", "transfer", "clock", "kill", "kill", "kill", "leave", "slow_handler",
)  # fmt: skip
