"""Stores elsewhere (S3, GCS, Azure, SSH, a folder)."""
