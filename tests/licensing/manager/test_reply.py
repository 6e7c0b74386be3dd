"""What the manager sends back."""

from __future__ import annotations

import json

from cryptoproto.licensing.manager.reply import LARGEST_BODY, Reply
from cryptoproto.licensing.request.refusal import Refusal


def test_the_largest_body_is_what_the_documentation_says() -> None:
    assert LARGEST_BODY == 32_840


def test_a_refusal_is_json() -> None:
    reply = Reply.no(Refusal(429, "too_many_requests", "later", 1.23456))
    assert reply.status == 429
    assert json.loads(reply.body) == {"reason": "too_many_requests", "message": "later", "retry_after_s": 1.235}
