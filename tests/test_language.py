"""The package and its pages are written in plain technical English."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (
        *(ROOT / "fairbinn_sklearn").rglob("*.py"),
        *(ROOT / "docs").glob("*.rst"),
        *(ROOT / "docs" / "guide").glob("*.rst"),
        *(ROOT / "docs" / "how_to").glob("*.[pr]*"),
        *ROOT.glob("*.md"),
    )
)

# Regular expressions of whole words and their replacements. A space matches line breaks too.
BANNED = {
    "told|tells|telling": "report, pass, estimate, show, or a noun as a name",
    "tell (?:them |the two |both )?apart": "distinguish",
    "(?:go|goes|going|gone|went) on": "continue, resume",
    "is there": "exists, is available",
    "but for": "except",
    "in the place of": "instead of",
    "in vain": "without improvement",
    "behind": "after",
    "stands? for": "means, represents",
    "(?:has|have|had) it": "contains, or repeat the noun",
    "of (?:its|one's|their) own": "separate",
    "one's own": "custom",
    "in our words": "name the meaning",
    "what else": "other",
    "dealt|deals? out|deal the": "distribute, split",
    "neural nets?|nets": "neural network, networks",
    "(?:training|validation|test|held-out) rows?": "samples",
    "of the rows": "of the samples",
}

# File, phrase around a banned expression, and the reason why the phrase stays.
ALLOWED = [
    ("docs/theory.rst", "lag behind", "common English for a moving average that follows late"),
    ("fairbinn_sklearn/datasets/_health.py", "of the rows in the file", "rows of a CSV file"),
]


def compile_words(words):
    """Compile an expression of whole words, in any case, also across the lines of a comment."""
    spaced = words.replace(" ", r"[\s#]+")
    return re.compile(rf"\b(?:{spaced})\b", re.IGNORECASE)


def mask_allowed(file, text):
    """Overwrite the allowed phrases of a file; line numbers stay the same."""
    for name, phrase, _ in ALLOWED:
        if name == file:
            text = compile_words(re.escape(phrase).replace(r"\ ", " ")).sub(
                lambda match: re.sub(r"[^\n]", "\0", match[0]), text
            )
    return text


def find_banned(file, text):
    """List the banned expressions of a file, one line of text per expression."""
    text = mask_allowed(file, text)
    matches = sorted(
        (text.count("\n", 0, match.start()) + 1, re.sub(r"[\s#]+", " ", match[0]), advice)
        for words, advice in BANNED.items()
        for match in compile_words(words).finditer(text)
    )
    return [f"{file}:{line}: {words!r}, use: {advice}" for line, words, advice in matches]


@pytest.mark.parametrize("file", FILES)
def test_banned_expressions_are_not_used(file):
    banned = find_banned(file, (ROOT / file).read_text(encoding="utf-8"))
    assert not banned, "\n" + "\n".join(banned)


@pytest.mark.parametrize(("file", "phrase", "reason"), ALLOWED)
def test_allowed_phrases_are_used(file, phrase, reason):
    text = (ROOT / file).read_text(encoding="utf-8")
    assert mask_allowed(file, text) != text, f"{file} no longer contains {phrase!r}"


def test_expressions_are_found_across_lines():
    banned = find_banned("module.py", "# Networks are\n# told; x goes\n    # on.\n")
    assert [line.partition(", use")[0] for line in banned] == [
        "module.py:2: 'goes on'",
        "module.py:2: 'told'",
    ]
