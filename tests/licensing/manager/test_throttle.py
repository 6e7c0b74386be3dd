"""How often somebody may ask."""

from __future__ import annotations

from cryptoproto.licensing.manager.throttle import Throttle
from tests.support.licensing.simulated_time import SECOND


def test_a_throttle_forgets_names_and_not_permits() -> None:
    throttle = Throttle(2.0, burst=2)
    assert [throttle.wait_s("a", 0) for _ in range(3)] == [0.0, 0.0, 0.5]
    assert throttle.wait_s("b", 0) == 0.0
    assert throttle.wait_s("a", SECOND // 2) == 0.0
    assert throttle.wait_s("a", SECOND // 4) > 0  # a clock that steps back gives nothing away
    for number in range(20_000):
        throttle.wait_s(f"flood {number}", SECOND)
    assert len(throttle._buckets) <= 10_000
