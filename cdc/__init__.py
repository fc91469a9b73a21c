"""Lockstep: change data capture from MySQL and MariaDB, applied once and in order."""

__version__ = "0.1.0"
