"""Picture ↔ image tokens: an autoencoder whose latents are snapped to a codebook."""

from typing import TYPE_CHECKING

from minidalle.lazy import lazy

if TYPE_CHECKING:
    from minidalle.vqgan.autoencoder import VQGAN as VQGAN
    from minidalle.vqgan.autoencoder import VQGANOutput as VQGANOutput
    from minidalle.vqgan.blocks import attention_block as attention_block
    from minidalle.vqgan.blocks import downsample as downsample
    from minidalle.vqgan.blocks import residual_block as residual_block
    from minidalle.vqgan.blocks import upsample as upsample
    from minidalle.vqgan.clustering import kmeans as kmeans
    from minidalle.vqgan.config import DiscriminatorConfig as DiscriminatorConfig
    from minidalle.vqgan.config import VQGANConfig as VQGANConfig
    from minidalle.vqgan.discriminator import Discriminator as Discriminator
    from minidalle.vqgan.losses import LossWeights as LossWeights
    from minidalle.vqgan.losses import adaptive_weight as adaptive_weight
    from minidalle.vqgan.losses import generator_loss as generator_loss
    from minidalle.vqgan.losses import gradient_loss as gradient_loss
    from minidalle.vqgan.losses import hinge_loss as hinge_loss
    from minidalle.vqgan.losses import psnr as psnr
    from minidalle.vqgan.losses import reconstruction_loss as reconstruction_loss
    from minidalle.vqgan.quantizer import VectorQuantizer as VectorQuantizer
    from minidalle.vqgan.quantizer import code_statistics as code_statistics
    from minidalle.vqgan.quantizer import codebook_usage as codebook_usage
    from minidalle.vqgan.quantizer import ema_update as ema_update
    from minidalle.vqgan.quantizer import nearest_code as nearest_code
    from minidalle.vqgan.quantizer import quantizer_loss as quantizer_loss
    from minidalle.vqgan.quantizer import restart_dead_codes as restart_dead_codes
    from minidalle.vqgan.quantizer import straight_through as straight_through
    from minidalle.vqgan.similarity import ssim as ssim
else:
    __getattr__, __dir__, __all__ = lazy(
        __name__,
        {
            "adaptive_weight": "losses",
            "attention_block": "blocks",
            "code_statistics": "quantizer",
            "codebook_usage": "quantizer",
            "Discriminator": "discriminator",
            "DiscriminatorConfig": "config",
            "downsample": "blocks",
            "ema_update": "quantizer",
            "generator_loss": "losses",
            "gradient_loss": "losses",
            "hinge_loss": "losses",
            "kmeans": "clustering",
            "LossWeights": "losses",
            "nearest_code": "quantizer",
            "psnr": "losses",
            "quantizer_loss": "quantizer",
            "reconstruction_loss": "losses",
            "residual_block": "blocks",
            "restart_dead_codes": "quantizer",
            "ssim": "similarity",
            "straight_through": "quantizer",
            "upsample": "blocks",
            "VectorQuantizer": "quantizer",
            "VQGAN": "autoencoder",
            "VQGANConfig": "config",
            "VQGANOutput": "autoencoder",
        },
    )
