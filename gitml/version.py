"""The version of gitml."""

__version__ = "0.1.0"
