from __future__ import annotations

import pytest

from cryptoproto.exceptions import OrderInvalid
from cryptoproto.gateway.owner.conduct import Conduct


def test_who_ends_the_session_waits_twice_as_long_each_time() -> None:
    conduct, now = Conduct(), 100.0
    conduct.check_placing("one", now)
    for pause in (0.5, 1.0, 2.0):
        conduct.on_session_ended("one", now)
        with pytest.raises(OrderInvalid, match="ended the session of all strategies"):
            conduct.check_placing("one", now + pause - 0.01)
        conduct.check_placing("two", now)
        now += pause
        conduct.check_placing("one", now)
    for _ in range(20):
        conduct.on_session_ended("one", now)
    conduct.check_placing("one", now + 60)
    now += 60 + 300
    conduct.on_session_ended("one", now)  # forgiven
    conduct.check_placing("one", now + 0.5)


def test_questions_about_unknown_commands_have_a_rate() -> None:
    conduct = Conduct()
    assert sum(conduct.may_ask("one", 10.0) for _ in range(1000)) == 50
    assert conduct.may_ask("two", 10.0)
    assert sum(conduct.may_ask("one", 10.125) for _ in range(1000)) == 6
