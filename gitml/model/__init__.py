"""Frozen values that all layers share: no I/O, no third party."""
