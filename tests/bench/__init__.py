"""gitml measured against other tools: the same work, in the same run, on the same machine."""
