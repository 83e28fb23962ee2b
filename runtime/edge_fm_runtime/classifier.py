"""The public way to classify photos: artifact, engine and photo preprocessing in one object."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from time import perf_counter_ns
from types import TracebackType
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from edge_fm_runtime.arrays import UINT8, Pixels, Probabilities
from edge_fm_runtime.artifacts.artifact import Artifact, load_artifact
from edge_fm_runtime.artifacts.packaged import DEFAULT_MODEL, MODELS
from edge_fm_runtime.classification import (
    Classification,
    Decoded,
    Failure,
    Prediction,
    best_classes,
    check_batches,
    checked_top_k,
    photo_name,
)
from edge_fm_runtime.defaults import BATCH_SIZE, STREAM_BATCH_SIZE
from edge_fm_runtime.engines import ENGINES, Engine, EngineOptions, Registry, create_engine
from edge_fm_runtime.engines.base import SupportsInfer, as_engine
from edge_fm_runtime.engines.calls import Calls
from edge_fm_runtime.errors import ClosedError, PhotoError
from edge_fm_runtime.model_outputs import ClassifyFn, checked_probabilities, classify_decoded, wanted_outputs
from edge_fm_runtime.photos.canvas import check_shape
from edge_fm_runtime.photos.photo import DEFAULT_MAX_PIXELS, load_canvas

if TYPE_CHECKING:
    from PIL import Image

    from edge_fm_runtime.streams.frames import Frame, FrameResult

Photo: TypeAlias = "str | os.PathLike[str] | bytes | Image.Image | npt.NDArray[np.uint8]"


class Classifier:
    """Classifies photos with an exported artifact; a context manager, safe to use from several threads.

    Attributes:
        artifact: what was opened.
        engine: what runs it.
        max_pixels: larger photos are refused; see `photo.load_canvas`.
        min_score: a photo whose best score is below this is rejected: it gets no label. None rejects none.
        profile_note: why a device profile for this artifact was not used, such as a changed machine; None otherwise.

    Example:
        >>> with Classifier.load("artifacts/edgenet-s-onnx-fp32") as classifier:  # doctest: +SKIP
        ...     print(classifier.classify("photo.jpg").label)
    """

    def __init__(
        self, artifact: Artifact, engine: Engine | SupportsInfer, *, max_pixels: int = DEFAULT_MAX_PIXELS
    ) -> None:
        self.artifact = artifact
        self.engine = as_engine(engine, fixed_batch=artifact.metadata.input.batch)
        self.max_pixels = max_pixels
        self.min_score: float | None = None
        self.profile_note: str | None = None
        self._shape = artifact.metadata.input.shape
        self._labels = artifact.metadata.labels
        self._calls = Calls("The classifier")

    @classmethod
    def load(
        cls,
        path: str | Path | None = None,
        engine: str = "auto",
        device: str = "CPU",
        threads: int | None = None,
        *,
        one_shot: bool = False,
        profile: bool = True,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        min_score: float | Literal["auto"] | None = None,
        require_signature: str | Path | None = None,
        registry: Registry = ENGINES,
    ) -> Classifier:
        """Open an artifact and start its engine.

        Args:
            path: artifact folder, a bare `.onnx`, `.xml` or `.tflite` that edgefm exported, or the name of an artifact
                in the package. Default: the classifier of clothes in the package.
            engine: "auto" or a name in `registry`. "auto" on the CPU without `threads` is what `edgefm autotune` found
                for this very artifact on this machine, else the format's own engine.
            device: where to run; never replaced by another.
            threads: compute threads; None for as many as the process may use.
            one_shot: threads sleep while they wait, instead of spinning: for a process that runs once, or that
                decodes photos meanwhile.
            profile: follow the device profile that `edgefm autotune` wrote.
            max_pixels: larger photos are refused; see `photo.load_canvas`.
            min_score: a photo whose best score is below this gets no label (`rejected`, and None as its label): a
                number from 0 to 1, or "auto" for the threshold that the artifact records. None rejects none.
            require_signature: file of the public key that the artifact must be signed for; an unsigned or changed
                artifact, or one that another key signed, is refused before its model is read. Default: the key that
                the environment variable `EDGEFM_REQUIRE_SIGNATURE` names; where it is not set, none is required.
            registry: the engines known.

        Raises:
            ArtifactError, IntegrityError, SignatureError, SigningKeyError, EngineError, DeviceError,
            MissingDependencyError: see `errors`.
        """
        # Not by its name: in the current folder there may be one that is called the same.
        path = MODELS / DEFAULT_MODEL if path is None else path
        artifact = load_artifact(path, require_signature=require_signature)
        if min_score is not None:
            from edge_fm_runtime.rejection import resolve_min_score

            min_score = resolve_min_score(artifact, min_score)
        options = EngineOptions(device=device, threads=threads, one_shot=one_shot)
        note = None
        if profile and engine == "auto" and device == "CPU" and threads is None:
            from edge_fm_runtime.measurement.device_profile import find_choice

            choice, note = find_choice(artifact)
            if choice is not None:
                engine = choice.engine
                options = EngineOptions(threads=choice.threads, one_shot=one_shot, batch=choice.batch)
        made = create_engine(artifact, engine, options=options, registry=registry)
        classifier = cls(artifact, made, max_pixels=max_pixels)
        classifier.min_score, classifier.profile_note = min_score, note
        return classifier

    def __enter__(self) -> Classifier:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the engine once the calls in flight have ended; a second call does nothing.

        A later call, also the next batch of `classify_many`, gets a `ClosedError`, which is an `EngineError`. So a
        service changes its model while threads classify: replace the classifier that they take, then close the old
        one; the thread that had already taken the old one, but not called it, takes the new one and calls again.
        """
        if self._calls.close():
            self.engine.close()

    def predict_pixels(self, batch: Pixels) -> Probabilities:
        """Compute the probabilities of canvases that are already made.

        Args:
            batch: uint8 `[N,H,W,C]` of the artifact's own height, width and channels.

        Returns:
            float32 `[N,classes]` probabilities.

        Raises:
            PhotoError: another dtype or shape.
            EngineError: the model does not compute probabilities of its classes.
            ClosedError: the classifier was closed.
        """
        if batch.dtype != UINT8 or batch.shape[1:] != self._shape:
            raise PhotoError(
                f"Got {batch.dtype} pixels of shape {list(batch.shape)}; "
                f"the model takes uint8 [N, {', '.join(map(str, self._shape))}].",
                hint="Use classify() for photos of any size.",
            )
        try:  # the engine counts the call, too: twice would cost a small model a percent
            return checked_probabilities(self.engine.infer(batch), len(batch), self.artifact)
        except ClosedError:
            with self._calls:  # raises, and says what is closed
                raise

    def canvas(self, photo: Photo) -> Pixels:
        """What the model sees of a photo: uint8 `[H,W,C]`.

        Raises:
            PhotoError: the file is not a readable image.
        """
        return load_canvas(photo, self._shape, self.artifact.metadata.photo, max_pixels=self.max_pixels)

    def classify(
        self, photo: Photo, *, top_k: int = 1, embedding: bool = False, heatmap: bool = False
    ) -> Classification:
        """Classify one photo.

        Args:
            photo: a path, the bytes of an image file, a PIL image, or a uint8 array `[H,W]` or `[H,W,C]`.
            top_k: how many classes to return.
            embedding: return the feature vector, too, of an artifact that was exported with `--outputs embedding`.
            heatmap: return, too, where the model saw the class; the artifact was exported with `--outputs cam`.

        Raises:
            PhotoError: the file is not a readable image.
            EngineError: `top_k` is less than 1, or the artifact has no such output; or ClosedError: the classifier was
                closed.
        """
        extra = wanted_outputs(self.artifact, embedding=embedding, heatmap=heatmap)
        with self._calls:
            return self._classify(top_k, extra)([self._decode(photo)])[0][0]

    def classify_many(
        self,
        photos: Iterable[Photo],
        *,
        batch_size: int = BATCH_SIZE,
        top_k: int = 1,
        processes: bool | Literal["auto"] = False,
        embedding: bool = False,
        heatmap: bool = False,
    ) -> Iterator[Classification | Failure]:
        """Classify photos as they come, in input order; decoding runs beside inference, memory stays bounded.

        Args:
            photos: as in `classify`; drawn lazily, on a thread of their own: a pipe that waits holds up no result.
            batch_size: how many canvases go through the engine at once, at most.
            top_k: how many classes to return.
            processes: decode files in a child process for each core after the first few dozen; "auto": where threads
                leave cores idle, as they wait for Python's lock (not seen unless loaded with `one_shot`).
            embedding: as for `classify`.
            heatmap: as for `classify`.

        Yields:
            a `Classification` for each photo, or a `Failure` for one that cannot be read.

        Raises:
            ClosedError: the classifier was closed before the last result.
            PhotoError: the model takes other channels than photos have, or one photo was given instead of several.
            EngineError: the artifact has no such output.

        Example:
            >>> results = [*classifier.classify_many(["a.jpg", "b.jpg"])]  # doctest: +SKIP
        """
        from edge_fm_runtime.photos.decode_worker import DecodeWorker
        from edge_fm_runtime.photos.many import classify_batches

        check_batches(photos, batch_size)
        check_shape(self._shape)
        extra = wanted_outputs(self.artifact, embedding=embedding, heatmap=heatmap)
        start = partial(DecodeWorker, self._shape, self.artifact.metadata.photo, self.max_pixels)
        classify = self._classify(top_k, extra)
        yield from classify_batches(
            photos, self._decode, classify, self._calls, batch_size=batch_size, start=start, processes=processes
        )

    def classify_stream(
        self,
        frames: Iterable[Photo | Frame],
        *,
        live: bool = False,
        stride: int = 1,
        fps: float | None = None,
        window: int | None = None,
        batch_size: int = STREAM_BATCH_SIZE,
        top_k: int = 1,
    ) -> Generator[FrameResult]:
        """Classify the frames of a video or a camera, with a vote over the last ones; memory stays bounded.

        Args:
            frames: uint8 arrays `[H,W]` or `[H,W,3]`, PIL images, or `Frame` as from `open_video`; drawn from a
                thread of their own.
            live: a frame that waits when the next one arrives is dropped; otherwise the source waits for the model.
            stride: classify every Nth frame, from the first; not together with `fps`.
            fps: classify so many frames of a second, at most, by their timestamps.
            window: vote over the last N predictions, by the mean of their probabilities; None for no vote.
            batch_size: how many frames go through the engine at once, at most; one by one if `live`.
            top_k: how many classes to return.

        Yields:
            A result for each of these frames, in order.

        Raises:
            EngineError: an argument is out of range; or ClosedError: the classifier was closed.
            PhotoError: as for `classify_many`; or VideoError: `fps` was given, and a frame has no timestamp.

        Example:
            >>> for result in classifier.classify_stream(open_video("clip.mp4")):  # doctest: +SKIP
            ...     print(result.time_s, result.prediction)
        """
        from edge_fm_runtime.streams.classifying import Selection, Steps, Window, classify_frames

        check_batches(frames, batch_size)
        check_shape(self._shape)
        vote = None if window is None else Window(window, self.artifact.metadata, top_k, self.min_score)
        steps = Steps(self._decode, self._classify(checked_top_k(top_k)), self._calls)
        return classify_frames(frames, Selection(stride, fps), steps, vote, live=live, batch_size=batch_size)

    def _decode(self, photo: Photo, name: str | None = None) -> Decoded:
        start, canvas = perf_counter_ns(), self.canvas(photo)
        return Decoded(name or photo_name(photo), canvas, (perf_counter_ns() - start) / 1e6)

    def _classify(self, top_k: int, extra: Sequence[str] = ()) -> ClassifyFn:
        return partial(classify_decoded, self.engine, self.artifact, self.min_score, top_k=top_k, extra=extra)

    def best(self, row: Probabilities, top_k: int) -> tuple[Prediction, ...]:
        """The `top_k` most probable classes of one image's probabilities `[classes]`, best first."""
        return best_classes(self._labels, row, top_k)
