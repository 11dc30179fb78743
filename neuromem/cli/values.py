"""The values that are typed after ``key=``."""

from __future__ import annotations

import re


def read_value(text: str) -> object:
    """Return the text as a whole number, a number, true, false or none; any other text stays as it is."""
    words: dict[str, object] = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    try:
        if re.fullmatch(r"[+-]?[0-9]+", text):
            return int(text)
        return float(text) if re.fullmatch(r"[+-]?[0-9.]+([eE][+-]?[0-9]+)?", text) else text
    except ValueError:  # two points, or thousands of digits
        return text
