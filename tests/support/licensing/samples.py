"""A request with every field filled, and the names that the published list has."""

from __future__ import annotations

from typing import Final

from cryptoproto.licensing import (
    KeyPair,
    LicenseToken,
    TokenBinding,
    config_hash,
)
from cryptoproto.licensing.request.codec import Value
from cryptoproto.licensing.request.layout import LICENSE_REQUEST, Kind
from tests.support.licensing.simulated_time import SECOND, START_NS

PUBLISHED: Final = """
    request_time_utc token_expiry_time_utc package_name package_version package_build_number package_build_host
    hostname network_hostname machine_id machine cpuid cpu_vendor cpu_brand number_of_processors cache_line_size
    page_size kernel_name kernel_release kernel_version system_uptime system_total_memory system_available_memory
    system_total_swap system_available_swap process_id process_start_time_utc process_max_rss service_name api_name
    api instance session_id is_uat cpu_affinity symbols total_symbols config_hash accounts users create_order
    modify_order cancel_order cancel_all_orders mass_quote cancel_quotes please_report please_report_details
    download_trades download_orders event_log position_manager risk_manager journal udp_publish internal_latency_sum
    internal_latency_count_500ns internal_latency_count_1us internal_latency_count_2us internal_latency_count_5us
    internal_latency_count_10us internal_latency_count_20us internal_latency_count_inf external_latency_sum
    external_latency_count_10us external_latency_count_100us external_latency_count_1ms external_latency_count_10ms
    external_latency_count_100ms external_latency_count_1s external_latency_count_inf
"""


def full_request(package: str = "roq-deribit", logins: tuple[str, ...] = ("A1", "A2")) -> dict[str, Value]:
    """A different value in every field, with the meanings that the manager checks."""
    values: dict[str, Value] = {}
    for number, field in enumerate(LICENSE_REQUEST.fields, start=1):
        match field.kind:
            case Kind.BOOL:
                values[field.name] = True
            case Kind.STRING:
                values[field.name] = f"text {number} é"
            case Kind.BYTES:
                values[field.name] = bytes([number]) * field.most
            case Kind.UINT16S:
                values[field.name] = (0, 1, 65_535)
            case Kind.CPUID:
                values[field.name] = ((1, 2, 3, 4, 5), (7, 0xFFFFFFFF, 0, 1, 2))
            case Kind.UINT32:
                values[field.name] = 2**32 - number
            case Kind.UINT64 | Kind.INT64:
                values[field.name] = 10**12 + number
    return values | {
        "request_time_utc": START_NS,
        "token_expiry_time_utc": START_NS + 7200 * SECOND,
        "package_name": package,
        "config_hash": config_hash(package, logins),
        "accounts": len(set(logins)),
        "nonce": bytes(range(16)),
    }


HASH = config_hash("roq-deribit", ["A1", "A2"])


def token_for(gateway: KeyPair, *, life_s: int = 7200) -> LicenseToken:
    binding = TokenBinding(gateway.public_key, "roq-deribit", HASH)
    return LicenseToken.issue(binding, now_ns=START_NS, expires_ns=START_NS + life_s * SECOND, request_nonce=None)
