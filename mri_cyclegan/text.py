"""Text that is safe to print, whatever it contains and whatever characters the terminal supports."""

import codecs
import io
import sys
from collections.abc import Iterable

# One character for one, so that table columns stay aligned.
PLAIN = {"→": ">", "↔": "-", "×": "x", "−": "-", "–": "-", "…": "~", "·": "*", "±": "~", "≥": ">"}
ERRORS = "mri_cyclegan.plain"


def terminal_safe(text: str) -> str:
    r"""Escape characters that a terminal would interpret or could not show: file and entry names may contain any.

    >>> terminal_safe("a\x1b[31mb\udce9 é → #")
    'a\\x1b[31mb\\udce9 é → #'
    """
    return "".join(
        letter if letter.isprintable() or letter == "\n" else letter.encode("unicode_escape").decode("ascii")
        for letter in text
    )


def listing(names: Iterable[str], most: int = 10) -> str:
    """List the first names, in their order, and how many more there are.

    >>> listing(["sub-1", "sub-2", "sub-3"], most=2)
    'sub-1, sub-2 and 1 more'
    """
    names = list(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def make_output_encodable() -> None:
    """Make stdout and stderr replace characters that their encoding lacks; entry points call this first.

    Not every terminal and log is UTF-8 (``LC_ALL=de_DE.ISO-8859-1``, ``PYTHONIOENCODING=ascii``), and hours of training
    must not fail because an arrow cannot be printed.
    """
    codecs.register_error(ERRORS, _plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ERRORS)


def _plain(error: UnicodeError) -> tuple[str, int]:
    """Codecs error handler: return what replaces characters that an encoding lacks, and where the text continues."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    shown = (PLAIN.get(letter) or letter.encode("ascii", "backslashreplace").decode("ascii") for letter in lacking)
    return "".join(shown), error.end
