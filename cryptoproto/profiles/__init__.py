"""Profiles: what a program needs to connect, from a file, the environment and arguments."""

from __future__ import annotations

from .config_file import ConfigFile, default_path
from .profile import Profile
from .values import ProfileValues

__all__ = ["ConfigFile", "Profile", "ProfileValues", "default_path"]
