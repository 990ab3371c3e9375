"""Suggestions for names that are not known."""

from difflib import get_close_matches


def did_you_mean(name, allowed):
    """Return a question with the most similar allowed name, or "" if none is similar."""
    close = get_close_matches(str(name), allowed, n=1)
    return f" Did you mean {close[0]!r}?" if close else ""
