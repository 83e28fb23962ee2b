"""A recipe that learns in seconds and can be searched."""

from __future__ import annotations

_TEXT = """
name = "small"
[model]
name = "lenet5"
[data]
source = "{source}"
[training]
epochs = 1
batch_size = {batch_size}
[search]
trials = {trials}
[search.space]
"optimizer.learning_rate" = {{ low = 1e-3, high = 1e-2, log = true }}
"""


def small_recipe(source: str, *, batch_size: int, trials: int) -> str:
    """The recipe as TOML."""
    return _TEXT.format(source=source, batch_size=batch_size, trials=trials)
