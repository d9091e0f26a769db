"""What goes wrong between here and a server."""

from __future__ import annotations

from gitml.errors import EXIT_REMOTE, DamagedError, GitmlError, UsageError
from gitml.model.url import shown_url


class RemoteError(GitmlError):
    """A server does not give what was asked; `url` is where, without what may be secret in it."""

    exit_code = EXIT_REMOTE

    def __init__(self, url: str, why: str, *, hint: str | None = None) -> None:
        self.url = shown_url(url)
        super().__init__(f"{self.url}: {why}", hint=hint)


class TransientError(RemoteError):
    """Asking again may help; `after`: the seconds that the server wants to be left alone."""

    def __init__(self, url: str, why: str, *, after: float = 0.0) -> None:
        super().__init__(url, why, hint="try again later; nothing was changed here")
        self.after = after


class RefusedProtocolError(UsageError):
    """A declaration names a protocol that a clone must not make gitml speak."""


class MissingCredentialsError(RemoteError):
    """The user's environment has no credentials for a store that wants some."""


class MissingExtraError(RemoteError):
    """The package that speaks a protocol is not installed."""


class WrongDigestError(DamagedError):
    """What was downloaded is not what its publisher says; nothing of it was kept."""

    def __init__(self, url: str, algorithm: str, *, expected: str, found: str) -> None:
        super().__init__(
            f"{shown_url(url)}: wrong {algorithm}: expected {expected}, found {found}",
            hint="the file was replaced or tampered with: find out which, then correct the digest in the declaration",
        )
        self.expected = expected
        self.found = found
