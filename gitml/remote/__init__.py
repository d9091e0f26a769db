"""Data that lies elsewhere: every request that gitml makes of a network starts here."""
