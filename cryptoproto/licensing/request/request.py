"""The license request: what a gateway says about itself."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Any, Final, Self

from ...exceptions import ConfigurationError, MalformedMessage
from .activity import EXTERNAL_BOUNDS_NS, INTERNAL_BOUNDS_NS, ActivityReading, ActivityRecorder, LatencyReading
from .codec import Value, decode, encode
from .layout import LICENSE_REQUEST
from .logins import LONGEST_NAME, config_hash, login_set
from .machine import fixed_facts, moving_facts, printable

__all__ = ["WITHHOLDABLE", "Deployment", "LicenseRequest", "activity_facts", "check_withheld", "preview_request"]

WITHHOLDABLE: Final = frozenset({"service_name", "hostname", "network_hostname", "package_build_host"})
"""The fields that the owner of a gateway can withhold."""

_INTERNAL: Final = ("500ns", "1us", "2us", "5us", "10us", "20us", "inf")
_EXTERNAL: Final = ("10us", "100us", "1ms", "10ms", "100ms", "1s", "inf")
_ACTIVITY_COUNTS: Final = (
    "symbols",
    "total_symbols",
    "users",
    "create_order",
    "modify_order",
    "cancel_order",
    "cancel_all_orders",
    "mass_quote",
    "cancel_quotes",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """How a gateway was built and is run, and which of its features are on. All fields are optional.

    ``api`` is the exchange API in use and ``api_name`` its product name. Gateways that differ only in these share a
    license. ``session_id`` identifies one run; without one, the agent uses a random id.
    """

    package_version: str = ""
    package_build_number: str = ""
    package_build_host: str = ""
    service_name: str = ""
    api_name: str = ""
    api: str = ""
    instance: str = ""
    session_id: str = ""
    is_uat: bool = False
    download_trades: bool = False
    download_orders: bool = False
    event_log: bool = False
    position_manager: bool = False
    risk_manager: bool = False
    journal: bool = False
    udp_publish: bool = False

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, type(field.default)):
                raise ConfigurationError(f"{field.name}: must be of type {type(field.default).__name__}")
            most = 64 if field.name == "session_id" else LONGEST_NAME
            if isinstance(value, str) and printable(value, most) != value:
                raise ConfigurationError(f"{field.name}: must be printable text of at most {most} bytes")

    def with_session_id(self) -> Self:
        """This deployment; if it has no session id, with a random one."""
        return self if self.session_id else replace(self, session_id=secrets.token_hex(16))

    def facts(self) -> dict[str, Value]:
        """The fields by their names in the request. An empty text is absent."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: None if value == "" else value for name, value in values.items()}


class LicenseRequest:
    """A license request: a value for each field of the schema, and typed access to those that matter for a decision.

    Instances are immutable. ``fields`` maps each name in the schema to its value, ``None`` if it is absent.
    """

    __slots__ = ("fields",)

    fields: Mapping[str, Value]

    def __init__(self, values: Mapping[str, Value]) -> None:
        self.fields = MappingProxyType({field.name: values.get(field.name) for field in LICENSE_REQUEST.fields})

    @classmethod
    def compose(
        cls,
        facts: Mapping[str, Value],
        *,
        package: str,
        logins: Collection[str],
        time_utc_ns: int,
        desired_period_s: float,
        withhold: Collection[str] = (),
    ) -> Self:
        """A request with a fresh nonce, from the facts about machine, deployment and activity.

        Raises:
            ConfigurationError: a field in *withhold* cannot be withheld, or a name is not valid.
        """
        check_withheld(withhold)
        values = {name: value for name, value in facts.items() if name not in withhold}
        different = len(set(logins))
        seen = values.get("accounts")
        values |= {
            "request_time_utc": time_utc_ns,
            "token_expiry_time_utc": time_utc_ns + int(desired_period_s * 1e9),
            "package_name": package,
            "config_hash": config_hash(package, logins),
            # A client may trade for an account that is missing in logins=. Say so, and the manager refuses it.
            "accounts": max(different, seen) if isinstance(seen, int) else different,
            "nonce": secrets.token_bytes(16),
        }
        return cls(values)

    @classmethod
    def decode(cls, message: bytes) -> Self:
        """A request from its bytes, after checks of its structure and meaning.

        Raises:
            MalformedMessage: the bytes are not a LicenseRequest, or its fields contradict each other.
        """
        request = cls(decode(LICENSE_REQUEST, message))
        request._check_meaning()
        return request

    def encode(self) -> bytes:
        """The request's bytes.

        Raises:
            ConfigurationError: a value does not fit its field.
        """
        return encode(LICENSE_REQUEST, self.fields)

    def to_json(self, *, indent: int | None = 2) -> str:
        """All fields by their names in the schema. Bytes are hex, absent fields are ``null``."""
        return json.dumps(self.to_plain(), indent=indent)

    def to_plain(self) -> dict[str, Any]:
        """The fields as plain values: bytes as hex, absent fields as ``None``."""
        return {name: value.hex() if isinstance(value, bytes) else value for name, value in self.fields.items()}

    @property
    def time_utc_ns(self) -> int:
        """When the gateway composed it, by the gateway's clock."""
        return self._number("request_time_utc")

    @property
    def desired_expiry_utc_ns(self) -> int:
        """Until when the gateway asks its token to last."""
        return self._number("token_expiry_time_utc")

    @property
    def package(self) -> str:
        """The name of the gateway's package."""
        return str(self.fields["package_name"])

    @property
    def config_hash(self) -> bytes:
        """The hash of the package and its logins."""
        return self._bytes("config_hash")

    @property
    def nonce(self) -> bytes:
        """Sixteen random bytes, unique to this request."""
        return self._bytes("nonce")

    @property
    def is_uat(self) -> bool:
        """Whether the gateway trades in a test environment."""
        return bool(self.fields["is_uat"])

    @property
    def session_id(self) -> str:
        """Identifies one run of one gateway."""
        return str(self.fields["session_id"] or "")

    @property
    def needs_lock(self) -> bool:
        """Whether it has logins. A gateway for market data only has none, and needs no free license."""
        return self.config_hash != config_hash(self.package, ())

    def _number(self, name: str) -> int:
        value = self.fields[name]
        return value if isinstance(value, int) else 0

    def _bytes(self, name: str) -> bytes:
        value = self.fields[name]
        return value if isinstance(value, bytes) else b""

    def _check_meaning(self) -> None:
        if self.time_utc_ns <= 0 or self.desired_expiry_utc_ns < self.time_utc_ns:
            raise MalformedMessage("request_time_utc, token_expiry_time_utc: not valid times")
        accounts = self._number("accounts")
        if self.needs_lock != (accounts > 0):
            has = "logins" if self.needs_lock else "no logins"
            raise MalformedMessage(
                f"accounts: {accounts}, but config_hash has {has}; accounts must be above 0 if and only if config_hash "
                f"has logins: pass the logins of all accounts that the gateway trades for"
            )
        for name, bounds in (("internal", _INTERNAL), ("external", _EXTERNAL)):
            counts = [self._number(f"{name}_latency_count_{bound}") for bound in bounds]
            if counts != sorted(counts):
                raise MalformedMessage(f"{name}_latency: the counts of a cumulative histogram must not decrease")

    def __repr__(self) -> str:
        return f"<LicenseRequest {self.package} {self.config_hash.hex()[:16]}…>"


def preview_request(
    package: str,
    logins: Collection[str],
    *,
    deployment: Deployment | None = None,
    desired_period_s: float = 7200.0,
    withhold: Collection[str] = (),
) -> LicenseRequest:
    """The request that a gateway on this machine would send now, with counts of zero, for its owner to look at.

    As in the agent, a *deployment* without a session id gets a random one.

    Raises:
        ConfigurationError: an argument is not valid.
    """
    now_ns = time.time_ns()
    facts = fixed_facts() | moving_facts(now_ns) | (deployment or Deployment()).with_session_id().facts()
    facts |= activity_facts(ActivityRecorder().metrics()) | {"please_report": 0}
    return LicenseRequest.compose(
        facts,
        package=package,
        logins=login_set(logins),
        time_utc_ns=now_ns,
        desired_period_s=desired_period_s,
        withhold=withhold,
    )


def check_withheld(names: Collection[str]) -> None:
    """Check the names of fields to withhold.

    Raises:
        ConfigurationError: one of them cannot be withheld.
    """
    unknown = sorted(set(names) - WITHHOLDABLE)
    if unknown:
        raise ConfigurationError(
            f"withhold: {', '.join(unknown)} cannot be withheld; these can: {', '.join(sorted(WITHHOLDABLE))}"
        )


def activity_facts(reading: ActivityReading) -> dict[str, Value]:
    """A reading by the names of the fields in the request.

    Raises:
        ConfigurationError: a histogram does not have the buckets of the request.
    """
    facts: dict[str, Value] = {name: getattr(reading, name) for name in _ACTIVITY_COUNTS}
    facts["accounts"] = reading.accounts
    facts |= _latency_facts("internal_latency", reading.internal_latency, _INTERNAL, INTERNAL_BOUNDS_NS)
    facts |= _latency_facts("external_latency", reading.external_latency, _EXTERNAL, EXTERNAL_BOUNDS_NS)
    return facts


def _latency_facts(
    name: str, latency: LatencyReading, suffixes: tuple[str, ...], bounds_ns: tuple[int, ...]
) -> dict[str, Value]:
    counts = tuple(latency.counts)
    if len(counts) != len(suffixes):
        raise ConfigurationError(
            f"{name}: has {len(counts)} counts, but the bounds {bounds_ns} ns and +Inf need {len(suffixes)}"
        )
    facts: dict[str, Value] = {f"{name}_sum": latency.sum_ns}
    return facts | {f"{name}_count_{suffix}": count for suffix, count in zip(suffixes, counts, strict=True)}
