"""What the towers are trained to do."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class TeacherHeads(nn.Module):
    """Read the teacher's features and logits off the embedding; dropped after training."""

    def __init__(self, embed_dim: int, num_features: int, num_logits: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(embed_dim)
        self.feature = nn.Linear(embed_dim, num_features)
        self.logit = nn.Linear(embed_dim, num_logits)

    def forward(self, embedding: Tensor) -> tuple[Tensor, Tensor]:
        """Return features and logits of `(n, d)` embeddings before normalisation."""
        normed = self.norm(embedding)
        return self.feature(normed), self.logit(normed)


def agreement_loss(logit: Tensor, is_positive: Tensor, smoothing: float) -> Tensor:
    """Return the symmetric contrastive loss with several positives a row.

    Parameters
    ----------
    logit
        `(n, t)` scaled cosines.
    is_positive
        `(n, t)`; pictures or texts without a positive do not count.
    smoothing
        Share of the target that is spread over everything.
    """
    to_text = _one_way(logit, is_positive, smoothing)
    to_picture = _one_way(logit.T, is_positive.T, smoothing)
    return (to_text + to_picture) / 2


def class_loss(
    logit: Tensor, is_positive: Tensor, told: Tensor, told_share: float, smoothing: float
) -> Tensor:
    """Return the loss of choosing among the class names alone; they are the first texts.

    Parameters
    ----------
    logit, is_positive
        `(n, t)`; pictures without a class do not count.
    told
        `(n, classes)` shares by the teacher.
    told_share
        Weight of these shares in the target; the rest is the label's.
    smoothing
        Share of the label's target that is spread over all classes.
    """
    num_classes = told.shape[1]
    logit, is_positive = logit[:, :num_classes], is_positive[:, :num_classes]
    has_class = is_positive.any(1)
    labelled = _target(is_positive[has_class], smoothing)
    target = labelled.lerp(told[has_class].float(), told_share)
    return -(target * torch.log_softmax(logit[has_class], dim=1)).sum(1).mean()


def logit_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Return the cross entropy between the teacher's and the student's distributions."""
    target = functional.softmax(teacher.float() / temperature, dim=1)
    log_share = functional.log_softmax(student.float() / temperature, dim=1)
    return -(target * log_share).sum(1).mean() * temperature**2


def feature_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the mean cosine distance to the teacher's centred features."""
    return 1 - functional.cosine_similarity(student.float(), teacher.float()).mean()


def _one_way(logit: Tensor, is_positive: Tensor, smoothing: float) -> Tensor:
    has_positive = is_positive.any(1)
    target = _target(is_positive[has_positive], smoothing)
    return -(target * torch.log_softmax(logit[has_positive], dim=1)).sum(1).mean()


def _target(is_positive: Tensor, smoothing: float) -> Tensor:
    share = is_positive.float() / is_positive.sum(1, keepdim=True)
    return share * (1 - smoothing) + smoothing / is_positive.shape[1]
