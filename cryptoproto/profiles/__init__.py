"""Profiles: what a program needs to connect, from a file, the environment and arguments."""

from __future__ import annotations

from .config_file import ConfigFile, check_name, default_path
from .environment import VARIABLES
from .profile import Profile
from .values import ProfileValues, check_values, expanded, joined

__all__ = [
    "VARIABLES",
    "ConfigFile",
    "Profile",
    "ProfileValues",
    "check_name",
    "check_values",
    "default_path",
    "expanded",
    "joined",
]
