"""What administrators can do, and the audit rows that it leaves."""

from __future__ import annotations

import getpass
import os
from pathlib import Path
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.licensing import (
    KeyPair,
    LicenseDatabaseError,
    LicenseManager,
    LicenseToken,
    LicensingError,
    NoAgreement,
    NoFreeLicense,
    TokenBinding,
    config_hash,
)
from cryptoproto.licensing.manager import administer
from cryptoproto.licensing.manager.administration import current_user
from cryptoproto.licensing.sealing.sealing import open_token
from tests.support.licensing.asker import PACKAGE, Asker, granted
from tests.support.licensing.simulated_time import SECOND, START_NS, SimulatedClock


def test_revoking_ends_locks_and_further_tokens(asker: Asker) -> None:
    admin = asker.manager.administration
    agreement = admin.add_agreement(asker.keys.public_key, "*", licenses=1)
    assert granted(asker.ask("A1"))
    assert admin.revoke_agreement(agreement.id).revoked_ns is not None
    assert admin.locks() == []
    assert asker.ask("A1") == "no_agreement"
    assert admin.agreements() == []
    assert [each.id for each in admin.agreements(revoked=True)] == [agreement.id]
    for number in (agreement.id, 99):
        with pytest.raises(LicensingError, match="no agreement"):
            admin.revoke_agreement(number)


@pytest.mark.parametrize(
    "change", [{"licenses": -1}, {"lock_period_s": 0.5}, {"lock_period_s": 32 * 86_400}, {"package": ""}, {"key": "x"}]
)
def test_terms_that_cannot_be_meant(manager: LicenseManager, gateway: KeyPair, change: dict[str, Any]) -> None:
    terms: dict[str, Any] = {"key": gateway.public_key, "package": "*", "licenses": 1, "lock_period_s": 60.0} | change
    with pytest.raises(cp.ConfigurationError):
        manager.administration.add_agreement(
            terms["key"], terms["package"], licenses=terms["licenses"], lock_period_s=terms["lock_period_s"]
        )
    assert manager.administration.audit() == []


def test_a_released_lock_is_free_at_once(asker: Asker) -> None:
    admin = asker.manager.administration
    admin.add_agreement(asker.keys.public_key, "*", licenses=1)
    assert granted(asker.ask("A1"))
    lock = admin.locks()[0]
    admin.release(lock.binding)
    assert granted(asker.ask("A2"))
    with pytest.raises(LicensingError, match="no such lock"):
        admin.release(lock.binding)
    assert admin.locks()[0].to_plain()["config_hash"] == config_hash(PACKAGE, ["A2"]).hex()


def test_ended_locks_can_be_listed(asker: Asker, clock: SimulatedClock) -> None:
    admin = asker.manager.administration
    admin.add_agreement(asker.keys.public_key, "*", licenses=1, lock_period_s=60)
    assert granted(asker.ask("A1"))
    clock._steady_ns = 60 * SECOND
    assert admin.locks() == []
    assert len(admin.locks(ended=True)) == 1


def test_a_token_made_by_hand(asker: Asker, gateway: KeyPair) -> None:
    admin = asker.manager.administration
    generation = asker.manager.generations[0]
    binding = TokenBinding(gateway.public_key, PACKAGE, config_hash(PACKAGE, ["A1"]))
    with pytest.raises(NoAgreement):
        admin.grant(generation, binding, period_s=86_400)
    admin.add_agreement(gateway.public_key, "*", licenses=1)
    token, box = admin.grant(generation, binding, period_s=86_400)
    opened = LicenseToken.decode(open_token(box, gateway, generation.public))
    assert opened == token
    opened.check_usable(binding, START_NS)
    assert token.request_nonce is None
    assert admin.locks()[0].expires_ns == token.expires_at_utc_ns == START_NS + 86_400 * SECOND
    other = TokenBinding(gateway.public_key, PACKAGE, config_hash(PACKAGE, ["A2"]))
    with pytest.raises(NoFreeLicense):
        admin.grant(generation, other, period_s=60)
    admin.grant(generation, other, period_s=60, without_lock=True)
    assert len(admin.locks()) == 1
    with pytest.raises(cp.ConfigurationError, match="between 1 second"):
        admin.grant(generation, other, period_s=0)


def test_every_change_leaves_a_row(asker: Asker, gateway: KeyPair) -> None:
    admin = asker.manager.administration
    agreement = admin.add_agreement(gateway.public_key, "*", licenses=1, note="Alice")
    asker.ask("A1")
    admin.release(admin.locks()[0].binding)
    binding = TokenBinding(gateway.public_key, PACKAGE, config_hash(PACKAGE, ["A1"]))
    token, _ = admin.grant(asker.manager.generations[0], binding, period_s=60)
    admin.revoke_agreement(agreement.id)
    rows = admin.audit()
    assert [row.action for row in rows] == ["agreement add", "release", "grant", "agreement revoke"]
    assert {row.actor for row in rows} == {"tester"}
    assert rows[2].detail["token_id"] == token.token_id
    assert rows[2].to_plain()["at"] == "2026-09-21T14:13:20Z"


def test_administration_without_the_managers_keys(tmp_path: Path, gateway: KeyPair) -> None:
    path = tmp_path / "licenses.db"
    with pytest.raises(LicenseDatabaseError, match="no such license database"), administer(path):
        pass
    with administer(path, create=True, clock=lambda: START_NS, actor="tester") as administration:
        administration.add_agreement(gateway.public_key, "*", licenses=1)
        administration.note_key_change("key rotation", {"overlap": "30d"})
    with administer(path) as administration:
        assert [row.action for row in administration.audit()] == ["agreement add", "key rotation"]


def test_the_audit_names_the_user_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: "alice")
    assert current_user() == "alice"

    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr(getpass, "getuser", nameless)
    assert current_user() == f"uid {os.getuid()}"
