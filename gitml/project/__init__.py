"""The composition root and the use cases of the command line."""
