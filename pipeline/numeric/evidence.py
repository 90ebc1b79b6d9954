"""What a corpus teaches of its classes, and what that says of a pair."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from pipeline.numeric.bank import Bank
from pipeline.numeric.lda import FoldLda, spreads
from pipeline.numeric.moments import FoldMoments
from pipeline.numeric.pairing import fit_apart, gap
from pipeline.numeric.pairs import Pairs
from pipeline.numeric.pool import fit_pool
from pipeline.numeric.posterior import CHOICE_ROWS, Labelled, choose_lda, class_ratio
from pipeline.numeric.prototypes import Prototypes
from pipeline.numeric.witness import Odds, Rates, Verdict, Witnesses, fit_rates, judge

NEIGHBOURS = 20
"""Neighbours that vote on a row."""
TEXT_NEIGHBOURS = 8
"""Neighbours that lend a row their captions."""
VOTE_FLOOR = 0.1
"""Votes, over those of a random row, that a class has before any neighbour votes."""

SHARPEST = 8.0
"""Largest factor of the image's weights that is tried."""
CAPTIONED = 0.5
"""Share of captioned rows from which captions are a witness of the whole corpus."""
BACKING = 100.0
"""Imagined rows of each class whose labels go wrong by chance, where captions are a witness: they
say of a row what a confusion of its class would."""
BACKING_ALONE = 0.05
"""The same without captions, as a share of the rows of a class: few rows hide a confusion."""

Sources = tuple[NDArray[np.floating], NDArray[np.floating]]


@dataclass(frozen=True)
class Moments:
    """Class moments of images and captions, and of images once foreign ones weigh less."""

    image: FoldMoments
    text: FoldMoments
    familiar: FoldMoments


@dataclass(frozen=True)
class Evidence:
    """Everything that is known of the classes of a corpus."""

    named: NDArray[np.float32]
    """`(k, d)` text prototypes of the classes."""
    prior: NDArray[np.float64]
    """`(k,)` shares of the labels."""
    image: FoldLda
    text: FoldLda
    mean: NDArray[np.float32]
    """`(2, d)` mean image and mean caption."""
    image_pool: NDArray[np.float64]
    """`(4,)` weights of the discriminant, the names, the prototypes and the neighbours."""
    text_pool: NDArray[np.float64]
    """`(2,)` weights of the discriminant and the names."""
    prototypes: Prototypes
    bank: Bank
    rates: Rates
    strange: Odds
    apart: Odds

    @classmethod
    def learn(
        cls,
        moments: Moments,
        named: NDArray[np.float32],
        shown: tuple[Bank, Prototypes],
        pairs: Pairs,
        *,
        is_guessed: bool = False,
    ) -> "Evidence":
        """Fit every weight, scale and rate on sampled pairs, each judged out of its fold.

        Parameters
        ----------
        moments
            Sums over the corpus.
        named
            `(k, d)` text prototypes of the classes.
        shown
            The bank of the sample, and the visual prototypes.
        pairs
            The sample.
        is_guessed
            Whether the corpus has no labels, and those of `pairs` are guesses.
        """
        count = moments.image.count.sum(axis=0)
        prior = (count + 1.0) / (count + 1.0).sum()
        drawn = np.maximum(np.bincount(pairs.label, minlength=len(prior)), 1)
        weight = (count / drawn)[pairs.label]
        fold, told = pairs.fold(len(moments.image.count)), pairs.captioned
        by_image = Labelled(pairs.image, pairs.label, fold, weight, prior)
        by_text = Labelled(pairs.text[told], pairs.label[told], fold[told], weight[told], prior)
        text = spreads(moments.text)
        mean = np.stack([m.whole().mean for m in (moments.image, moments.text)])
        apart, unmatched = fit_apart(pairs.image[told], pairs.text[told], mean, weight[told])
        draft = cls(
            named=named,
            prior=prior,
            image=choose_lda(spreads(moments.familiar), spreads(moments.image), by_image),
            text=choose_lda(text, text, by_text),
            mean=mean.astype(np.float32),
            image_pool=np.zeros(4),
            text_pool=np.zeros(2),
            prototypes=shown[1],
            bank=shown[0],
            rates=Rates.start(prior),
            strange=Odds(np.zeros(2), np.zeros(2)),
            apart=apart,
        )
        sources = draft._sources(pairs)
        draft = draft._pooled(pairs, weight, sources)
        if not is_guessed:
            return draft._rated(pairs, weight, sources)
        # a caption is no witness of the class that was guessed from it
        draft = replace(draft, text_pool=np.zeros(2))
        unlabelled = replace(pairs, label=np.full_like(pairs.label, -1))
        rated = draft._rated(unlabelled, weight, sources)
        swapped = float(np.clip(unmatched - rated.rates.foreign, 0.01, 0.5))
        return replace(rated, rates=replace(rated.rates, swapped=swapped))

    def _pooled(self, pairs: Pairs, weight: NDArray[np.float64], sources: Sources) -> "Evidence":
        """Return the evidence with each source weighted by how well it explains the labels.

        The noise rate is fitted without the neighbours' votes: these are shares of few
        rows, and a softer vote could stand in for any rate.
        """
        (seen, said), told = sources, pairs.captioned
        _, noise = fit_pool(seen[:-1], pairs.label, self.prior, weight)
        image_pool, _ = fit_pool(seen, pairs.label, self.prior, weight, noise)
        text_pool, _ = fit_pool(said[:, told], pairs.label[told], self.prior, weight[told])
        return replace(self, image_pool=image_pool, text_pool=text_pool)

    def _rated(self, pairs: Pairs, weight: NDArray[np.float64], sources: Sources) -> "Evidence":
        """Return the evidence with the rates of the faults, and with what its bank shows."""
        draft = self if is_captioned(pairs) else self._sharpened(pairs, weight, sources)
        said, rates, strange = draft._fit_rates(pairs, weight, sources)
        verdict, chance = judge(said, rates), said.image * self.prior
        trust = chance.max(axis=1) * (1.0 - verdict.foreign)
        bank = self.bank.predicted(chance.argmax(axis=1), trust)
        return replace(draft, rates=rates, strange=strange, bank=bank)

    def _sharpened(self, pairs: Pairs, weight: NDArray[np.float64], sources: Sources) -> "Evidence":
        """Return the evidence with its image weights scaled so that the labels are likeliest.

        The pool takes wrong labels to be of any class. Where they are of a similar one, a blunt
        image explains them as well as confusions do, unless both are fitted together. A corpus
        with captions has a third witness that tells the two apart.
        """
        step = slice(None, None, max(1, len(pairs.label) // CHOICE_ROWS))
        few, mass, (seen, said) = pairs.take(step), weight[step], sources

        def sharper(log_factor: float) -> Evidence:
            return replace(self, image_pool=self.image_pool * np.exp(log_factor))

        def loss(log_factor: float) -> float:
            found = sharper(log_factor)._fit_rates(few, mass, (seen[:, step], said[:, step]))
            return -float(mass @ np.log(judge(*found[:2]).likelihood) / mass.sum())

        bounds, options = (0.0, np.log(SHARPEST)), {"xatol": 0.02}
        return sharper(minimize_scalar(loss, bounds=bounds, method="bounded", options=options).x)

    def _fit_rates(
        self, pairs: Pairs, weight: NDArray[np.float64], sources: Sources
    ) -> tuple[Witnesses, Rates, Odds]:
        """Return what the witnesses say, the rates of the faults, and the odds by distance."""
        said, distance = self._hear(pairs, sources)
        far = (distance - np.median(distance)) / max(float(distance.std()), 1e-9)
        said = replace(said, strange=np.exp(far.clip(-2.0, 2.0)))
        share = weight.sum() / len(self.prior)
        backing = BACKING if is_captioned(pairs) else BACKING_ALONE * float(share)
        rates, strange = fit_rates(said, distance, self.rates, weight, backing)
        return replace(said, strange=strange.at(distance)), rates, strange

    def _hear(self, pairs: Pairs, sources: Sources) -> tuple[Witnesses, NDArray[np.float32]]:
        """Return what the witnesses of each pair say, and the `(n,)` distance of its image."""
        seen, said = sources
        image = class_ratio(np.tensordot(self.image_pool, seen, 1), self.prior)
        caption = class_ratio(np.tensordot(self.text_pool, said, 1), self.prior)
        caption = np.where(pairs.captioned[:, None], caption, 1.0)
        distance = self.image.relative_distance(pairs.image, self._fold(pairs), seen[0])
        strange = self.strange.at(distance)
        apart = np.ones(len(distance))
        return Witnesses(image, caption, pairs.label, strange, apart), distance

    def judge(self, pairs: Pairs) -> tuple[Witnesses, Verdict]:
        """Return what the witnesses of each pair say, and what follows.

        The cosine of image and caption is heard on swapped captions alone: what it says of the
        class, the witnesses have said before, and twice would count double.
        """
        said, _ = self._hear(pairs, self._sources(pairs))
        apart = self.apart.at(gap(pairs.image, pairs.text, self.mean))
        closer = replace(said, apart=np.where(pairs.captioned, apart, 1.0))
        verdict, swapped = judge(said, self.rates), judge(closer, self.rates).swapped
        return said, replace(verdict, swapped=swapped)

    def enhance(self, pairs: Pairs) -> NDArray[np.float64]:
        """Return `(n, d)` unit captions, each with those of its image's neighbours."""
        return self.bank.enhance(pairs.image, pairs.text, pairs.hash, TEXT_NEIGHBOURS)

    def _fold(self, pairs: Pairs) -> NDArray[np.int64]:
        return pairs.fold(len(self.image.mean))

    def _sources(self, pairs: Pairs) -> Sources:
        """Return `(4, n, k)` evidence of the images and `(2, n, k)` of the captions."""
        fold, num_classes = self._fold(pairs), len(self.prior)
        votes = self.bank.votes(pairs.image, pairs.hash, NEIGHBOURS, num_classes)
        seen = [
            self.image.evidence(pairs.image, fold),
            (pairs.image - self.mean[0]) @ self.named.T,
            self.prototypes.similarity(pairs.image, fold, num_classes),
            np.log(votes / self.prior + VOTE_FLOOR).astype(np.float32),
        ]
        said = [
            self.text.evidence(pairs.text, fold),
            (pairs.text - self.mean[1]) @ self.named.T,
        ]
        return np.stack(seen), np.stack(said)


def is_captioned(pairs: Pairs) -> bool:
    """Return whether enough pairs have a caption for captions to be a witness."""
    return bool(pairs.captioned.mean() >= CAPTIONED)
