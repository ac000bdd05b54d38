"""Data augmentation layers, which vary the examples in training and are inactive in prediction."""

from typing import TypeAlias

from core.nn.layers.augmentation.crop import RandomCrop
from core.nn.layers.augmentation.erasing import RandomErasing
from core.nn.layers.augmentation.flip import RandomFlip
from core.nn.layers.augmentation.geometric import RandomRotation, RandomTranslation, RandomZoom
from core.nn.layers.augmentation.spec_augment import FrequencyMask, TimeMask

Augmentation: TypeAlias = (
    RandomFlip | RandomTranslation | RandomZoom | RandomRotation | RandomCrop | RandomErasing | TimeMask | FrequencyMask
)
