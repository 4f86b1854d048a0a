"""From latents to codes: the nearest code, gradients through it, and a codebook that follows the latents."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minidalle.errors import require
from minidalle.vqgan.clustering import kmeans
from minidalle.vqgan.config import VQGANConfig


def nearest_code(latents: Tensor, codebook: Tensor) -> Tensor:
    """The index of the code at the smallest Euclidean distance from each latent; the first one of a tie.

    [[0.0, 2.0], [4.0, 5.0]], [[0.0, 1.0], [3.0, 3.0]] → [0, 1]. ‖x − e‖² = ‖x‖² − 2 x·e + ‖e‖², and ‖x‖²
    is the same for every code, so −2 x·e + ‖e‖² decides: one matrix product, and the codes' lengths.

    Args:
        latents: [..., D]: any number of dimensions, the last of them D.
        codebook: [K, D].

    Returns:
        Tokens, long [...], in 0 … K−1. Source: van den Oord et al. 2017, "VQ-VAE", equation 1.
    """
    return (codebook.square().sum(dim=1) - 2 * latents @ codebook.T).argmin(dim=-1)


def straight_through(latents: Tensor, quantized: Tensor) -> Tensor:
    """The value of `quantized`, with a gradient that goes to `latents` as if nothing had been quantized.

    [1.0], [3.0] → [3.0]; a gradient of 0.5 that comes back is 0.5 for `latents` and 0 for `quantized`.

    Args:
        latents: [..., D], what the encoder said.
        quantized: [..., D], the nearest codes.

    Returns:
        [..., D]. Source: Bengio et al. 2013, "Estimating or Propagating Gradients Through Stochastic
        Neurons"; van den Oord et al. 2017, section 3.2.
    """
    return latents + (quantized - latents).detach()


def quantizer_loss(latents: Tensor, quantized: Tensor, beta: float) -> Tensor:
    """Pull codes to latents (the codebook term), and β times as hard latents to codes (commitment).

    Both terms are the squared difference, the mean over all numbers, and each moves only one side:
    [1.0, 2.0], [1.0, 4.0], 0.25 → 2 + 0.25 · 2 = 2.5.

    Args:
        latents: [..., D], what the encoder said.
        quantized: [..., D], the nearest codes, with a gradient to the codebook. The codes of an EMA
            codebook have none: then only the commitment term moves anything.
        beta: β, the weight of the commitment term.

    Returns:
        A scalar. Source: van den Oord et al. 2017, equation 3, terms 2 and 3.
    """
    codebook = F.mse_loss(quantized, latents.detach())
    commitment = F.mse_loss(latents, quantized.detach())
    return codebook + beta * commitment


def code_statistics(latents: Tensor, tokens: Tensor, codes: int) -> tuple[Tensor, Tensor]:
    """How often each code was chosen, and the sum of the latents that chose it.

    Both can be added up over batches and ranks before they go to `VectorQuantizer.update`.

    Args:
        latents: [..., D].
        tokens: long [...].
        codes: K.

    Returns:
        counts, float32 [K], and sums, float32 [K, D].
    """
    rows = latents.detach().float().flatten(0, -2)
    counts = torch.bincount(tokens.flatten(), minlength=codes).float()
    return counts, rows.new_zeros(codes, rows.shape[1]).index_add_(0, tokens.flatten(), rows)


def ema_update(
    counts: Tensor,
    sums: Tensor,
    batch_counts: Tensor,
    batch_sums: Tensor,
    decay: float,
    epsilon: float = 1e-5,
) -> tuple[Tensor, Tensor, Tensor]:
    """Move the running counts and sums towards a batch's; each code is then sum / count.

    A running mean is decay · old + (1 − decay) · batch. The counts that divide are the new counts n,
    smoothed (Laplace): N · (n + ε) / (N + K ε) with N = Σ n, so that a code that nothing chose is not
    divided by zero. The counts that are returned are not smoothed.
    [1.0, 2.0], [[2.0], [6.0]], [3.0, 0.0],
    [[12.0], [0.0]], 0.5, 0.5 → counts [2.0, 1.0], sums [[7.0], [3.0]], codebook [[3.73], [2.67]].

    Args:
        counts: [K], the running counts so far.
        sums: [K, D], the running sums so far.
        batch_counts: [K], how often this batch chose each code.
        batch_sums: [K, D], the sums of the latents that chose it; see `code_statistics`.
        decay: how much of the past is kept, in [0, 1).
        epsilon: ε.

    Returns:
        The new counts [K], sums [K, D] and codebook [K, D]; the arguments are left as they are. Source:
        van den Oord et al. 2017, appendix A.1; the smoothing: Razavi et al. 2019, "VQ-VAE-2", code.
    """
    counts = decay * counts + (1 - decay) * batch_counts
    sums = decay * sums + (1 - decay) * batch_sums
    total = counts.sum()
    smoothed = total * (counts + epsilon) / (total + len(counts) * epsilon)
    return counts, sums, sums / smoothed.unsqueeze(1)


def restart_dead_codes(
    codebook: Tensor, counts: Tensor, candidates: Tensor, threshold: float, order: Tensor
) -> tuple[Tensor, Tensor]:
    """Move codes that hardly anything chooses onto latents, where they will be chosen.

    The i-th dead code becomes `candidates[order[i]]`. If there are more dead codes than candidates, the
    rest stay as they are. [[1.0], [2.0]], [5.0, 0.0], [[7.0], [8.0]], 1.0, [1, 0] → codebook [[1.0],
    [8.0]], restarted [False, True].

    Args:
        codebook: [K, D].
        counts: [K], how often each code was chosen.
        candidates: [M, D], latents of a batch.
        threshold: a code is dead if its count is less than this.
        order: long [M], a random permutation of 0 … M−1.

    Returns:
        The new codebook [K, D] and which of its codes were restarted, bool [K]; the arguments are left as
        they are. Source: Dhariwal et al. 2020, "Jukebox", section 3.1.
    """
    dead = (counts < threshold).nonzero().squeeze(1)[: len(candidates)]
    restarted = torch.zeros_like(counts, dtype=torch.bool).index_fill(0, dead, True)
    return codebook.index_copy(0, dead, candidates[order[: len(dead)]]), restarted


def codebook_usage(counts: Tensor) -> tuple[int, float]:
    """How many codes are in use, and how many it feels like.

    Perplexity is e to the entropy (in nats) of the codes' shares: K if all are chosen equally often, 1 if
    one code is all that is ever chosen. A share of 0 adds nothing to the entropy: 0 · ln 0 counts as 0.
    [2, 1, 0, 1] → (3, 2.83): three codes, one of them twice as often.

    Args:
        counts: [K], how often each code was chosen, whole numbers of any dtype, not all 0. Callers add
            them up over an epoch: a batch is too small to show every code.

    Returns:
        The number of codes chosen at least once, and the perplexity.
    """
    counts = counts.cpu().double()
    shares = counts / counts.sum()
    entropy = -torch.xlogy(shares, shares).sum()
    return int((counts > 0).sum()), float(entropy.exp())


class VectorQuantizer(nn.Module):
    """A codebook [K, D]: a parameter that `quantizer_loss` moves, or (with EMA) buffers that `update` moves.

    It always works in float32, whatever autocast says: bfloat16 has too few digits to tell close codes apart.
    """

    counts: Tensor
    sums: Tensor

    def __init__(self, config: VQGANConfig) -> None:
        super().__init__()
        self.config = config
        codebook = torch.empty(config.codes, config.code_width).uniform_(-1, 1) / config.codes
        if config.ema_decay:
            self.register_buffer("codebook", codebook)
            self.register_buffer("counts", torch.ones(config.codes))
            self.register_buffer("sums", codebook.clone())
        else:
            self.codebook = nn.Parameter(codebook)

    def codes(self) -> Tensor:
        """The codebook [K, D] as it is compared with latents: of length 1 if `l2_normalize`."""
        return F.normalize(self.codebook, dim=1) if self.config.l2_normalize else self.codebook

    def prepare(self, latents: Tensor) -> Tensor:
        """Latents [..., D] as they are compared with codes: float32, of length 1 if `l2_normalize`."""
        latents = latents.float()
        return F.normalize(latents, dim=-1) if self.config.l2_normalize else latents

    def forward(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens long [...] and their codes float32 [..., D] for prepared latents [..., D]."""
        with torch.autocast(latents.device.type, enabled=False):
            codes = self.codes()
            tokens = nearest_code(latents.detach(), codes.detach())
            return tokens, F.embedding(tokens, codes)

    @torch.no_grad()
    def initialize(self, latents: Tensor, order: Tensor, iterations: int = 10) -> None:
        """Put the codes where the latents are, by k-means.

        Args:
            latents: prepared latents [M, D] with M ≥ K.
            order: long [M], a random permutation; its first K rows are where the codes start.
            iterations: rounds of k-means.
        """
        codes = self.config.codes
        require(len(latents) >= codes, "latents", len(latents), f"at least as many rows as codes={codes}")
        centers = kmeans(latents.float(), latents.float()[order[:codes]], iterations)
        self.codebook.copy_(centers)
        if self.config.ema_decay:
            counts, _ = code_statistics(latents, nearest_code(latents, centers), codes)
            self.counts.copy_(counts.clamp_min(1) * (codes / counts.clamp_min(1).sum()))
            self.sums.copy_(centers * self.counts.unsqueeze(1))

    @torch.no_grad()
    def update(self, counts: Tensor, sums: Tensor, candidates: Tensor, order: Tensor) -> int:
        """Move an EMA codebook by one batch's statistics, and restart its dead codes.

        Args:
            counts: [K] and
            sums: [K, D] from `code_statistics`, added up over all ranks.
            candidates: [M, D] prepared latents for codes to restart at, the same on all ranks.
            order: long [M], a random permutation, the same on all ranks.

        Returns:
            How many codes were restarted.

        Raises:
            InvalidValue: the codebook is learnt by gradient (`ema_decay=0`).
        """
        decay, below = self.config.ema_decay, self.config.restart_below
        require(decay > 0, "ema_decay", decay, "more than 0, to update a codebook by a running mean")
        new_counts, new_sums, codebook = ema_update(self.counts, self.sums, counts, sums, decay)
        share = new_counts.mean()
        threshold = float(below * share)
        codebook, restarted = restart_dead_codes(codebook, new_counts, candidates, threshold, order)
        self.codebook.copy_(F.normalize(codebook, dim=1) if self.config.l2_normalize else codebook)
        self.counts.copy_(torch.where(restarted, share, new_counts))
        self.sums.copy_(torch.where(restarted.unsqueeze(1), share * codebook, new_sums))
        return int(restarted.sum())
