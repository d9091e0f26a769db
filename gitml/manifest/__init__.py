"""The declaration: from TOML to a compiled pipeline, and the lock that records what was made of it."""
