"""Writes tokens back as Python source, in any layout that means the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gitml.hashing.pylexer import DEDENT, INDENT, LINE

Choose = Callable[[Sequence[bytes]], bytes]


def plain(options: Sequence[bytes]) -> bytes:
    """Choose the plainest layout."""
    return options[0]


def emit(texts: Sequence[bytes], choose: Choose = plain) -> bytes:
    """Give source with these tokens; `choose` picks the spacing, comments, blank lines, indents and line breaks."""
    first = texts.index(LINE) if LINE in texts else len(texts)
    out = [b"\n".join(text.strip(b"\n") for text in texts[:first])]
    margins, depth = [b""], 0
    fresh = True
    for at in range(first, len(texts)):
        text = texts[at]
        if text == LINE:
            for mark in texts[at + 1 :]:
                if mark == INDENT:
                    margins.append(margins[-1] + choose((b"    ", b" ", b"\t", b"  \t")))
                elif mark == DEDENT:
                    margins.pop()
                else:
                    break
            out.append(
                choose((b"", b"  # a comment", b" \t\f"))
                if at > first and texts[at - 1].lstrip(b"\n")[:1] != b"#"
                else b""
            )
            out.append(b"\n" + choose((b"", b"\n", b"      # far off\n", b"\t\n\n")) + margins[-1])
            fresh = True
        elif text not in (INDENT, DEDENT):
            comment = text.lstrip(b"\n")[:1] == b"#"
            if comment:
                out.append((b"" if text[:1] == b"\n" else b" ") + text + (b"\n" if depth else b""))
            elif fresh:
                out.append(text)
            elif depth:
                out.append(choose((b" ", b"\n", b"  # inside\n\t", b" \\\n  ")) + text)
            else:
                out.append(choose((b" ", b"   ", b"\t", b" \\\n        ")) + text)
            fresh = False
            depth += (text in (b"(", b"[", b"{")) - (text in (b")", b"]", b"}"))
    return b"".join(out) + choose((b"\n", b"", b"\n# the end", b"\n   \n"))
