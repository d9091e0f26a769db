"""URLs of published data, as they may stand in a declaration that anyone wrote."""

from __future__ import annotations

import re

_FORM = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)([^?#]*)([?#].*)?", re.DOTALL)
_WEB = ("http", "https")
_LONGEST = 8000


class UrlError(ValueError):
    """A URL breaks a rule; the text says which and shows nothing of the URL.

    `secret`: it holds a password, so that the line it stands on must not be shown either.
    """

    def __init__(self, why: str, *, hint: str | None = None, secret: bool = False) -> None:
        super().__init__(why)
        self.hint = hint
        self.secret = secret


def check_url(text: str) -> str:
    """Return a URL that can be taken apart in one way only, and that holds no password.

    What it names is not judged here: which protocols are spoken is up to whoever fetches.

    Raises:
        UrlError: It has no protocol or host, has characters that programs read in different ways, names a user, or
            chains file systems as fsspec does (`zip://x::s3://y`), which would open what no rule has looked at.
    """
    match = _FORM.fullmatch(text)
    if not match:
        hint = 'write it like "https://…" or "s3://…"; a file that is here already is recorded by `gitml add`'
        raise UrlError("this is not a URL", hint=hint)
    protocol, authority = match[1].lower(), match[2]
    user, has_user, host = authority.rpartition("@")
    if has_user and (":" in user or protocol in _WEB):  # abfs://container@account has no password
        raise UrlError(
            "a URL that is committed may not name a user or password (the line is not shown)",
            hint="leave them out: for https they are taken from ~/.netrc, else from the environment",
            secret=True,
        )
    if text != text.strip() or "\\" in text or not all(c == " " or c.isprintable() for c in text):
        raise UrlError("a URL may not contain backslashes or control characters, nor begin or end with a space")
    if len(text) > _LONGEST:
        raise UrlError(f"a URL may have at most {_LONGEST} characters")
    if not host and protocol != "file":
        raise UrlError("this URL names no host" if protocol in _WEB else "this URL names no bucket or host")
    if "::" in text and protocol not in _WEB:
        raise UrlError("'::' chains file systems, which a declaration may not", hint="name the file itself")
    return text


def protocol_of(url: str) -> str:
    """Give the protocol of a checked URL, in lower case."""
    return url.partition("://")[0].lower()


def shown_url(url: str) -> str:
    """Spell a URL for messages and logs: what follows `?` may be a signature or token and is left out."""
    match = _FORM.fullmatch(url)
    if not match:
        return "(not a URL)"
    host = match[2].rpartition("@")[2] if protocol_of(url) in _WEB or ":" in match[2].rpartition("@")[0] else match[2]
    return f"{match[1]}://{host}{match[3]}" + ("?…" if match[4] else "")
