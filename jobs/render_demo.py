"""Render the demo corpus that ships with the package.

    python -m jobs.render_demo pipeline/demo

Needs the Debian packages fonts-noto-color-emoji, fonts-font-awesome, fonts-dejavu-core and
unicode-data. The same seed, fonts and Pillow give the same bytes.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path

from jobs.demo.faults import Shares, plant_faults
from jobs.demo.glyphs import NEEDED_FILES
from jobs.demo.rows import draw_clean_rows
from jobs.demo.write import write_classes, write_shards, write_truth


def main() -> int:
    """Render, plant the faults, write; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where shards/, classes.csv, truth.parquet go")
    parser.add_argument(
        "--rows", type=int, default=1500, help="rows without foreign, broken, copied"
    )
    parser.add_argument("--shard-rows", type=int, default=300)
    parser.add_argument("--seed", type=int, default=20231)
    arguments = parser.parse_args()
    missing = [str(path) for path in NEEDED_FILES if not path.exists()]
    if missing:
        print(f"fonts are missing: {', '.join(missing)}", file=sys.stderr)
        return 1
    shares = Shares()
    clean = draw_clean_rows(shares.num_pictures(arguments.rows), arguments.seed)
    rows = plant_faults(clean, arguments.rows, shares, arguments.seed)
    write_shards(rows, arguments.folder, arguments.shard_rows)
    write_truth(rows, arguments.folder, arguments.shard_rows)
    write_classes(arguments.folder)
    print(f"{len(rows)} rows in {arguments.folder}:", dict(Counter(row.fault for row in rows)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
