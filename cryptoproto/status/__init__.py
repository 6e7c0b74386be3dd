"""A page that shows a running client, for a browser, the terminal and Prometheus (extra ``status``).

::

    from cryptoproto.status import serve_status

    async with serve_status(client) as status:
        print(status.url)
        await run_the_bot(client)
"""

from __future__ import annotations

from .server import StatusServer, serve_status

__all__ = ["StatusServer", "serve_status"]
