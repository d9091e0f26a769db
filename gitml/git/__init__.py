"""Git, seen from gitml: every Git process is started here, and what Git holds is read here."""
