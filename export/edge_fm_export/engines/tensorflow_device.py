"""The device and the threads that TensorFlow really runs."""

from __future__ import annotations

from typing import Any

from edge_fm_runtime.engines import EngineOptions
from edge_fm_runtime.errors import DeviceError, EngineError
from edge_fm_runtime.system.machine import usable_cpus


def select_device(tf: Any, options: EngineOptions) -> str:
    """TensorFlow's name of the requested device, such as "/CPU:0".

    Raises:
        DeviceError: TensorFlow has no such device here.
    """
    present = sorted({device.device_type for device in tf.config.list_logical_devices()})
    if options.device not in present:
        raise DeviceError(
            f"TensorFlow has no device {options.device!r} here; it has: {', '.join(present)}.",
            hint=f"Use one of them: --device {present[0]}",
        )
    return f"/{options.device}:0"


def select_threads(tf: Any, options: EngineOptions) -> int:
    """Set TensorFlow's compute threads, which is possible once in a process, and return them.

    Raises:
        EngineError: TensorFlow already runs with another number.
    """
    wanted = options.threads or int(tf.config.threading.get_intra_op_parallelism_threads()) or usable_cpus()
    if int(tf.config.threading.get_intra_op_parallelism_threads()) == wanted:
        return wanted
    try:
        tf.config.threading.set_intra_op_parallelism_threads(wanted)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError as error:
        if options.threads is None:
            # TensorFlow's default: a thread for each CPU that it may use.
            return usable_cpus()
        raise EngineError(
            f"{wanted} threads were requested, but TensorFlow is already running and cannot change its threads.",
            hint="Measure it in a separate process, or leave --threads out.",
        ) from error
    return wanted


def require_ran_on(tensor: Any, options: EngineOptions) -> None:
    """Raise unless `tensor` was computed on the requested device.

    Raises:
        DeviceError: another one ran.
    """
    if f"device:{options.device.lower()}:" not in str(tensor.device).lower():
        raise DeviceError(
            f"{options.device} was requested, but TensorFlow ran {tensor.device}.",
            hint="Repair the device's driver, or use --device CPU.",
        )
