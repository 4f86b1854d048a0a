"""How well a model does on what it has not seen, and why: gaps, memorization, curvature, landscapes, copies."""

from typing import TYPE_CHECKING

from minidalle.lazy import lazy

if TYPE_CHECKING:
    from minidalle.generalization.copying import copy_interval as copy_interval
    from minidalle.generalization.copying import copy_test as copy_test
    from minidalle.generalization.copying import nearest_distances as nearest_distances
    from minidalle.generalization.gap import Gap as Gap
    from minidalle.generalization.gap import examples as examples
    from minidalle.generalization.gap import generalization_gap as generalization_gap
    from minidalle.generalization.gap import loss_gap as loss_gap
    from minidalle.generalization.gap import token_nll as token_nll
    from minidalle.generalization.hessian import dense_hessian as dense_hessian
    from minidalle.generalization.hessian import hvp as hvp
    from minidalle.generalization.hessian import rescaled as rescaled
    from minidalle.generalization.lanczos import hutchinson_trace as hutchinson_trace
    from minidalle.generalization.lanczos import slq_density as slq_density
    from minidalle.generalization.lanczos import top_eigenvalue as top_eigenvalue
    from minidalle.generalization.landscape import barrier as barrier
    from minidalle.generalization.landscape import filter_normalize as filter_normalize
    from minidalle.generalization.landscape import interpolate as interpolate
    from minidalle.generalization.landscape import loss_surface as loss_surface
    from minidalle.generalization.landscape import random_direction as random_direction
    from minidalle.generalization.landscape import random_plane as random_plane
    from minidalle.generalization.mean_loss import MeanLoss as MeanLoss
    from minidalle.generalization.mean_loss import bart_loss as bart_loss
    from minidalle.generalization.measuring import measure as measure
    from minidalle.generalization.memorization import shuffle_captions as shuffle_captions
    from minidalle.generalization.memorization import with_shuffled_captions as with_shuffled_captions
    from minidalle.generalization.rescaling import reparameterize as reparameterize
    from minidalle.generalization.rescaling import reparameterize_layers as reparameterize_layers
    from minidalle.generalization.sharpness import average_sharpness as average_sharpness
    from minidalle.generalization.sharpness import sam_sharpness as sam_sharpness
else:
    __getattr__, __dir__, __all__ = lazy(
        __name__,
        {
            "average_sharpness": "sharpness",
            "barrier": "landscape",
            "bart_loss": "mean_loss",
            "copy_interval": "copying",
            "copy_test": "copying",
            "dense_hessian": "hessian",
            "examples": "gap",
            "filter_normalize": "landscape",
            "Gap": "gap",
            "generalization_gap": "gap",
            "hutchinson_trace": "lanczos",
            "hvp": "hessian",
            "interpolate": "landscape",
            "loss_gap": "gap",
            "loss_surface": "landscape",
            "MeanLoss": "mean_loss",
            "measure": "measuring",
            "nearest_distances": "copying",
            "random_direction": "landscape",
            "random_plane": "landscape",
            "reparameterize": "rescaling",
            "reparameterize_layers": "rescaling",
            "rescaled": "hessian",
            "sam_sharpness": "sharpness",
            "shuffle_captions": "memorization",
            "slq_density": "lanczos",
            "token_nll": "gap",
            "top_eigenvalue": "lanczos",
            "with_shuffled_captions": "memorization",
        },
    )
