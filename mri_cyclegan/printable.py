"""Words of others on the screen."""


def printable(text: str) -> str:
    r"""A text without what a terminal would obey, or could not show: names of files and entries may hold anything.

    >>> printable("a\x1b[31mb\udce9 é → #")
    'a\\x1b[31mb\\udce9 é → #'
    """
    return "".join(
        letter if letter.isprintable() or letter == "\n" else letter.encode("unicode_escape").decode("ascii")
        for letter in text
    )
