"""The meaning of names of folders and files: normal or defective, a part of the layout, the image of a mask.

Names are compared as people compare them: case, separators and the way in which accents are stored (a Mac's
archive takes ``é`` apart) make no difference. For a name that may mean either, `meaning` gives None.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator

PARTS = {
    "train": frozenset({"train", "training"}),
    "test": frozenset({"test", "testing"}),
    "ground_truth": frozenset({"groundtruth", "groundtruths", "gt"}),
}
"""The folders of a category, and what people call them."""

_NORMAL = frozenset(
    str.split(
        "good goods ok oks okay normal normals nominal healthy intact flawless faultless perfect spotless unblemished"
        " nofinding nofindings fehlerfrei einwandfrei 正常 良品 合格"
    )
)
_SAYS_NOTHING = frozenset(
    str.split(
        "negative negatives neg positive positives pos clean pass passed passing accept accepted acceptable fine"
        " correct valid sound safe benign io gut gute bon bons bonne buono bueno goed conform conforme control"
        " reference references ref golden gold template templates none nothing background regular standard true class0"
        " label0 image images img imgs picture pictures photo photos data all test testing mixed unlabeled unlabelled"
        " rgb groundtruth gt mask masks labels annotations"
    )
)
"""Names that some use for normal images, some for defective ones, and some for both or for masks."""

_FAULT = "(?:defect(?:s|ed|ive)?|anomal(?:y|ies|ous)|abnormal(?:ity|ities)?|faults?|faulty|flaws?|damaged?|errors?)"
_FAULTLESS = re.compile(rf"(?:no|non|not|without|un){_FAULT}|{_FAULT}(?:free|less)")
_NEGATIONS = frozenset({"no", "not", "non", "un"})
_WITHOUT = frozenset({"no", "not", "non", "without", "free", "zero", "less"})
_BEGINS_NORMAL = re.compile("good|normal|nominal|healthy|flawless|faultless|perfect")

_MASK_WORD = "(?:masks?|labels?|lbl|gt|ground[-_ ]?truths?|seg|segmentation|annotations?|anno)"
_BETWEEN = r"[-_. ]+"
_MASK_NAMES = (
    re.compile(rf"(.+?){_BETWEEN}{_MASK_WORD}", re.IGNORECASE),
    re.compile(rf"{_MASK_WORD}{_BETWEEN}(.+)", re.IGNORECASE),
)
_NUMBERED = re.compile(rf"(.+?){_BETWEEN}{_MASK_WORD}[-_. ]*\d+", re.IGNORECASE)
"""Several masks of one image: ``000_mask_0``, ``000_mask_1``."""
_DOUBLE_SUFFIX = re.compile(r"(.+)\.(?:png|jpe?g|bmp|tiff?|webp|p[pgbn]m)", re.IGNORECASE)


def meaning(name: str) -> bool | None:
    """Whether a folder of this name holds normal images: True, False, or None where the name may mean either.

    Examples:
        ``good``, ``OK``, ``Defect_Free``: True. ``crack``, ``not_ok``, ``ko``: False. ``negative``, ``good_2``: None.
    """
    words = _words(name)
    joined = "".join(words)
    if joined in _NORMAL or _FAULTLESS.fullmatch(joined):
        return True
    if not joined or joined in _SAYS_NOTHING or is_zero(name):
        return None
    if _NORMAL.intersection(words):
        return False if _NEGATIONS.intersection(words) else None
    denied = _WITHOUT.intersection(words) and re.search(_FAULT, joined)
    return None if denied or _BEGINS_NORMAL.match(joined) else False


def is_zero(name: str) -> bool:
    """Whether a name is the number 0, as classes are numbered: normal, unless another folder is."""
    return re.fullmatch("0+", name) is not None


def part_named(name: str) -> str | None:
    """The folder of a category that a name stands for: ``Ground-Truth`` is ``ground_truth``."""
    joined = "".join(_words(name))
    return next((part for part, names in PARTS.items() if name == part or joined in names), None)


def same(name: str) -> str:
    """The normal form of a name, without case and with accents in one Unicode form."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def image_stems(stem: str) -> Iterator[str]:
    """Stems of the images that a mask of this stem may belong to, the likeliest first."""
    yield stem.removesuffix("_mask")
    yield stem
    for pattern in (*_MASK_NAMES, _DOUBLE_SUFFIX):
        found = pattern.fullmatch(stem)
        if found:
            yield found[1]
            double = _DOUBLE_SUFFIX.fullmatch(found[1])
            yield from (double[1],) if double else ()


def numbered_stem(stem: str) -> str | None:
    """The stem of the image of which this is one of several masks, by a number: ``000_mask_1``."""
    found = _NUMBERED.fullmatch(stem)
    return found[1] if found else None


def masked_stem(stem: str) -> str | None:
    """The stem of the image whose mask a file of this stem is, if its name ends so: ``000_label``."""
    found = _MASK_NAMES[0].fullmatch(stem)
    return found[1] if found else None


def spelt(name: str) -> str:
    r"""A file's name as text that can be written anywhere; bytes that are no UTF-8 become ``\xe9``."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _words(name: str) -> list[str]:
    """The words of a name in lower case, digits apart; a hump begins a word: ``notOk``."""
    humps = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", unicodedata.normalize("NFKC", name))
    return re.findall(r"[^\W\d_]+|\d+", humps.casefold())
