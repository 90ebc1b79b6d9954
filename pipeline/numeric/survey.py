"""What one pass over image-text pairs keeps of them: class moments, and a bounded sample."""

from dataclasses import dataclass

import numpy as np

from pipeline.numeric.moments import FoldMoments
from pipeline.numeric.pairs import Pairs
from pipeline.numeric.sample import Sample


@dataclass(frozen=True)
class Survey:
    """Sums over the corpus, and a bounded sample of it.

    Examples
    --------
    >>> name, zero = np.arange(2, dtype=np.uint64), np.zeros(2, int)
    >>> pairs = Pairs.of(name, name, np.eye(2), np.array([[1.0, 0.0], [0.0, 0.0]]), zero)
    >>> survey = Survey.of(pairs, (1, 1), 5)
    >>> survey.image.count, survey.text.count, len(survey.pairs().label)
    (array([[2.]]), array([[1.]]), 2)
    """

    image: FoldMoments
    text: FoldMoments
    """Of the rows with a caption."""
    sample: Sample
    """Image and caption side by side, as float16."""

    @classmethod
    def of(cls, pairs: Pairs, shape: tuple[int, int], size: int) -> "Survey":
        """Sum a batch.

        Parameters
        ----------
        pairs
            Rows without a label are left out.
        shape
            `(f, k)`: folds and classes.
        size
            Rows kept of each class.
        """
        fold, told = pairs.fold(shape[0]), np.where(pairs.captioned, pairs.label, -1)
        both = np.hstack([pairs.image, pairs.text]).astype(np.float16)
        return cls(
            FoldMoments.of(pairs.image, pairs.label, fold, shape),
            FoldMoments.of(pairs.text, told, fold, shape),
            Sample.of(size, pairs.label, pairs.hash, pairs.key, both),
        )

    def merge(self, other: "Survey") -> "Survey":
        """Return the sums over both sets of rows."""
        image, text = self.image.merge(other.image), self.text.merge(other.text)
        return Survey(image, text, self.sample.merge(other.sample))

    def pairs(self, size: int | None = None) -> Pairs:
        """Return the sampled pairs, or those of them that a smaller sample would have drawn."""
        return Pairs.sampled(self.sample if size is None else self.sample.first(size))
