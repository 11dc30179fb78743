"""Images to store: the digits that come with scikit-learn, or those of a folder, as pixels of few grey levels; their codes as patterns."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from neuromem.errors import BackendMissingError, FileError

FOLDER_SIDE = 16  # pixels along the side of an image from a folder
ENDINGS = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm")


def digits() -> np.ndarray:
    """Return the 1,797 handwritten digits of 8 x 8 pixels, 0 (paper) to 1 (ink): (1797, 8, 8), in turn 0 to 9 at first.

    E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI (1998), doi:10.24432/C50P49.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise BackendMissingError(
            "digits_completion: scikit-learn, which brings the digits, is not installed; pip install scikit-learn (or give --images FOLDER)."
        ) from error
    return np.asarray(load_digits().images, np.float64) / 16


def images_of(folder: Path) -> np.ndarray:
    """Return the images of a folder, in the order of their names, as ink of (B, 16, 16): black is 1, white 0."""
    from PIL import Image, UnidentifiedImageError  # matplotlib needs it too

    found = []
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in ENDINGS) if folder.is_dir() else []
    for path in paths:
        try:
            with Image.open(path) as image:
                grey = image.convert("RGBA")
                grey = Image.alpha_composite(Image.new("RGBA", grey.size, "white"), grey).convert("L")
                found.append(1 - np.asarray(grey.resize((FOLDER_SIDE, FOLDER_SIDE), Image.Resampling.BOX), np.float64) / 255)
        except (UnidentifiedImageError, OSError) as error:
            raise FileError(f"{path}: not an image that can be read; expected one of {', '.join(ENDINGS)}.") from error
    if len(found) < 2:
        raise FileError(f"{folder}: {len(found)} images; expected a folder with at least 2, of {', '.join(ENDINGS)}.")
    return np.array(found)


def grey_levels(images: np.ndarray, levels: int) -> np.ndarray:
    """Return the pixels as whole numbers 0 to ``levels`` - 1, (B, pixels), of those images whose upper half no earlier one has."""
    pixels = np.minimum((images * levels).astype(np.int64), levels - 1).reshape(len(images), -1)
    _, first = np.unique(pixels[:, : pixels.shape[1] // 2], axis=0, return_index=True)
    return np.asarray(pixels[np.sort(first)])


def thermometer(pixels: np.ndarray, levels: int) -> np.ndarray:
    """Return bipolar units (B, pixels (levels - 1)): for each pixel one for each threshold, 1 where it is reached; a pixel itself with 2 levels."""
    reached = pixels[:, :, None] >= np.arange(1, levels)
    return np.where(reached, np.int8(1), np.int8(-1)).reshape(len(pixels), -1)


def one_hot(pixels: np.ndarray, levels: int) -> np.ndarray:
    """Return boolean units (B, pixels levels): each pixel is a hypercolumn, its grey level the winner."""
    return np.asarray((pixels[:, :, None] == np.arange(levels)).reshape(len(pixels), -1))
