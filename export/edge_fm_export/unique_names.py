"""Names that occur once."""

from __future__ import annotations


def unused_name(wanted: str, taken: set[str]) -> str:
    """`wanted`, or with the first number behind it that makes it unused; it is added to `taken`.

    Example:
        >>> unused_name("conv", {"conv", "conv_2"})
        'conv_3'
    """
    name, number = wanted, 1
    while name in taken:
        number += 1
        name = f"{wanted}_{number}"
    taken.add(name)
    return name
