"""A program that takes all events of a running feed, decoded: what there is to receive has a receiver, and they are counted.

``python -m tests.bench.steady.subscriber PUBLISH SNAPSHOT``. Prints "subscribed", and then, whenever it gets SIGUSR1, how many came.
"""

from __future__ import annotations

import asyncio
import signal
import sys

import uvloop

from k2workers import Lost, Subscriber


async def main(publish: str, snapshot: str) -> None:
    """Take events until ended."""
    events = 0

    def tell() -> None:
        sys.stdout.write(f'{{"events":{events}}}\n')
        sys.stdout.flush()

    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, tell)
    async with Subscriber(["binance."], publish, snapshot_endpoint=snapshot, books_endpoint=None) as subscription:
        await subscription.wait_subscribed(60)
        sys.stdout.write("subscribed\n")
        sys.stdout.flush()
        async for item in subscription.batches():
            if not isinstance(item, Lost):
                events += len(item.events)


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
