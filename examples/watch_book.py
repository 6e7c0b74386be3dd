"""Watch the top of one order book, through restarts of the exchange.

cryptoproto exchange &
python examples/watch_book.py ws://127.0.0.1:8401 BTC_USD
"""

from __future__ import annotations

import argparse
import asyncio

import cryptoproto as cp


async def watch(url: str, pair: str, *, updates: int | None = None, insecure: bool = False) -> None:
    """Print the book of *pair* whenever it changes, and each trade; stop after this many *updates*."""
    async with cp.MarketData(url, pairs=[pair], insecure=insecure) as feed:
        states = asyncio.create_task(print_states(feed))
        seen = 0
        async for update in feed:
            match update:
                case cp.OrderBookAgg():
                    print_book(feed.book(pair))
                case cp.AnonymousTrade():
                    side = "sold to a bid" if update.maker_buy else "bought from an ask"
                    print(f"{update.at:%H:%M:%S.%f}  {update.amount:f} {side} at {update.price:f}")
                case cp.TradesDisabledOnPairs():
                    print(f"trading on {pair} has stopped")
                case cp.TradesEnabledOnPairs():
                    print(f"trading on {pair} has resumed")
            seen += 1
            if seen == updates:
                break
    await states  # the feed is closed: the stream of states ends with the last one


def print_book(book: cp.OrderBook) -> None:
    if book.is_stale:  # the connection was lost after this update was queued
        return
    bid, ask = (f"{level[0]:f} × {level[1]:f}" if level else "none" for level in (book.best_bid, book.best_ask))
    spread = "" if book.spread is None else f"   spread {book.spread:f}"
    print(f"{book.trade_pair}   {bid}  |  {ask}{spread}{'   CROSSED' if book.is_crossed else ''}")


async def print_states(feed: cp.MarketData) -> None:
    async for state in feed.states():
        again = f"; next attempt in {state.delay_s:.1f} s" if state.state is cp.FeedState.WAITING else ""
        print(f"[{state.state.value}] {state.reason}{again}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Watch the top of one order book.")
    parser.add_argument("url", help="the market-data socket, like ws://127.0.0.1:8401")
    parser.add_argument("pair", nargs="?", default="BTC_USD")
    parser.add_argument("--updates", type=int, help="stop after this many updates")
    parser.add_argument("--insecure", action="store_true", help="allow ws:// to another machine")
    arguments = parser.parse_args()
    try:
        asyncio.run(watch(arguments.url, arguments.pair, updates=arguments.updates, insecure=arguments.insecure))
    except cp.CryptoprotoError as error:
        parser.exit(1, f"{error}\n")
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
