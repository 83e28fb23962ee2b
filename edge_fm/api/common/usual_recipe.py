"""The recipe that is run where none is named: by the model, or by what the images are."""

from __future__ import annotations

from pathlib import Path
from typing import IO, TYPE_CHECKING

from edge_fm_runtime.errors import EdgeFMError
from edge_fm_runtime.progress import MessageFn
from edge_fm_runtime.system.user_cache import expand_home

if TYPE_CHECKING:
    from edge_fm.data.image_files.listing import Listing

LARGER_THAN = 64
"""Colour images whose shorter side is longer than this are photos to the recipe `photo`."""
_LOOKED_AT = 32


def usual_recipe(
    model: str | None,
    data: str | None,
    size: tuple[int, int, int] | None,
    *,
    note: MessageFn,
) -> str:
    """The shipped recipe to run where the user names none.

    Args:
        model: that the user names, or None.
        data: likewise.
        size: height, width and channels that the user brings images to, or None.
        note: called with the choice where the images decide.
    """
    from edge_fm.training.recipe.overrides import default_recipe
    from edge_fm.training.recipe.photo import PHOTO

    if model is not None or data is None:
        return default_recipe(model)
    if is_photo_size(size) if size else _are_photos(data):
        note(
            f"Colour images of more than {LARGER_THAN} pixels: the recipe {PHOTO} is run. Another one: "
            "--recipe edgenet-s --size 64x64x3, for a small network from fresh weights"
        )
        return PHOTO
    return default_recipe(None)


def is_photo_size(size: tuple[int, int, int]) -> bool:
    """Whether images of this height, width and channels are photos to the recipe `photo`."""
    return size[2] == 3 and min(size[:2]) > LARGER_THAN


def _are_photos(data: str) -> bool:
    """Whether most of some images of a folder or a manifest, or the images of an array file, are coloured and large.

    False for every other source. What is wrong with a source is for loading it to say.
    """
    from PIL import Image

    path = Path(expand_home(data))
    if path.suffix.lower() in (".npz", ".npy") and path.is_file():
        return any(len(s) == 4 and s[3] == 3 and min(s[1:3]) > LARGER_THAN for s in _array_shapes(path))
    try:
        listing = _listing(data)
    except EdgeFMError:
        return False
    if listing is None:
        return False
    image_files = [image_file for part in listing.parts.values() for image_file in part]
    large = seen = 0
    for image_file in image_files[:: max(1, len(image_files) // _LOOKED_AT)]:
        try:
            with Image.open(image_file.path) as image:  # reads the header alone
                seen += 1
                large += min(image.size) > LARGER_THAN and image.mode not in ("1", "L", "LA", "I", "I;16", "F")
        except (OSError, ValueError, Image.DecompressionBombError):
            continue  # loading lists what cannot be read
    return 2 * large > seen


def _listing(data: str) -> Listing | None:
    from edge_fm.data.image_files.folder_layout import has_images
    from edge_fm.data.image_files.image_folder import list_image_folder
    from edge_fm.data.image_files.manifest import list_manifest
    from edge_fm.data.image_files.manifest_file import is_manifest
    from edge_fm.data.sources import DATASETS

    path = Path(expand_home(data))
    if data in DATASETS or not path.exists():
        return None
    if path.is_dir():
        return list_image_folder(path) if has_images(path) else None
    return list_manifest(path) if is_manifest(path) else None


def _array_shapes(path: Path) -> list[tuple[int, ...]]:
    """Shapes of the arrays in a .npy or .npz file, from their headers alone; none where they cannot be read."""
    import zipfile

    from numpy.lib import format as npy

    def shape(file: IO[bytes]) -> tuple[int, ...]:
        read = npy.read_array_header_1_0 if npy.read_magic(file) == (1, 0) else npy.read_array_header_2_0
        return tuple(read(file)[0])

    try:
        if path.suffix.lower() == ".npy":
            with path.open("rb") as file:
                return [shape(file)]
        with zipfile.ZipFile(path) as archive:
            shapes = []
            for name in archive.namelist():
                with archive.open(name) as member:
                    shapes.append(shape(member))
            return shapes
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return []
