"""Whether the long forms of the tests are asked for: `make soak`."""

import os

IS_SOAK = bool(os.environ.get("WINNOW_SOAK"))
