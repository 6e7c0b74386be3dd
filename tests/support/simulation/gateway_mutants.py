"""Changes of the gateway's code that matter: a world with gateways has to find each of them."""

from __future__ import annotations

from typing import Final

from tests.support.simulation.mutants import Mutant

__all__ = ["GATEWAY_MUTANTS"]

GATEWAY_MUTANTS: Final = (
    Mutant(
        "forget the outcomes of earlier commands",
        8,
        "gateway.owner.service:CommandService._command",
        "self._known(command)",
        "None",
    ),
    Mutant(
        "begin a command again although its outcome is not known",
        32,
        "gateway.owner.service:CommandService._command",
        "if self._log.intent(command) is not None:",
        "if False:",
    ),
    Mutant(
        "send an order of a call that was refused when it came first",
        56,
        "gateway.owner.service:CommandService._command",
        "self._refusals.reason(command, call.deadline)",
        "None",
    ),
    Mutant(
        "a new owner takes what was sent for not received",
        8,
        "gateway.command_log:CommandLog.is_unsent",
        "return command in self._unsent",
        "return True",
    ),
    Mutant(
        "write to a stream whatever is in it",
        478,
        "gateway.streams:StreamWriter.send",
        "headers = {Header.EXPECTED_LAST_SEQUENCE.value: str(number - 1)}",
        "headers = {}",
    ),
    Mutant(
        "take over without writing it to the command log",
        0,
        "gateway.owner.ownership:Ownership._take_over_log",
        "await writer.append(encode_records(takeover))",
        "pass",
    ),
    Mutant(
        "publish events before their outcomes are in the log",
        141,
        "gateway.owner.log_store:LogStore.flushed",
        "await self._outcomes.flushed(at_once=at_once)",
        "pass",
    ),
    Mutant(
        "send before the command is written down",
        157,
        "gateway.owner.log_store:LogStore._reserved",
        "number = await written",
        "number = 0",
    ),
    Mutant(
        "send without a look at the lease",
        147,
        "gateway.owner.log_store:LogStore.put",
        "if not self._holds():",
        "if False:",
    ),
    Mutant(
        "own the session for ever",
        147,
        "gateway.lease:Lease.holds",
        "and now < self._held_until",
        "",
    ),
    Mutant(
        "take over after a third of the lease",
        27,
        "gateway.lease:Lease._may_take",
        "now - self._since >= self._lease_s",
        "now - self._since >= self._lease_s / 3",
    ),
    Mutant(
        "own the session for twice the lease",
        18,
        "gateway.lease:Lease.on_written",
        "self._lease_s * 2 / 3",
        "self._lease_s * 2",
    ),
)
