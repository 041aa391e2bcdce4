"""Grammatical English sentences without meaning, made by chance from word lists that have all sounds of American English."""

import re
from pathlib import Path

import numpy as np

from tidegate.errors import DataError

SHARED = (
    "The young judge usually took a thick leather coat to the royal garage each year.",
    "Should four boys measure the bathtub, or choose yellow paper for the old church?",
)
"""Read by all speakers, as SA1 and SA2 of TIMIT are."""

_WORDS = {
    "who": """boy girl judge teacher farmer cook woman doctor lawyer baker singer soldier sailor butcher king father mother brother
        neighbor captain preacher employer explorer engineer magician musician pilot poet puppet thief youth kitten puppy
        pigeon donkey goose horse turtle tiger""",
    "what": """book coin toy treasure leather jacket button bottle pitcher feather cushion sugar butter oil orange garage television
        wheel onion chair church bridge bathtub shovel mirror pudding garden fish thimble badge watch voyage hood beard barrel guitar
        carpet cotton river ladder camera juice collage wool engine package mouth cloth shoe teapot cabbage earring couch towel tower
        fire_engine choir violin diary drawer stool moon beige_scarf rouge measure quarter""",
    "how": """quick old young thick thin heavy loyal noisy royal casual unusual yellow joyful good wooden awful cheap huge rough smooth
        giant strange dirty clean purple foolish weird fair bare curious pure cautious bitter little gentle vague warm cool loud proud
        tired modern ancient""",
    "did": """watched pushed pulled took found carried measured choked visited avoided enjoyed joined forgot noticed touched admired
        praised covered followed washed painted brought bought caught chased heard cherished borrowed repaired described destroyed
        remembered mentioned ignored""",
    "goes": """sings laughs jumps waits shouts cooks argues whispers yawns listens hurries works thinks swims""",
    "where": """near behind above beneath under beyond beside across_from over against below around""",
    "when": """yesterday today usually this_evening each_Thursday in_the_morning before_lunch after_the_voyage at_noon every_Tuesday
        for_an_hour without_pleasure with_good_cheer by_chance once_more in_January all_the_time""",
    "way": """quietly angrily casually cheerfully thoughtfully joyfully slowly rudely barely usually carefully together again""",
    "name": """George Joyce Ruth Charles Matthew Edward Laura Beth Roy Margaret Arthur Paul Julia Heather Howard Cheryl Theo Zoe""",
}
_SHAPES = (
    "The {how} {who} {did} the {how} {what}.",
    "{name} {did} a {how} {what} {when}.",
    "The {who} {did} both the {what} and the {what} {way}.",
    "A {how} {who} {goes} {where} the {what}.",
    "{name} {goes} {way} while the {who} {goes} {where} a {how} {what}.",
    "Should the {who} measure the {what}, or could {name}?",
    "{when}, the {how} {who} {did} {name}.",
    "Why is the {what} {where} the {how} {what}?",
    "{name} thinks that the {who} {did} their {what}.",
    "Neither {name} nor the {who} {did} the {what} {where} the {what}.",
)
LISTS = {name: tuple(word.replace("_", " ") for word in words.split()) for name, words in _WORDS.items()}
"""Nouns (living, and things), adjectives, verbs (with an object in the past; without one in the present), prepositions, times, manners,
names."""


def made_prompts(count: int, seed: int) -> list[str]:
    """So many different sentences, the same for the same seed; the shapes take turns."""
    random = np.random.default_rng([seed, 0])
    found: dict[str, None] = {}
    while len(found) < count:
        found[_sentence(_SHAPES[len(found) % len(_SHAPES)], random)] = None
    return list(found)


def _sentence(shape: str, random: np.random.Generator) -> str:
    words = re.sub(r"{(\w+)}", lambda place: str(random.choice(LISTS[place[1]])), shape)
    words = re.sub(r"\b([Aa]) (?=[aeio]|un)", r"\1n ", words)
    return words[0].upper() + words[1:]


def read_prompts(file: Path) -> list[str]:
    """A sentence a line; empty lines and repeated sentences are left out. Raises DataError for a file without any, or that is not text."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file} cannot be read: {error}. Give a text file with a sentence a line.") from None
    found = list(dict.fromkeys(" ".join(line.split()) for line in lines if line.strip()))
    if not found:
        raise DataError(f"{file} has no sentence; expected one a line.")
    return found
