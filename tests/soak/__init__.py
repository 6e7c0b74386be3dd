"""Clients and an exchange that run for long, while what they hold is measured: ``python -m tests.soak``."""
