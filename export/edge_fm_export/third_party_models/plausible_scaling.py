"""Do the numbers of a preprocessing make sense? A factor of 255 where 1/255 is meant does not."""

from __future__ import annotations

from dataclasses import replace

from edge_fm_export.third_party_models.pixel_scaling import Preprocessing

_LARGEST = 512.0
"""No value that models are trained on is larger: pixels end at 255, less a mean at 151."""
_NARROWEST = 0.1
"""Nor is the range between black and white narrower."""


def implausible_scaling(asked: Preprocessing) -> str | None:
    """Say what the options make of the pixels where no model is trained on such values, and what to type instead.

    Args:
        asked: from `--input-scale`, `--mean` and `--std`.

    Returns:
        A text for a person; None where the values are usual ones.

    Example:
        >>> implausible_scaling(Preprocessing(scale=1 / 255)) is None
        True
        >>> str(implausible_scaling(Preprocessing(scale=255.0)))[:78]
        'The preprocessing that was asked for makes pixels 0..255 into 0..65,025, value'
    """
    if _plausible(asked):
        return None
    ranges = _ranges(asked)
    low, high = min(ends[0] for ends in ranges), max(ends[1] for ends in ranges)
    message = (
        f"The preprocessing that was asked for makes pixels 0..255 into {low:,.6g}..{high:,.6g}, values that models "
        "are not trained on: the predictions will be wrong. --input-scale multiplies the pixels, --mean is then "
        "subtracted, and --std divides last. "
    )
    better = next((one for one in _alternatives(asked) if _plausible(one)), None)
    if better is None:
        return message + "To divide by 255, so that pixels become 0..1: --input-scale 1/255, without --mean and --std."
    ranges = _ranges(better)
    low, high = min(ends[0] for ends in ranges), max(ends[1] for ends in ranges)
    return f"{message}Meant is probably (for {low:.3g}..{high:.3g}): {_typed(better)}"


def _alternatives(asked: Preprocessing) -> tuple[Preprocessing, ...]:
    """What may have been meant: to divide by the factor, to multiply by --std, to scale to 0..1, or not to scale."""
    multiplied = replace(asked, std=tuple(1 / value for value in asked.std))
    return (
        replace(asked, scale=1 / asked.scale),
        *(() if any(asked.mean) else (multiplied,)),
        replace(asked, scale=1 / 255),
        replace(asked, scale=1.0),
    )


def _plausible(preprocessing: Preprocessing) -> bool:
    """Whether every channel's range is about as wide as usual, and not far from 0."""
    return all(
        low >= -_LARGEST and high <= _LARGEST and high - low >= max(_NARROWEST, low, -high)
        for low, high in _ranges(preprocessing)
    )


def _ranges(preprocessing: Preprocessing) -> list[tuple[float, float]]:
    """What black and white become, for each channel."""
    count = max(len(preprocessing.mean), len(preprocessing.std))
    means, stds = (values * (count if len(values) == 1 else 1) for values in (preprocessing.mean, preprocessing.std))
    return [((0 - m) / s, (255 * preprocessing.scale - m) / s) for m, s in zip(means, stds, strict=True)]


def _typed(preprocessing: Preprocessing) -> str:
    """The options that ask for `preprocessing`."""
    options = []
    if preprocessing.scale != 1.0:
        options.append(f"--input-scale {_fraction(preprocessing.scale)}")
    if any(preprocessing.mean):
        options.append(f"--mean {','.join(f'{value:g}' for value in preprocessing.mean)}")
    if set(preprocessing.std) != {1.0}:
        options.append(f"--std {','.join(f'{value:g}' for value in preprocessing.std)}")
    return " ".join(options) or "leave --input-scale out"


def _fraction(scale: float) -> str:
    return f"1/{1 / scale:g}" if scale < 1 else f"{scale:g}"
