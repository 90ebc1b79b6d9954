"""A bounded bank of rows: whose neighbours lend a row their captions and their predictions."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.numeric.neighbours import build_index, search_others, similarity_weight
from pipeline.numeric.prototypes import unit


@dataclass(frozen=True)
class Bank:
    """Sampled rows, found by their images.

    Examples
    --------
    >>> image, name = np.eye(2, dtype=np.float32), np.arange(2, dtype=np.uint64)
    >>> bank = Bank.of(image, name, image[::-1]).predicted(np.array([1, 0]), np.ones(2))
    >>> bank.votes(image[:1], np.array([9], np.uint64), 1, 2)
    array([[0., 1.]], dtype=float32)
    >>> bank.enhance(image[:1], np.zeros((1, 2)), np.array([9], np.uint64), 1)
    array([[0., 1.]])
    """

    index: NDArray[np.uint8]
    """FAISS index of the images."""
    name: NDArray[np.uint64]
    """`(m,)` hash of each image: a row is no neighbour of its own copies."""
    text: NDArray[np.float16]
    """`(m, d)` captions; zeros where there is none."""
    prediction: NDArray[np.int64]
    """`(m,)` class of each row as far as it is known."""
    trust: NDArray[np.float32]
    """`(m,)` probability of that class."""
    bandwidth: float
    """Similarity that divides a near neighbour's weight by e."""

    @classmethod
    def of(
        cls,
        image: NDArray[np.floating],
        name: NDArray[np.uint64],
        text: NDArray[np.floating],
        probe: tuple[int, int] = (1000, 20),
    ) -> "Bank":
        """Index `(m, d)` images; the bandwidth is a mean gap from the first to the 20th neighbour.

        Parameters
        ----------
        image, name, text
            Aligned rows.
        probe
            Rows and neighbours that the bandwidth is measured on.
        """
        index = build_index(image)
        rows = slice(0, probe[0])
        near, _ = search_others(index, image[rows], probe[1], (name[rows], name))
        near = near[np.isfinite(near).all(axis=1)]  # among copies a row has few neighbours
        gap = near[:, 0] - near[:, -1]
        bandwidth = max(float(gap.mean()) if len(gap) else 1.0, 1e-3)
        nothing = np.zeros(len(name))
        return cls(
            index, name, text.astype(np.float16), nothing.astype(np.int64),
            nothing.astype(np.float32), bandwidth,
        )  # fmt: skip

    def predicted(self, prediction: NDArray[np.integer], trust: NDArray[np.floating]) -> "Bank":
        """Return the bank with these `(m,)` predictions and their probabilities."""
        return replace(self, prediction=prediction.astype(np.int64), trust=trust.astype(np.float32))

    def votes(
        self, image: NDArray[np.floating], name: NDArray[np.uint64], size: int, num_classes: int
    ) -> NDArray[np.float32]:
        """Return `(n, k)` shares of the predictions of each row's `size` nearest neighbours.

        Collective bootstrapping (Qin et al. 2023, "Cross-modality aligned prototypes",
        equation 9), over near neighbours only: over all rows it would be the corpus mean.
        """
        similarity, place = search_others(self.index, image, size, (name, self.name))
        weight = similarity_weight(similarity, self.bandwidth) * self.trust[place]
        cell = np.arange(len(image))[:, None] * num_classes + self.prediction[place]
        votes = np.bincount(cell.ravel(), weight.ravel(), len(image) * num_classes)
        return votes.reshape(len(image), num_classes).astype(np.float32)

    def enhance(
        self,
        image: NDArray[np.floating],
        text: NDArray[np.floating],
        name: NDArray[np.uint64],
        size: int,
    ) -> NDArray[np.float64]:
        """Return `(n, d)` unit captions, each with the mean caption of its image's neighbours.

        A row keeps its own caption; one without a caption (zeros) gets its neighbours' alone.
        Neighbours weigh by similarity (Qin et al. 2023, equation 2, with self-loops).
        """
        similarity, place = search_others(self.index, image, size, (name, self.name))
        near = self.text[place].astype(np.float32)
        told = (place >= 0) & (np.abs(near).max(axis=2, initial=0.0) > 0)
        weight = np.where(told, np.maximum(np.where(told, similarity, 0.0), 0.0), 0.0)
        weight /= np.maximum(weight.sum(axis=1, keepdims=True), 1e-9)
        return unit(text + np.einsum("nj,njd->nd", weight, near))
