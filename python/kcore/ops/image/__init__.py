"""keras.ops.image: images (batch, height, width, channels) or (height, width, channels), or channels_first.

Receives images of any numeric dtype; integers are computed with as floats and rounded back.
"""

from kcore.ops.image.color import hsv_to_rgb, rgb_to_grayscale, rgb_to_hsv
from kcore.ops.image.margins import crop_images, extract_patches, pad_images
from kcore.ops.image.resample import affine_transform, resize

__all__ = [
    "affine_transform",
    "crop_images",
    "extract_patches",
    "hsv_to_rgb",
    "pad_images",
    "resize",
    "rgb_to_grayscale",
    "rgb_to_hsv",
]
