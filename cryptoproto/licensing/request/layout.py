"""The layouts of the messages as data, for the structure check, the reader and the writer.

One line per field, in the order of the ``.fbs`` files in `cryptoproto/licensing` (a test compares the two); the
position in the list is the slot in the FlatBuffers vtable, so lines are only ever added at the end of a table.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

__all__ = ["LICENSE_REQUEST", "LICENSE_TOKEN", "LICENSE_TOKEN_BYTES", "SIGNED_TOKEN", "Field", "Kind", "Layout"]


class Kind(Enum):
    """The type of a field: its name in the schema, its size inline, and the size of an element behind its offset."""

    BOOL = ("bool", 1, 0)
    UINT32 = ("uint32", 4, 0)
    UINT64 = ("uint64", 8, 0)
    INT64 = ("int64", 8, 0)
    STRING = ("string", 4, 1)
    BYTES = ("[uint8]", 4, 1)
    UINT16S = ("[uint16]", 4, 2)
    CPUID = ("[CpuidLeaf]", 4, 20)

    def __init__(self, schema_name: str, inline_size: int, element_size: int) -> None:
        self.schema_name = schema_name
        self.inline_size = inline_size
        self.element_size = element_size


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a table.

    Attributes:
        name: as in the schema.
        kind: its type.
        most: the largest number of elements (of a string: bytes) behind its offset.
        least: the smallest number, if the field is present.
        required: whether a message without it is refused.
    """

    name: str
    kind: Kind
    most: int = 0
    least: int = 0
    required: bool = False

    @property
    def accessor(self) -> str:
        """The field's name in the generated code."""
        return "".join(part[:1].upper() + part[1:] for part in self.name.split("_"))


@dataclass(frozen=True, slots=True, eq=False)  # compared by identity: it is the key of a cache on every message
class Layout:
    """One message: the name of its table, its file identifier, its largest size in bytes and its fields by slot."""

    table: str
    identifier: bytes
    largest: int
    fields: tuple[Field, ...]


def _text(name: str, most: int = 256, *, required: bool = False) -> Field:
    # 256 bytes hold any host name (253) and any field of uname(2) (64, in older systems up to 255).
    return Field(name, Kind.STRING, most, 1 if required else 0, required)


def _bytes(name: str, size: int, *, required: bool = True) -> Field:
    return Field(name, Kind.BYTES, size, size, required)


def _each(kind: Kind, *names: str) -> tuple[Field, ...]:
    return tuple(Field(name, kind) for name in names)


LICENSE_REQUEST: Final = Layout(
    table="LicenseRequest",
    identifier=b"CPLQ",
    largest=32_768,  # every text and list at its limit comes to less
    fields=(
        *_each(Kind.INT64, "request_time_utc", "token_expiry_time_utc"),
        _text("package_name", required=True),
        *(_text(name) for name in ("package_version", "package_build_number", "package_build_host")),
        *(_text(name) for name in ("hostname", "network_hostname", "machine_id", "machine")),
        Field("cpuid", Kind.CPUID, 64),
        *(_text(name) for name in ("cpu_vendor", "cpu_brand")),
        *_each(Kind.UINT32, "number_of_processors", "cache_line_size", "page_size"),
        *(_text(name) for name in ("kernel_name", "kernel_release", "kernel_version")),
        *_each(Kind.INT64, "system_uptime"),
        *_each(Kind.UINT64, "system_total_memory", "system_available_memory"),
        *_each(Kind.UINT64, "system_total_swap", "system_available_swap"),
        *_each(Kind.UINT32, "process_id"),
        *_each(Kind.INT64, "process_start_time_utc"),
        *_each(Kind.UINT64, "process_max_rss"),
        *(_text(name) for name in ("service_name", "api_name", "api", "instance")),
        _text("session_id", 64),
        *_each(Kind.BOOL, "is_uat"),
        Field("cpu_affinity", Kind.UINT16S, 8192),  # Linux: CONFIG_NR_CPUS is at most 8192
        *_each(Kind.UINT32, "symbols", "total_symbols"),
        _bytes("config_hash", 32),
        *_each(Kind.UINT32, "accounts", "users"),
        *_each(Kind.UINT64, "create_order", "modify_order", "cancel_order", "cancel_all_orders"),
        *_each(Kind.UINT64, "mass_quote", "cancel_quotes", "please_report"),
        _text("please_report_details", 1024),
        *_each(Kind.BOOL, "download_trades", "download_orders", "event_log", "position_manager"),
        *_each(Kind.BOOL, "risk_manager", "journal", "udp_publish"),
        *_each(Kind.UINT64, "internal_latency_sum"),
        *_each(Kind.UINT64, *(f"internal_latency_count_{le}" for le in ("500ns", "1us", "2us", "5us", "10us"))),
        *_each(Kind.UINT64, "internal_latency_count_20us", "internal_latency_count_inf"),
        *_each(Kind.UINT64, "external_latency_sum"),
        *_each(Kind.UINT64, *(f"external_latency_count_{le}" for le in ("10us", "100us", "1ms", "10ms", "100ms"))),
        *_each(Kind.UINT64, "external_latency_count_1s", "external_latency_count_inf"),
        _bytes("nonce", 16),
    ),
)

LICENSE_TOKEN_BYTES: Final = 1024

LICENSE_TOKEN: Final = Layout(
    table="LicenseToken",
    identifier=b"CPLT",
    largest=LICENSE_TOKEN_BYTES,
    fields=(
        _bytes("token_id", 16),
        *_each(Kind.INT64, "issued_at_utc", "expires_at_utc"),
        _bytes("public_key", 32),
        _text("package_name", required=True),
        _bytes("config_hash", 32),
        *_each(Kind.BOOL, "is_uat"),
        _bytes("request_nonce", 16, required=False),
    ),
)

SIGNED_TOKEN: Final = Layout(
    table="SignedToken",
    identifier=b"CPLS",
    largest=LICENSE_TOKEN_BYTES + 256,
    fields=(
        Field("token", Kind.BYTES, LICENSE_TOKEN_BYTES, 1, required=True),
        _bytes("signature", 64),
    ),
)
