"""Valid texts, and the words that make them hostile."""

import json

from jobs.fuzz.seeds import FIELDS

TOKENS = (
    *(b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\x1b[31m", b"\x1b]0;x\x07", b"\r", b"\r\n", b"\n"),
    *("\u202e".encode(), "\u200b".encode(), "\u2066".encode(), b"\xed\xa0\x80", b"\\ud800"),
    *(b"<script>alert(1)</script>", b"../../../../tmp/x", b"/etc/passwd", b"file:///etc/passwd"),
    *(b"simplecache::", b"zip://", b"github://", b"python://", b"::", b"s3://", b"data:,x"),
    *(b"!!python/object/apply:os.system [id]", b"!!python/name:os.system", b"&a ", b"*a", b"<<: "),
    *(b"? ", b"- ", b": ", b"{", b"}", b"[", b"]", b"|", b">", b"%YAML 9.9", b"---", b"...", b"="),
    *(b"1e999", b"-0", b"NaN", b"Infinity", b"-Infinity", b"null", b"true", b"~", b".inf", b".nan"),
    *(b"9" * 30, b"1" * 5000, b"0x" + b"f" * 400, b"2001-99-99", b"1:60:61", b"12:30:45.999999"),
    *(
        b"__proto__",
        b"__class__",
        b"constructor",
        b"{0.__class__}",
        b"%s%n",
        b"{{7*7}}",
        b"${HOME}",
    ),
    *(b"=cmd|' /C calc'!A0", b"@SUM(1)", b"+1", b"-1", b"'=1", b'"', b"'", b",", b";", b"\t"),
    *(
        b"[" * 700,
        b'{"a":' * 300,
        b"x" * 3000,
        b"e\xcc\x81" * 300,
        b"&lt;" * 200,
        b"cposix\nsystem\n",
    ),
    *(
        b"\x80\x04",
        b"(dp0",
        b"PK\x03\x04",
        b"(lp1",
        b"<end_of_text>",
        b"hf-hub:a/b",
        b"local-dir:/",
    ),
)
NUMBERS = (0, 1, -1, 127, 128, 255, 256, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1)
LARGE = (*NUMBERS, 2**33, 2**40, 2**62, 2**63 - 1, 2**63, 2**64 - 1)

JSONS = (
    json.dumps(FIELDS).encode(),
    b'{"a": NaN, "b": [1e400, -Infinity], "a": "\\ud83d\\ude00 \\ud800", "": {"": {}}}',
    b'{"caption": "a cat", "cls": 7, "similarity": 0.25, "list": [[[[1]]]], "exif": "\\u0000"}',
)
CAPTIONS = (
    b" a red panda, on a tree\r\n",
    "Zürich 東京 القاهرة ไทย 🦊 e\u0301 \u202egnp".encode(),
    b"<script>alert(1)</script> &amp;lt;b&gt; =cmd|x oak snow goose",
)
CLASSES_CSV = (
    b"name,synonyms,definition\nred panda,firefox;lesser panda,\nsnow goose,,a white bird\n",
    b'\xef\xbb\xbfname,definition\n"a ""quoted"", name","two\nlines"\noak,\n',
)
CLASSES_YAML = (
    b"- oak\n- name: red panda\n  synonyms: [firefox, lesser panda]\n  parents: animal\n",
    b"- {name: 1984, definition: a year, examples: ['in 1984']}\n- name: 'on'\n",
)
ANSWERS = (
    b"uid,label,web_label,inclusion,key,shard,row\n" + b"0a" * 16 + b",oak,oak,0.5,k,s.tar,3\n",
    b"uid,label\n" + b"FF" * 16 + b",'=oak\n" + b"00" * 16 + b",\n",
)
RECIPES = (
    b"name: web\nsource: {path: a.tar, caption: txt, label: 'field:kind'}\nclasses: c.csv\n"
    b"cleaners: [match, {probe: {}}]\npolicy: balanced\npack: {shard_rows: 5, seed: -1}\n",
    b"encoder:\n  model: RN50\n  pretrained: openai\n  batch_rows: 8\nvectors: null\n"
    b"policy:\n  name: p\n  rules:\n  - {rule: drop, column: match.outlier, above: 0.9, "
    b"reason: off-topic}\n  weight: null\ncleaners:\n- match\n",
)
CONFIGS = (
    json.dumps(
        {
            "model_cfg": {
                "embed_dim": 32,
                "vision_cfg": {
                    "image_size": 8,
                    "patch_size": 8,
                    "layers": 1,
                    "width": 8,
                    "head_width": 8,
                },
                "text_cfg": {
                    "context_length": 8,
                    "vocab_size": 64,
                    "layers": 1,
                    "width": 8,
                    "heads": 1,
                },
            },
            "preprocess_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]},
        }
    ).encode(),
    b'{"model_cfg": {"embed_dim": 8, "vision_cfg": {"timm_model_name": "resnet18"}, "text_cfg": '
    b'{"hf_tokenizer_name": "x", "tokenizer_kwargs": {"trust_remote_code": true}}}}',
)
NIGHTS = (
    json.dumps(
        {
            "name": "a",
            "state": "published",
            "recipe": "name: web\n",
            "space": "0" * 16,
            "fragment_rows": 128,
            "shards": [
                {"uri": "s.tar", "identity": "0a" * 8, "digest": "0b" * 16, "rows": 300},
            ],
            "replaces": "scores",
            "position": 2,
            "sizes": {"clean/00007.tar": 200, "relabelled/00008.tar": 9},
            "actions": {"keep": 200, "relabel": 9, "drop": 91},
            "steps": [{"name": f"match-{'0c' * 8}", "columns": ["match.label"]}],
            "decided": {"name": f"decide-{'0d' * 8}"},
            "why": ["a reason"],
        }
    ).encode(),
    b'{"name": "a", "recipe": "", "space": "", "fragment_rows": 1, "shards": []}',
)
