"""A made-up run: a ledger of plausible rows, pictures for them, and captions that bite."""

from collections.abc import Sequence
from datetime import datetime, timezone
from hashlib import blake2b
from io import BytesIO
from itertools import cycle

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image, ImageDraw

from pipeline.drift.changes import Change
from pipeline.drift.gates import Violation
from pipeline.drift.partitions import Regrouping
from pipeline.findings import Findings, Kinship, LabelNoise
from pipeline.report.drift import Drift
from pipeline.report.gallery import Entry
from pipeline.report.page import About, Step
from pipeline.schema import ACTIONS, LEDGER

HOSTILE = (
    "<script>window.hacked = 1</script>",
    "</style></title></script><script>window.hacked = 2</script>",
    "\"'><img src=x onerror=window.hacked=3>",
    "' onmouseover='window.hacked=4",
    "<svg onload=window.hacked=5><image href='javascript:window.hacked=6'></svg>",
    "javascript:window.hacked=7",
    "{{ 7 * 7 }}{% for x in range(9) %}{{ x }}{% endfor %}{{ ''.__class__ }}",
    "a\x00b\x1b[31mc\x9bd",
    "safe\u202egnp.exe\u2066\u200b\u200d\ufeff",
    "<a href=//evil.example/x>tap</a><link rel=stylesheet href=//evil.example/y>",
    "x" * 10_000,
    "<!-- --!> <![CDATA[ ]]> &lt;script&gt; &#x3c;b&#x3e;",
)
THRESHOLDS = {
    "match.label": [("label-mismatch", 0.72)],
    "match.outlier": [("off-topic", 0.83)],
    "match.caption": [("caption-mismatch", 0.88)],
    "duplicate.copy": [("duplicate", 0.9)],
    "look.blank": [("blank-picture", 0.8)],
}
CLASSES = [
    "golden retriever", "tabby cat", "red fox", "brown bear", "zebra", "giraffe", "bald eagle",
    "barn owl", "goldfinch", "monarch butterfly", "honey bee", "green frog", "sea turtle",
    "great white shark", "jellyfish", "starfish", "oak tree", "sunflower", "daisy", "mushroom",
    "volcano", "coral reef", "lighthouse", "windmill", "suspension bridge", "castle",
    "greenhouse", "steam locomotive", "sailboat", "hot air balloon", "mountain bike",
    "fire engine", "espresso", "pizza", "strawberry", "pomegranate", "acoustic guitar",
    "grand piano", "typewriter", "crane",
]  # fmt: skip
RECIPE = """# Flowers, animals and things, from the web
source: s3://crawl/2026-11/{00000..00015}.tar
classes: classes.yaml
encoder: {name: winnow-tiny}
cleaners:
  match: {shrinkage: 0.1}
  duplicate: {}
policy:
  # <script>window.hacked=8</script>
  label-mismatch: {column: match.label, above: 0.72, then: relabel}
  off-topic: {column: match.outlier, above: 0.83, then: drop}
"""


def scores(num: int, random: np.random.Generator) -> dict[str, np.ndarray]:
    """Return score columns in which few rows are suspect and some are null."""
    columns = {}
    for at, column in enumerate(THRESHOLDS):
        score = random.beta(1.6 + at / 2, 5 + at, num)
        suspect = random.random(num) < (0.14, 0.07, 0.06, 0.05, 0.02)[at]
        score[suspect] = random.beta(9, 2.5 - at / 4, suspect.sum())
        score[random.random(num) < 0.04 * at] = np.nan
        columns[column] = score.astype(np.float32)
    return columns


def decide(row: dict[str, float], label: int, draw: float) -> tuple[str, str | None, list[str]]:
    reasons = [reason for column, ((reason, value),) in THRESHOLDS.items() if row[column] >= value]
    if draw < 0.02:
        return "quarantine", None, ["undecodable-image" if draw < 0.012 else "empty-file"]
    if reasons == ["label-mismatch"] and draw < 0.6:
        step = 1 if draw < 0.4 else 7
        return "relabel", CLASSES[(label + step) % len(CLASSES)], reasons
    return ("drop" if reasons else "keep"), None, reasons


def make_ledger(num: int, seed: int = 0) -> pa.Table:
    """Return a ledger with captions and scores, as a curated run would write it."""
    random = np.random.default_rng(seed)
    columns = scores(num, random)
    label = np.minimum(random.geometric(0.05, num) - 1, len(CLASSES) - 1)
    columns["match.label"] = np.clip(columns["match.label"] + label / 400, 0, 1).astype(np.float32)
    rows = []
    for at in range(num):
        value = {column: score[at] for column, score in columns.items()}
        action, new_label, reasons = decide(value, label[at], random.random())
        text = f"A {random.choice(['photo', 'picture', 'view'])} of a {CLASSES[label[at]]}"
        text += random.choice([" in the morning", ", free download", " | Stock Images 4k", ""])
        rows.append(
            {
                "uid": blake2b(f"{seed} {at}".encode(), digest_size=16).digest(),
                "key": f"{at // 128:05d}{at % 128:04d}",
                "shard": f"s3://crawl/2026-11/{at // 128:05d}.tar",
                "row": at % 128,
                "action": action,
                "label": None if at % 97 == 5 else CLASSES[label[at]],
                "new_label": new_label,
                "weight": 1.0 if action in ("keep", "relabel") else 0.0,
                "reasons": reasons,
                "caption": HOSTILE[at // 3 % len(HOSTILE)] if at % 3 == 0 else text,
            }
        )
    table = pa.Table.from_pylist(rows, LEDGER.append(pa.field("caption", pa.string())))
    for column, score in columns.items():
        table = table.append_column(column, pa.array(score, pa.float32(), from_pandas=True))
    return table


def poison_table(table: pa.Table, *texts: str) -> pa.Table:
    """Return the ledger with `texts` in turn in each column that a crawl has a say in."""
    for name in ("caption", "key", "shard", "label", "new_label"):
        column = pa.array([texts[at % len(texts)] for at in range(len(table))], pa.string())
        table = table.set_column(table.schema.get_field_index(name), name, column)
    return table


def draw_picture(seed: int) -> bytes:
    """Return a JPEG of a made-up landscape."""
    random = np.random.default_rng(seed)
    width, height = [(320, 240), (240, 320), (300, 300), (400, 225)][seed % 4]
    sky, far, near, sun = (
        tuple(int(c) for c in 90 + 150 * random.random(3) * weight)
        for weight in ((0.7, 0.9, 1), (0.6, 0.9, 0.8), (0.4, 0.7, 0.4), (1, 0.8, 0.4))
    )
    picture = Image.new("RGB", (width, height), sky)
    draw = ImageDraw.Draw(picture)
    x, y, r = random.uniform(0.2, 0.8) * width, random.uniform(0.1, 0.4) * height, width * 0.09
    draw.ellipse((x - r, y - r, x + r, y + r), fill=sun)
    for base, shade in ((0.55, far), (0.75, near)):
        phase = random.uniform(0, 6)
        ridge = [
            (at, height * (base + 0.09 * np.sin(phase + at / width * 7)))
            for at in range(0, width + 8, 8)
        ]
        draw.polygon([(0, height), *ridge, (width, height)], fill=shade)
    file = BytesIO()
    picture.save(file, "JPEG", quality=85)
    return file.getvalue()


def draw_pictures(entries: Sequence[Entry]) -> list[bytes | None]:
    """Return a picture for each entry, some of which are missing or broken."""
    odd = {0: None, 1: b"not a picture", 2: draw_picture(2)[:400]}
    return [odd[e.row] if e.row in odd else draw_picture(int(e.key)) for e in entries]


@pytest.fixture
def ledger():
    return make_ledger


@pytest.fixture
def pictures():
    return draw_pictures


@pytest.fixture
def poison():
    return poison_table


@pytest.fixture
def thresholds():
    return THRESHOLDS


@pytest.fixture
def hostile():
    return HOSTILE


@pytest.fixture
def about():
    return About(
        title="wildlife-and-things",
        started=datetime(2026, 11, 20, 1, 2, 3, tzinfo=timezone.utc),
        finished=datetime(2026, 11, 20, 1, 5, 48, tzinfo=timezone.utc),
        recipe_text=RECIPE,
        versions={"winnow": "0.1.0", "ray": "2.57.0", "torch": "2.9.1", "open_clip": "3.2.0"},
        steps=[
            Step("read", 2000, 9.4, 0),
            Step("embed", 2000, 181.2, 4),
            Step("match", 1960, 3.1, 0),
            Step("duplicate", 1960, 12.6, 16),
            Step("decide", 2000, 0.4, 0),
            Step("pack", 1733, 17.9, 0),
        ],
        shard_faults=[
            ("s3://crawl/2026-11/00016.tar", "truncated tar: 10240 bytes missing"),
            ("s3://crawl/<script>window.hacked=9</script>\u202e.tar", "403 Forbidden"),
        ],
        thresholds=THRESHOLDS,
        classes=[*CLASSES, "okapi", "narwhal"],
    )


def make_drift(*texts: str) -> Drift:
    """Return a night that has drifted, with `texts` in turn in each name that a crawl says."""
    says = cycle(texts or CLASSES)
    random = np.random.default_rng(0)
    nights = [f"2026-11-{day:02d}" for day in range(13, 21)]
    shares = {
        night: dict(zip(ACTIONS, random.dirichlet((70, 12, 13, 5)).tolist(), strict=True))
        for night in nights
    }
    shares[nights[-1]] = {"keep": 0.41, "relabel": 0.11, "drop": 0.42, "quarantine": 0.06}
    kinds = [("action", "drop"), ("score", "match.outlier"), ("class", "share of rows")]
    kinds += [("host", "new"), ("host", "vanished"), ("label", "new"), ("pair", "together")]
    kinds += [("class", "match.label"), ("class", "drop"), ("host", "keep")]
    found = [
        Change(
            kind=kind,
            name=None if kind in ("action", "score") else next(says),
            what=what,
            reference=0.0 if what == "new" else 0.131,
            tonight=0.0 if what == "vanished" else 0.42,
            effect=(-1) ** at * (9 - at / 10),
            p=0.001,
        )
        for at, (kind, what) in enumerate(kinds * 7)
    ]
    gate = Violation(
        gate="gates.max_drift.actions",
        value=0.29,
        bound=0.15,
        message="action drop had 13.1% of the rows and has 42.0%: 0.29, gates.max_drift.actions "
        "allows at most 0.15; look at the report of the night, and widen "
        "gates.max_drift.actions if it is right",
    )
    groups = [
        Regrouping(
            ((next(says), next(says)), (next(says),)), ((next(says),), (next(says), next(says)))
        )
        for _ in range(3)
    ]
    return Drift(
        night=nights[-1],
        reference_nights=nights[:-1],
        shares=shares,
        changes=found,
        violations=[gate],
        groups=groups,
    )


@pytest.fixture
def drifted():
    return make_drift


def make_findings(num_classes: int = len(CLASSES)) -> dict[str, Findings]:
    """Return what some cleaners have learned of the first classes of the class file."""
    random = np.random.default_rng(0)
    noise = random.beta(1.5, 8.0, num_classes)
    meant = (np.arange(num_classes) + 1) % num_classes
    found = {
        name: Findings(
            noise=LabelNoise(noise * random.uniform(0.6, 1.4, num_classes), meant, noise / 2),
            shares={"wrong labels": float(noise.mean()), f"seen by {name}": 0.04},
        )
        for name in ("match", "probe", "similar", "confident", "imprecise")
    }
    rate = random.uniform(15.0, 30.0, num_classes)
    found["propagate"] = Findings(
        noise=LabelNoise.of_rate(noise), coding_rate=rate, gain=rate * noise
    )
    names = ("match.label", "probe.label", "similar.label", "propagate.label")
    alike = np.where(np.eye(4) > 0, 1.0, np.linspace(-0.1, 0.9, 4))
    found["combine"] = Findings(kinship=Kinship(names, alike, np.full(4, 0.4)))
    return found


@pytest.fixture
def learned():
    return make_findings
