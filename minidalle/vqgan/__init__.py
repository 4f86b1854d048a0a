"""Picture ↔ image tokens: an autoencoder whose latents are snapped to a codebook."""

from typing import TYPE_CHECKING

from minidalle.lazy import lazy

if TYPE_CHECKING:
    from minidalle.vqgan.autoencoder import VQGAN as VQGAN
    from minidalle.vqgan.autoencoder import VQGANOutput as VQGANOutput
    from minidalle.vqgan.config import DiscriminatorConfig as DiscriminatorConfig
    from minidalle.vqgan.config import VQGANConfig as VQGANConfig
    from minidalle.vqgan.discriminator import Discriminator as Discriminator

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "VQGAN": "autoencoder",
        "VQGANOutput": "autoencoder",
        "VQGANConfig": "config",
        "DiscriminatorConfig": "config",
        "Discriminator": "discriminator",
    },
)
