"""The gateway's side: acquires a license token, caches it, renews it, and tells whether work may go on."""
