"""The embedded exchange: a deterministic matching engine, and the server around it."""
