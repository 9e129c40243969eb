# Part of Inkstone. Licence: see LICENSE.
"""The layout of a model's `inkstone.json`, so that a new field or fit is a readable change."""

import json
import re
import unicodedata

COLUMNS = 110
NUMBERS = re.compile(r"\[\s+(-?[\d.][^\[\]{}\"]*?)\s+\]")


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def write(path, description):
    path.write_text(text(description), encoding="utf-8")


def text(description):
    """JSON with a line for each list of numbers, and the `words` last, as many on a line as fit."""
    rest = {name: value for name, value in description.items() if name != "words"}
    whole = json.dumps(rest, ensure_ascii=False, indent=2)
    whole = NUMBERS.sub(lambda m: "[" + ", ".join(re.split(r",\s+", m[1])) + "]", whole)
    if "words" in description:
        lists = ",\n".join(f'    "{language}": [\n{wrapped(words)}\n    ]'
                           for language, words in description["words"].items())
        whole = whole.removesuffix("\n}") + ',\n  "words": {\n' + lists + "\n  }\n}"
    return whole + "\n"


def width(text):
    """Columns of a text; a Chinese character takes two."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def wrapped(words):
    """The strings of a list, over lines of at most `COLUMNS` columns."""
    lines = [" " * 5]
    for i, word in enumerate(words):
        item = " " + json.dumps(word, ensure_ascii=False) + ("," if i < len(words) - 1 else "")
        if width(lines[-1] + item) > COLUMNS:
            lines.append(" " * 5)
        lines[-1] += item
    return "\n".join(lines)
