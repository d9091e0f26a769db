"""Make for machine learning, native to Git."""

__version__ = "0.1.0"
