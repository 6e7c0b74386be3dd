"""The gateway's side: acquires a license token, caches it, renews it, and says whether work may continue."""
