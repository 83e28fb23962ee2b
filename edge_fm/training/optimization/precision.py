"""The arithmetic that a recipe trains in, and whether this machine has it."""

from __future__ import annotations

from edge_fm.models.keras_import import require_keras
from edge_fm_runtime.system.machine import cpu_features, cpu_name

_BFLOAT16 = ("AVX512-BF16", "AMX-BF16", "NEON BF16")


def precision_note(precision: str) -> str | None:
    """What a person should know before a long training: that its arithmetic is emulated here; None where it is not.

    Without its instructions a CPU widens every bfloat16 to float32 and rounds it back: a step of edgenet-m took 2.3
    times what it takes in float32 (TensorFlow 2.21, a Xeon with AVX512 and VNNI).

    Args:
        precision: of the recipe's [training].
    """
    features = cpu_features()  # none outside Linux, where nothing is known of them
    if precision == "float32" or not features or set(features) & set(_BFLOAT16) or not _on_cpu():
        return None
    return (
        f"This CPU ({cpu_name()}) has no instructions for bfloat16, so {precision} is emulated and takes longer than "
        "float32: --set training.precision=float32."
    )


def _on_cpu() -> bool:
    keras = require_keras("training")
    if keras.backend.backend() == "torch":
        import torch

        return not torch.cuda.is_available()
    return all(str(device).lower().startswith("cpu") for device in keras.distribution.list_devices())
