"""The side that owns the exchange session: the client, its store in NATS, and the service for strategies."""
