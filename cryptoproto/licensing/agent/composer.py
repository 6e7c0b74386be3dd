"""Composes the requests of one agent: facts about machine, deployment and activity, and what was reported."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from ..request.activity import ActivityRecorder, ActivitySource
from ..request.codec import Value
from ..request.machine import fixed_facts, moving_facts, printable
from ..request.request import Deployment, LicenseRequest, activity_facts, check_withheld
from .client_activity import TradingClient, source_of

__all__ = ["RequestComposer"]

_LONGEST_REPORT: Final = 1024  # bytes; the limit of the field


class RequestComposer:
    """What one agent says about itself.

    Args:
        package: the name of the software.
        logins: the account logins, each once.
        client: what to read counts and latencies from; ``None`` for :attr:`recorder`.
        deployment: how the gateway was built and is run. Without a session id it gets a random one.
        withhold: fields not to send.
        desired_period_s: the life of a token to ask for.

    Raises:
        ConfigurationError: a field cannot be withheld.
    """

    def __init__(
        self,
        package: str,
        logins: tuple[str, ...],
        *,
        client: ActivitySource | TradingClient | None,
        deployment: Deployment,
        withhold: Collection[str],
        desired_period_s: float,
    ) -> None:
        check_withheld(withhold)
        self.recorder: ActivityRecorder = ActivityRecorder()
        self._package = package
        self._logins = logins
        self._client = client
        self._deployment = deployment.with_session_id()
        self._withhold = frozenset(withhold)
        self._desired_period_s = desired_period_s
        self._fixed_facts: dict[str, Value] | None = None
        self._reports = 0
        self._report_details: str | None = None

    def report(self, details: str) -> None:
        """Count a report of the user, and send *details* with every request from now on."""
        self._reports += 1
        self._report_details = printable(details, _LONGEST_REPORT) or None

    def machine_facts(self, wall_ns: int) -> dict[str, Value]:
        """The facts about the machine. Reads files of the kernel: call it in a thread."""
        if self._fixed_facts is None:
            self._fixed_facts = fixed_facts()
        return self._fixed_facts | moving_facts(wall_ns)

    def compose(self, machine_facts: dict[str, Value], time_utc_ns: int) -> LicenseRequest:
        """A request with a fresh nonce.

        Raises:
            ConfigurationError: a value does not fit its field.
        """
        activity = source_of(self._client or self.recorder).metrics()
        facts = machine_facts | self._deployment.facts() | activity_facts(activity)
        facts |= {"please_report": self._reports, "please_report_details": self._report_details}
        return LicenseRequest.compose(
            facts,
            package=self._package,
            logins=self._logins,
            time_utc_ns=time_utc_ns,
            desired_period_s=self._desired_period_s,
            withhold=self._withhold,
        )
