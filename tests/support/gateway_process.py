"""A gateway in its own process, to be killed or stopped: ``python -m tests.support.gateway_process ALICE.PEM``.

Each line on the standard input, ``nats_url exchange_url exchange.pub lease_s replicas``, starts one; see
``tests/support/lives.py``. It says when it has become the owner, with its fence.
"""

from __future__ import annotations

import sys

import cryptoproto as cp
from cryptoproto.gateway import Gateway
from cryptoproto.transport import opener
from tests.support.lives import fork_for_each_line, tell


def main() -> None:
    key = cp.PrivateKey.load(sys.argv[1])
    opener("auto")  # imports what it needs

    async def serve(nats_url: str, exchange_url: str, server_key: str, lease_s: str, replicas: str) -> None:
        gateway = Gateway(
            nats_url,
            url=exchange_url,
            client_id="alice",
            private_key=key,
            server_key=cp.PublicKey.load(server_key),
            lease_s=float(lease_s),
            replicas=int(replicas),
            backoff=cp.Backoff(initial=0.05, cap=0.2),
            ping_interval=0.5,
            ping_timeout=1.0,
            insecure=True,  # hosts may be network namespaces
        )
        async with gateway:
            while True:
                await gateway.wait_owner()
                tell(owner=gateway.fence)
                await gateway.wait_lost()
                tell(lost=True)

    fork_for_each_line(serve)


if __name__ == "__main__":
    main()
