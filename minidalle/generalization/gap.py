"""The generalization gap: how much more surprised a model is by pictures that it has not seen."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from minidalle.bart import Bart
from minidalle.data.pictures import CaptionedPictures
from minidalle.data.tokens import TokenizedPictures, tokenize
from minidalle.errors import require
from minidalle.evaluation.siblings import concepts
from minidalle.generalization.mean_loss import evaluating
from minidalle.pipeline import TextToImage
from minidalle.training.bart import row_logits

SURE = 1.96  # standard errors to each side of a 95 % interval
BATCH = 128  # pictures at a time, at most


class TokenNLL(NamedTuple):
    """Nats per token: the mean, its standard error, and the mean of each image's tokens [B]."""

    mean: Tensor
    se: Tensor
    per_image: Tensor


def token_nll(logits: Tensor, targets: Tensor, mask: Tensor) -> TokenNLL:
    """How surprised a model is by the tokens that count, and how sure that figure is.

    Two images, of which one and two tokens count, with 3.0 and 1.0, 2.0 nats → mean 6.0 / 3 = 2.0, se
    0.667, per_image [3.0, 1.5]. A token's nats are −log of the probability that softmax gives it, and
    every token weighs the same. But the tokens of one image are alike, so an image is one fact, not N:
    with sᵢ nats in nᵢ tokens of image i, m = Σ sᵢ / Σ nᵢ has the standard error
    √(B / (B − 1) · Σ (sᵢ − m nᵢ)²) / Σ nᵢ.
    Source: Cochran 1977, "Sampling Techniques", section 2.11 (the error of a ratio).

    Args:
        logits: float [B, N, V]; half precision is raised to float32 first.
        targets: long [B, N], the real tokens; where nothing counts, any of the V.
        mask: bool [B, N], True = counts. At least two images, and a token that counts in each.

    Returns:
        Three tensors, as a TokenNLL or any tuple: the mean and its standard error, float [], and the mean
        of each image's own tokens, float [B].

    Raises:
        InvalidValue: fewer than two images, one of which nothing counts, or logits that are not finite.
    """
    require_tokens(logits, targets, mask)
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    nats = -logits.log_softmax(-1).gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    totals, counts = nats.where(mask, 0.0).sum(1), mask.sum(1)
    mean, images = totals.sum() / counts.sum(), len(totals)
    errors = totals - mean * counts
    se = (images / (images - 1) * errors.square().sum()).sqrt() / counts.sum()
    return TokenNLL(mean, se, totals / counts)


def require_tokens(logits: Tensor, targets: Tensor, mask: Tensor) -> None:
    """Raise `InvalidValue` unless a mean over images and its error can be taken."""
    require(logits.dim() == 3, "logits", tuple(logits.shape), "[B, N, V]")
    require(targets.shape == logits.shape[:2], "targets", tuple(targets.shape), f"{list(logits.shape[:2])}, as logits")
    require(mask.shape == targets.shape, "mask", tuple(mask.shape), f"{list(targets.shape)}, as the targets")
    require(len(logits) >= 2, "images", len(logits), "2 or more: one image says nothing about the next")
    empty = (~mask.any(1)).nonzero().flatten().tolist()
    require(not empty, "mask", f"no token of image {empty[:1]}", "at least one token of every image that counts")
    require(bool(logits[mask].isfinite().all()), "logits", "NaN or infinity", "finite numbers where the mask counts")


class LossGap(NamedTuple):
    """Mean loss of unseen examples minus that of seen ones, and its standard error."""

    gap: Tensor
    se: Tensor


def loss_gap(seen: Tensor, unseen: Tensor, seen_groups: Tensor, unseen_groups: Tensor) -> LossGap:
    """How much higher the loss of unseen examples is, and how sure that is if examples come in groups.

    seen [1.0, 2.0] of groups [7, 8], unseen [4.0, 6.0] of groups [8, 9] → gap 5.0 − 1.5 = 3.5, se 1.146.
    Four styles of one emoji are not four facts, and a role can be on both sides. So whole groups are what
    varies, and u(g) is by how much group g moves the gap: Σ (unseen losses in g − mean(unseen)) / C
    − Σ (seen losses in g − mean(seen)) / B, with mean(…) that of a whole side; here 0.25, −0.75 and 0.5.
    Groups are independent, so squares add up: with G different groups on both sides together,
    se = √(G / (G − 1) · Σ u(g)²). With a group for each example it is the error for independent ones.
    Source: Liang and Zeger 1986, "Longitudinal data analysis using generalized linear models" (the robust
    variance).

    Args:
        seen: float [B], a loss for each example that was trained on.
        unseen: float [C], a loss for each that was not.
        seen_groups: long [B], the group of each.
        unseen_groups: long [C]; a number means the same group on both sides.

    Returns:
        Two tensors, as a LossGap or any tuple: the gap, float [], negative where unseen examples are
        easier, and its standard error, float [].

    Raises:
        InvalidValue: a side is empty, there is one group only, or a loss is not a number.
    """
    require_losses(seen, unseen, seen_groups, unseen_groups)
    errors = torch.cat([(seen.mean() - seen) / len(seen), (unseen - unseen.mean()) / len(unseen)])
    names, group = torch.cat([seen_groups, unseen_groups]).unique(return_inverse=True)
    totals = errors.new_zeros(len(names)).index_add(0, group, errors)
    se = (len(names) / (len(names) - 1) * totals.square().sum()).sqrt()
    return LossGap(unseen.mean() - seen.mean(), se)


def require_losses(seen: Tensor, unseen: Tensor, seen_groups: Tensor, unseen_groups: Tensor) -> None:
    """Raise `InvalidValue` unless a gap and its error can be taken."""
    for name, losses, groups in (("seen", seen, seen_groups), ("unseen", unseen, unseen_groups)):
        require(losses.dim() == 1 and len(losses) > 0, name, tuple(losses.shape), "[B], the losses of 1 or more")
        require(len(groups) == len(losses), f"{name}_groups", len(groups), f"{len(losses)}, one for each loss")
        require(bool(losses.isfinite().all()), name, "NaN or infinity", "finite losses")
    groups = torch.cat([seen_groups, unseen_groups]).unique()
    require(len(groups) >= 2, "groups", len(groups), "2 or more: one group says nothing about the next")


@dataclass(frozen=True, eq=False)
class Examples:
    """Captioned pictures as tokens, and what they show.

    tokens: of B rows. blind: the same, each with the empty caption. roles: int64 [B].
    """

    tokens: TokenizedPictures
    blind: TokenizedPictures
    roles: np.ndarray

    def __len__(self) -> int:
        return len(self.roles)


def examples(pipeline: TextToImage, pictures: CaptionedPictures, rows: Sequence[int] | np.ndarray) -> Examples:
    """Some rows of a data set, as the BART of a pipeline sees them.

    Raises:
        InvalidValue: there are no rows.
    """
    require(len(rows) > 0, "rows", len(rows), "1 or more")
    captions, real = [pictures.captions[row] for row in rows], pictures.pictures[rows]
    tokens = tokenize(captions, real, pipeline.tokenizer.encode_batch, pipeline.vqgan.encode, pipeline.device)
    empty, mask = pipeline.tokenizer.encode_batch([""])
    blind = replace(tokens, text=empty.expand_as(tokens.text), text_mask=mask.expand_as(tokens.text_mask))
    return Examples(tokens, blind, concepts(pictures)[rows])


@dataclass(frozen=True, eq=False)
class Surprise:
    """The losses of B pictures, in nats per token, float64 [B]: of a model, and of a baseline that knows no caption."""

    nats: Tensor
    blind_nats: Tensor
    roles: Tensor

    @property
    def caption_gain(self) -> Tensor:
        """How much lower the loss is than the baseline's [B]; hard pictures are hard for both."""
        return self.blind_nats - self.nats


def surprise(model: Bart, seen: Examples, baseline: Bart | None = None) -> Surprise:
    """The losses of some examples with a model's weights as they are, in eval mode, and a baseline's.

    Args:
        model: a BART; its mode is left as found.
        seen: what it is asked about.
        baseline: see `generalization_gap`.

    Raises:
        InvalidValue: there are no examples.
    """
    require(len(seen) > 0, "examples", 0, "1 or more")
    blind = token_nats(model, seen.blind) if baseline is None else token_nats(baseline, seen.tokens)
    return Surprise(token_nats(model, seen.tokens), blind, torch.from_numpy(seen.roles))


@dataclass(frozen=True)
class Difference:
    """Nats per token, unseen minus seen, with two standard errors: over images, and over roles."""

    gap: float
    image_se: float
    role_se: float

    def interval(self, of: str = "role") -> tuple[float, float]:
        """The ends of the 95 % interval, from the errors over `role`s or over `image`s."""
        require(of in ("role", "image"), "of", of, "role or image")
        reach = SURE * (self.role_se if of == "role" else self.image_se)
        return self.gap - reach, self.gap + reach


@dataclass(frozen=True)
class Gap:
    """How a model does on what it has not seen.

    raw: the loss of unseen pictures minus that of seen ones; it also says which of them are harder. adjusted: the
    same of the loss above the baseline's, that is the caption gain that is lost.
    """

    raw: Difference
    adjusted: Difference


def generalization_gap(model: Bart, train: Examples, heldout: Examples, baseline: Bart | None = None) -> Gap:
    """The gap between rows that a model was trained on and rows that it was not, as they are and adjusted.

    Both sides are measured with the weights as they are, in eval mode, without dropout: the loss that was printed
    while training is another one.

    Args:
        model: a BART; its mode is left as found.
        train: rows that it was trained on.
        heldout: rows that it was not trained on, and that chose nothing.
        baseline: a BART that was trained on the same pictures with shuffled captions; without one, the model itself
            with the empty caption stands in. That costs no training, but the model has seen the empty caption
            seldom, and knows the training pictures without their captions, too.

    Raises:
        InvalidValue: a side is empty, or both sides together have one role only.
    """
    return gap_between(surprise(model, train, baseline), surprise(model, heldout, baseline))


def gap_between(train: Surprise, heldout: Surprise) -> Gap:
    """`generalization_gap` from losses that are at hand."""
    return Gap(
        _difference(train.nats, heldout.nats, train.roles, heldout.roles),
        _difference(-train.caption_gain, -heldout.caption_gain, train.roles, heldout.roles),
    )


@torch.no_grad()
def token_nats(model: Bart, tokens: TokenizedPictures) -> Tensor:
    """Each picture's mean surprise, float64 [B] in nats per token, in eval mode; all modules' modes stay as found."""
    count, nats = len(tokens.image), []
    rows = np.arange(max(count, 2)) % count  # where there is one picture only, it stands there twice
    with evaluating(model):
        for part in np.array_split(rows, math.ceil(len(rows) / BATCH)):  # of like size, none alone
            for logits, image in row_logits(model, tokens, part):
                _, _, per_image = token_nll(logits, image, torch.ones_like(image, dtype=torch.bool))
                nats.append(per_image.cpu())
    return torch.cat(nats)[:count].double()


def _difference(seen: Tensor, unseen: Tensor, seen_roles: Tensor, unseen_roles: Tensor) -> Difference:
    images = torch.arange(len(seen) + len(unseen))
    gap, image_se = loss_gap(seen, unseen, images[: len(seen)], images[len(seen) :])
    _, role_se = loss_gap(seen, unseen, seen_roles, unseen_roles)
    return Difference(gap.item(), image_se.item(), role_se.item())
