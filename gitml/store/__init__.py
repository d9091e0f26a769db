"""The local cache: content-addressed objects and runs, and what moves between it and the worktree."""
