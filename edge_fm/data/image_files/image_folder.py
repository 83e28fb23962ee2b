"""A folder of images, one subfolder for each class, with or without a training, a validation and a test part."""

from __future__ import annotations

from pathlib import Path

from edge_fm.data.image_files.folder_layout import (
    check_depth,
    class_names,
    find_parts,
    list_image_files,
    passed_over,
)
from edge_fm.data.image_files.group_rules import groups_of_folder
from edge_fm.data.image_files.listing import ImageFile, Listing
from edge_fm.data.readers.split_names import DESCRIPTION, notes_of_parts


def list_image_folder(folder: Path, *, group: str = "") -> Listing:
    """List a folder of images; see `edge_fm.data.sources.load_dataset`.

    A class is a subfolder, called by its name; deeper folders belong to it. Names that begin with a dot are passed
    over. `train/`, `val/` and `test/` of such subfolders are splits (`PART_NAMES` has their other names): `val/` is the
    validation set, whether or not there is a `test/`.

    Args:
        folder: what to list.
        group: a pattern of the files' paths, or a file in the folder and a column of it; empty for no groups.

    Raises:
        DataError: no images, parts that are ambiguous, or groups that are not to be had.
    """
    parts, unread = find_parts(folder)
    notes: dict[str, object] = {}
    if unread:
        notes["not_read"] = ", ".join(f"{sub.name}/" for sub in unread) + f" (parts are called {DESCRIPTION})"
    folders = parts or {"train": folder}
    names = class_names(list(folders.values()))
    check_depth(folders, names)
    image_files = {part: _image_files(sub, names, folder) for part, sub in folders.items()}
    if parts:
        notes |= notes_of_parts(
            {part: f"{sub.name}/" for part, sub in parts.items()}, {part: len(p) for part, p in image_files.items()}
        )
    if others := passed_over(folder, folders.values(), names):
        notes["passed_over"] = others
    image_files, found = groups_of_folder(folder, image_files, group)
    advice = "move the folder away. A class has folders of the same name in every part, capitals and accents alike."
    return Listing(folder, names, image_files, notes | found, advice)


def _image_files(folder: Path, names: tuple[str, ...], root: Path) -> list[ImageFile]:
    """The images of a part; a class that another part has may be missing in this one."""
    there = [(label, folder / name) for label, name in enumerate(names) if (folder / name).is_dir()]
    return [
        ImageFile(path, label, path.relative_to(root).as_posix())
        for label, sub in there
        for path in list_image_files(sub)
    ]
