"""A release as Croissant, which describes a data set to machines."""

from tasks.release.croissant.dataset import croissant, semantic

__all__ = ["croissant", "semantic"]
