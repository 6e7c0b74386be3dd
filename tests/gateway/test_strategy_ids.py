from __future__ import annotations

from cryptoproto.gateway.strategy_ids import MAX_STRATEGIES, strategy_ids, strategy_number


def test_an_id_says_whose_it_is() -> None:
    for number in (1, 77, MAX_STRATEGIES):
        ids = strategy_ids(number)
        made = [ids.next() for _ in range(100)]
        assert len(set(made)) == 100
        assert {strategy_number(each) for each in made} == {number}
        assert all(0 < each < 2**63 for each in made)
    assert strategy_number(None) == 0
