"""Captions as the web writes them: sentences, file names, and words that say little."""

import numpy as np

_TELLING = (
    "{Name} icon free download",
    "cute {name} sticker | {percent}% off",
    "{slug}_512x512.png",
    "vector illustration of a {name} on {colour} background",
    "{Name} - royalty free clip art",
    "{name} emoji meaning and copy paste",
    "a small picture of a {name}",
    "{name}",
    "{Name} SVG, PNG, ICO, 512 px",
    "{slug}-{number}.jpg",
    "How to draw a {name} step by step for kids",
    "{colour} {name} print, A{digit} poster",
    "Pack of {digit} {name} magnets",
    "{Name} flat design, isolated on {colour}",
    "{Name} (digital art) by studio {number}",
    "buy {name} enamel pin online",
    "{name} {class_name} graphic",
    "Learn English words: {name}",
)
_GENERAL = (
    "{class_name} clipart no. {number}",
    "{synonym} icon set, {digit} pieces",
    "{Synonym} - free vector",
    "flat {class_name} illustration",
)
_EMPTY_WORDS = (
    "IMG_{number}",
    "image {digit}",
    "DSC0{number}.JPG",
    "untitled-{digit}",
    "click to enlarge",
    "Screenshot 2023-0{digit}-1{digit}",
    "photo",
    "thumbnail",
    "Download free",
    "picture {number} of {number}",
)
TELLING_SHARE = 0.80
GENERAL_SHARE = 0.08


def write_caption(
    name: str, class_words: tuple[str, ...], colour: str, rng: np.random.Generator
) -> tuple[str, bool]:
    """Write a caption, and say whether it tells what the picture shows.

    Parameters
    ----------
    name
        What the picture shows.
    class_words
        The name of its class, then its synonyms.
    colour
        Main colour of the background.
    rng
        Chooses the sentence and its numbers.
    """
    templates = _TELLING
    kind = rng.random()
    if kind > TELLING_SHARE:
        templates = _GENERAL if kind < TELLING_SHARE + GENERAL_SHARE else _EMPTY_WORDS
    synonym = class_words[rng.integers(len(class_words))]
    caption = templates[rng.integers(len(templates))].format(
        name=name,
        Name=name[:1].upper() + name[1:],
        slug=name.lower().replace(" ", rng.choice(["-", "_"])).replace("'", ""),
        class_name=class_words[0],
        synonym=synonym,
        Synonym=synonym.capitalize(),
        colour=colour,
        number=rng.integers(1000, 10000),
        digit=rng.integers(2, 10),
        percent=rng.integers(1, 8) * 10,
    )
    return caption, templates is not _EMPTY_WORDS
