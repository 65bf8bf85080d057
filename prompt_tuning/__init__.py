"""Soft prompt tuning and soft prompt transfer on a frozen T5."""

__version__ = "0.1.0"
