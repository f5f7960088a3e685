"""The two directions of translation: from contrast a to b, and back."""

from typing import Literal

Direction = Literal["ab", "ba"]
DIRECTIONS = ("ab", "ba")
