"""Users and passwords for HTTP: from `~/.netrc` (or `$NETRC`), as curl and Git read it, and from nowhere in a clone."""

from __future__ import annotations

import base64
import netrc
import os
from collections.abc import Mapping
from urllib.parse import urlsplit

from gitml.errors import UsageError


class Credentials:
    """What the user's own file says; it is read when first asked."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        home = environ.get("HOME", "")
        self._file = environ.get("NETRC") or (os.path.join(home, ".netrc") if home else "")
        self._read: netrc.netrc | None = None

    def of(self, url: str) -> str | None:
        """Give the `Authorization` for the host of a URL; None over plain HTTP, which everyone on the way can read.

        Asked for each redirect anew, so that one host never gets what is meant for another. An entry for `default` is
        not looked at: it would go to any host that a clone names.

        Raises:
            UsageError: The file is there and cannot be read.
        """
        parts = urlsplit(url)
        if parts.scheme.lower() != "https" or not parts.hostname or not os.path.isfile(self._file):
            return None
        found = self._hosts().hosts.get(parts.hostname)
        if found is None:
            return None
        user, _, password = found
        return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    def _hosts(self) -> netrc.netrc:
        if self._read is None:
            try:
                self._read = netrc.netrc(self._file)
            except netrc.NetrcParseError as error:
                raise UsageError(
                    f"{self._file}: {error.msg}", hint="correct it, or name another file in NETRC"
                ) from error
        return self._read
