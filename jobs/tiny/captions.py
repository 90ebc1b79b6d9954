"""The captions of each source: every picture gets several keys, every key several texts.

Two pictures that share a key are positives of each other's texts of that key, so a title and
a mere "blue shirt" can be learnt in one batch without false negatives.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

Texts = dict[str, tuple[str, ...]]

_PHOTO = ("{}", "a photo of a {}", "a picture of a {}", "a small photo of the {}", "{}, photo")
_SHOP = ("{}", "a photo of {}", "{} online", "a product photo of {}", "buy {}")
_EMOJI = (
    "{}",
    "{}",
    "{} emoji",
    "an emoji of {}",
    "{} icon",
    "a small picture of a {}",
    "{} clip art",
    "vector illustration of a {}",
    "{} sticker",
    "{} flat design",
    "{} icon free download",
    "{}.png",
)
_ICON = ("{}", "{} icon", "an icon of {}", "{} symbol", "{} pictogram, svg", "{} icon, vector")
_CLOTHING = {
    "T-Shirt": "t-shirt",
    "Longsleeve": "long sleeve shirt",
    "Body": "baby bodysuit",
    "Outwear": "jacket",
    "Undershirt": "undershirt",
}
_SUBGROUP_WORDS = {
    "animal-mammal": ("mammal", "animal", "wild animal"),
    "animal-bird": ("bird",),
    "animal-bug": ("insect", "bug"),
    "animal-marine": ("sea animal", "marine animal", "fish"),
    "food-marine": ("seafood", "shellfish"),
    "plant-flower": ("flower", "blossom"),
    "plant-other": ("plant", "tree", "leaf"),
    "food-fruit": ("fruit",),
    "food-vegetable": ("vegetable",),
    "food-prepared": ("dish", "meal", "fast food"),
    "food-asian": ("asian food", "meal"),
    "food-sweet": ("dessert", "sweets"),
    "drink": ("drink", "beverage"),
    "transport-ground": ("ground vehicle", "vehicle"),
    "transport-air": ("aircraft",),
    "transport-water": ("boat", "ship"),
    "place-building": ("building",),
    "place-religious": ("building", "place of worship"),
    "place-map": ("map", "globe"),
    "sky & weather": ("weather", "sky"),
    "clothing": ("clothing", "garment"),
    "musical-instrument": ("musical instrument",),
    "tool": ("tool",),
    "time": ("clock", "time"),
    "heart": ("heart", "love symbol"),
    "sport": ("sports equipment", "sport"),
    "household": ("household object",),
    "country-flag": ("flag", "national flag"),
}
_FACES = ("smiling", "affection", "tongue", "hand", "neutral", "sleepy", "unwell", "concerned")
_ANNOTATION = re.compile(r'<annotation cp="([^"]+)">([^<]+)</annotation>')


def fill(templates: Iterable[str], names: Iterable[str]) -> tuple[str, ...]:
    """Put each name into each template."""
    names = tuple(dict.fromkeys(names))
    return tuple(template.format(name) for template in templates for name in names)


def class_texts(row: Mapping[str, str]) -> Texts:
    """Return the texts of one Tiny-ImageNet class: names in templates, and the gloss."""
    name, gloss = row["simple_name"], row["gloss"]
    lemmas = row["lemmas"].split("|")
    named = fill(_PHOTO, (name, name, *lemmas))
    defined = (f"{name}, {gloss}", f"a photo of a {name}, {gloss}", gloss)
    return {f"tiny/{row['label']}": (*fill(_PHOTO, [name]), *named, *defined)}


def shop_texts(row: Mapping[str, str]) -> Texts:
    """Return the texts of a shop row: its title, then ever more general descriptions."""
    kind, colour, wearer = row["articleType"], row["baseColour"] or "", row["gender"]
    coloured = f"{colour} {kind}".strip()
    title = row["title"] or coloured
    return {
        f"shop/title/{title}": (title,),
        f"shop/wearer/{wearer}/{coloured}": fill(_SHOP, [f"{wearer} {coloured}"]),
        f"shop/colour/{coloured}": fill(_SHOP, [coloured]),
        f"shop/type/{kind}": (*fill(_SHOP, [kind]), f"a photo of a {kind}"),
    }


def garment_texts(row: Mapping[str, str]) -> Texts:
    """Return the texts of a photo of the clothing data set."""
    name = _CLOTHING.get(row["label"], row["label"].lower())
    whose = f"kids {name}" if row["kids"] else name
    return {
        f"garment/{whose}": fill(_PHOTO, [whose]),
        f"garment/{name}": fill(_PHOTO, [name]),
    }


def recipe_texts(row: Mapping[str, str]) -> Texts:
    """Return the texts of a photo of a dish: alt text, title of the page, tags."""
    title, tags = row["page_title"], " ".join(row["tags"])
    texts = (row["alt"], title, f"a photo of {title}", f"{title}, {tags}")
    return {f"recipe/{title}": texts}


def emoji_texts(name: str, subgroup: str, group: str, keywords: Iterable[str]) -> Texts:
    """Return the texts of an emoji: name and keywords, subgroup, group."""
    subgroup_words = _words_of(subgroup)
    kind = subgroup_words[0]
    longer = (f"{name}, {kind}", f"{name} {kind} graphic")
    named = fill(_EMOJI, [name])
    keyed = tuple(f"{name} ({keyword})" for keyword in keywords)
    return {
        f"emoji/{name}": (*named, *named, *longer, *keyed),
        f"emoji/sub/{kind}": fill(_EMOJI, subgroup_words),
        f"emoji/group/{group}": fill(_EMOJI, [group.lower().replace("&", "and")]),
    }


def icon_texts(name: str) -> Texts:
    """Return the texts of an icon."""
    return {f"icon/{name}": fill(_ICON, [name])}


def read_keywords(path: str) -> dict[str, tuple[str, ...]]:
    """Read the keywords of each emoji from the English annotations of CLDR."""
    found = _ANNOTATION.findall(Path(path).read_text(encoding="utf-8"))
    return {emoji: tuple(word.strip() for word in words.split("|")) for emoji, words in found}


def _words_of(subgroup: str) -> tuple[str, ...]:
    if subgroup in _SUBGROUP_WORDS:
        return _SUBGROUP_WORDS[subgroup]
    if subgroup.startswith("face-") and subgroup.removeprefix("face-").startswith(_FACES):
        return ("smiley face", "smiley", f"{subgroup.removeprefix('face-')} face")
    if subgroup.startswith("hand"):
        return ("hand", "hand gesture")
    return (subgroup.replace("-", " "),)
