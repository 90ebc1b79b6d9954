"""Pure functions and mergeable statistics on arrays: no Arrow, no Ray, no files.

Shape letters are the same everywhere: `n` rows, `d` dimensions, `k` classes, `f` folds.
A statistic has `of(...)`, which makes it from a batch, and `merge`, which is associative
and commutative up to rounding; an empty batch gives the neutral element.
"""
