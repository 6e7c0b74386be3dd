"""A queue that counts bytes."""

from __future__ import annotations

from cryptoproto.exchange.byte_queue import ByteQueue


def test_it_is_first_in_first_out_and_knows_its_size() -> None:
    queue: ByteQueue[str] = ByteQueue()
    assert not queue
    queue.push("one", 3)
    queue.push("three", 5)
    assert (len(queue), queue.size, queue.first) == (2, 8, "one")
    assert queue.pop() == "one"
    assert (len(queue), queue.size) == (1, 5)
    queue.clear()
    assert (len(queue), queue.size) == (0, 0)
