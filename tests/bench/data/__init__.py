"""gitml's handling of data measured against DVC, Git and git-annex, and against what the machine can do at all."""
