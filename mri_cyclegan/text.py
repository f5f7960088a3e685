"""Text on the screen, whatever it holds and whatever the screen can show."""

import codecs
import io
import sys

# One character for one: columns of tables stay in line.
PLAIN = {"→": ">", "↔": "-", "×": "x", "−": "-", "–": "-", "…": "~", "·": "*", "±": "~", "≥": ">"}
ERRORS = "mri_cyclegan.plain"


def terminal_safe(text: str) -> str:
    r"""A text without what a terminal would obey, or could not show: names of files and entries may hold anything.

    >>> terminal_safe("a\x1b[31mb\udce9 é → #")
    'a\\x1b[31mb\\udce9 é → #'
    """
    return "".join(
        letter if letter.isprintable() or letter == "\n" else letter.encode("unicode_escape").decode("ascii")
        for letter in text
    )


def replace_unencodable() -> None:
    """Let the screen replace characters that its encoding lacks, where it would fail: the entry points' first call.

    Not every terminal and log is UTF-8 (``LC_ALL=de_DE.ISO-8859-1``, ``PYTHONIOENCODING=ascii``), and hours of training
    must not end in an arrow that it cannot show.
    """
    codecs.register_error(ERRORS, _plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ERRORS)


def _plain(error: UnicodeError) -> tuple[str, int]:
    """What stands for characters that an encoding lacks, and where the text continues: an error handler of codecs."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    shown = (PLAIN.get(letter) or letter.encode("ascii", "backslashreplace").decode("ascii") for letter in lacking)
    return "".join(shown), error.end
