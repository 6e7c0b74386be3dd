"""Whoever waits for a host is woken when something else has reached it."""

from __future__ import annotations

import gc

from cryptoproto.reconnect.reachability import announce, watch


async def test_everybody_who_waits_for_the_host_is_woken_whatever_the_port() -> None:
    waiting = [watch("wss://api.example.com"), watch("wss://api.example.com:8443/feed")]
    other = watch("wss://another.example.com")
    announce("ws://api.example.com:9000")
    assert [event.is_set() for event in waiting] == [True, True]
    assert not other.is_set()


async def test_a_host_that_nobody_waits_for() -> None:
    announce("wss://api.example.com")
    assert not watch("wss://api.example.com").is_set()


async def test_who_no_longer_waits_is_forgotten() -> None:
    waiting = watch("wss://api.example.com")
    del waiting
    gc.collect()
    announce("wss://api.example.com")
    assert not watch("wss://api.example.com").is_set()
