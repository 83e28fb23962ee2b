"""Find the garment in a photo: a border colour model first, then colours and edges weighed against each other.

A plain background is trimmed as Fashion-MNIST was made: whatever is near the background's colour and hangs together
with the border. On a textured one the colours of garment and background are estimated in turn with the mask, as in
GrabCut (Rother, Kolmogorov and Blake 2004), with colour histograms for its mixtures and mean field for its graph cut,
so that it takes milliseconds in numpy.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from edge_fm_runtime.arrays import Floats, Mask
from edge_fm_runtime.photos.canvas import border_median

_SIDE = 96
_COLOURS = 40
_PLAIN_TOLERANCE = 0.05 * 255
_PLAIN_SHARE = 0.9
_SOFT_STEP = 4.0
_SEED_COST = 100.0
_BINS = 16


def find_garment(image: Image.Image) -> Floats:
    """How much each pixel belongs to the garment.

    Args:
        image: mode RGB.

    Returns:
        float32 0..1 `[h,w]`, of the image's proportions but at most 96 pixels long; 0.5 is the garment's edge.
        All ones where no garment stands out.
    """
    scale = min(1.0, _SIDE / max(image.size))
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    small = image.resize(size, Image.Resampling.BOX)
    if min(size) < 8:
        return np.ones((size[1], size[0]), np.float32)
    soft = _plain(small)
    if soft is None:
        soft = _textured(small)
    soft = soft * select_parts(soft > 0.5)
    share = float((soft > 0.5).mean())
    return soft if share > 0.01 else np.ones_like(soft)


def _plain(small: Image.Image) -> Floats | None:
    """Trim a background of one colour; None where the border has more than one."""
    rgb = np.asarray(small).astype(np.float32)
    background = border_median(rgb)
    if (np.abs(_ring(rgb, 2) - background).max(axis=1) < 2 * _PLAIN_TOLERANCE).mean() < _PLAIN_SHARE:
        return None
    away = np.abs(rgb - background).max(axis=2)
    apart = _distance_from_border(rgb, np.zeros(away.shape, np.float32), floor=_SOFT_STEP)
    away[apart < _PLAIN_TOLERANCE / 2] = 0
    soft: Floats = np.clip(away / (2 * _PLAIN_TOLERANCE), 0, 1).astype(np.float32)
    return soft


def _textured(small: Image.Image) -> Floats:
    luma, blue, red = (np.asarray(band).astype(np.float32) for band in small.convert("YCbCr").split())
    # Shading changes brightness more than colour, so colour weighs more.
    features = np.stack([0.6 * luma, 1.6 * (blue - 128) + 128, 1.6 * (red - 128) + 128], axis=2)
    codes, near = _quantize(features)
    weights = _edge_weights(features)
    prior = _centre_prior(luma.shape)
    prior_odds = np.log(prior / (1 - prior))
    mask = prior
    for _ in range(3):
        mask = _mean_field(prior_odds + _evidence(codes, mask, near), weights, steps=8)
    steps = np.sort(_steps(features)[0], axis=None)
    apart = _distance_from_border(features, mask * _SEED_COST, floor=1.5 * float(steps[len(steps) // 2]))
    ranked = np.sort(apart, axis=None)
    bins = np.searchsorted(ranked[len(ranked) * np.arange(1, _BINS) // _BINS], apart)
    alike = np.exp(-0.5 * (np.subtract.outer(np.arange(_BINS), np.arange(_BINS))) ** 2)
    for _ in range(3):
        evidence = _evidence(codes, mask, near) + _evidence(bins, mask, alike)
        mask = _mean_field(0.5 * prior_odds + evidence, weights, steps=8)
    return mask


def _evidence(codes: npt.NDArray[np.intp], mask: Floats, near: npt.NDArray[np.float64]) -> Floats:
    """Log odds for each pixel that something of its code is garment, as the mask has it so far."""
    inside = near @ np.bincount(codes.ravel(), mask.ravel(), len(near))
    outside = near @ np.bincount(codes.ravel(), (1 - mask).ravel(), len(near))
    inside, outside = inside / inside.sum(), outside / outside.sum()
    odds: Floats = np.clip(np.log((inside + 1e-4) / (outside + 1e-4)), -3, 3).astype(np.float32)[codes]
    return odds


def _steps(features: Floats) -> tuple[Floats, Floats]:
    """How far apart each pixel is from the one below and the one to the right."""
    return np.sqrt(((features[1:] - features[:-1]) ** 2).sum(axis=2)), np.sqrt(
        ((features[:, 1:] - features[:, :-1]) ** 2).sum(axis=2)
    )


def _distance_from_border(features: Floats, seeds: Floats, *, floor: float) -> Floats:
    """The least sum of colour steps on a way from the border (geodesic distance), steps under `floor` free.

    Shading and soft shadows cost nothing, edges do. `seeds` is the cost of starting at a border pixel.
    """
    down, right = (np.maximum(step - floor, 0) for step in _steps(features))
    far = np.full(seeds.shape, np.inf, np.float32)
    for edge in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
        far[edge] = seeds[edge]
    turned = np.ascontiguousarray(right.T)
    for _ in range(3):
        before = far.copy()
        _sweep(far, down)
        across = np.ascontiguousarray(far.T)
        _sweep(across, turned)
        far[...] = across.T
        if np.array_equal(far, before):
            break
    return far


def _sweep(far: Floats, steps: Floats) -> None:
    """Carry distances down and up again, in place, a row at a time."""
    rows, costs = list(far), list(steps)
    carried = np.empty_like(rows[0])
    for above, below, cost in zip(rows, rows[1:], costs, strict=False):
        np.minimum(below, np.add(above, cost, out=carried), out=below)
    for above, below, cost in zip(rows[-2::-1], rows[:0:-1], costs[::-1], strict=True):
        np.minimum(above, np.add(below, cost, out=carried), out=above)


def _quantize(features: Floats) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    """Colour index of each pixel, and how alike two indices are (rows sum to 1)."""
    coloured = Image.fromarray(np.clip(features, 0, 255).astype(np.uint8))
    indexed = coloured.quantize(_COLOURS, Image.Quantize.MEDIANCUT)
    codes = np.asarray(indexed).astype(np.intp)
    count = int(codes.max()) + 1
    palette = np.array(indexed.getpalette(), np.float64)[: 3 * count].reshape(-1, 3)
    squared = ((palette[:, None] - palette[None]) ** 2).sum(axis=2)
    near = np.exp(-squared / (2 * 8.0**2))
    return codes, near / near.sum(axis=1, keepdims=True)


def _centre_prior(shape: tuple[int, ...]) -> Floats:
    """Photos of a garment have it in the middle: 0.7 there, 0.05 at the border."""
    y, x = (np.abs(np.linspace(-1, 1, n, dtype=np.float32)) for n in shape)
    far = np.maximum(y[:, None] ** 4, x[None] ** 4)
    prior: Floats = (0.7 - 0.65 * far).astype(np.float32)
    return prior


def _edge_weights(features: Floats) -> tuple[Floats, Floats]:
    """How strongly each pixel is tied to the one below and the one to the right, 0..1."""
    down = ((features[1:] - features[:-1]) ** 2).sum(axis=2)
    right = ((features[:, 1:] - features[:, :-1]) ** 2).sum(axis=2)
    typical = 2 * (float(down.mean()) + float(right.mean())) / 2 + 1e-3
    return np.exp(-down / typical), np.exp(-right / typical)


def _mean_field(unary: Floats, weights: tuple[Floats, Floats], *, steps: int, pull: float = 2.0) -> Floats:
    # Everything is halved once, so that no step has to; sums go into arrays that exist.
    half = unary / 2
    down, right = (w * np.float32(pull / 2) for w in weights)
    field = np.tanh(half)
    pulled, tall, wide = np.empty_like(half), np.empty_like(down), np.empty_like(right)
    for _ in range(steps):
        np.copyto(pulled, half)
        pulled[:-1] += np.multiply(down, field[1:], out=tall)
        pulled[1:] += np.multiply(down, field[:-1], out=tall)
        pulled[:, :-1] += np.multiply(right, field[:, 1:], out=wide)
        pulled[:, 1:] += np.multiply(right, field[:, :-1], out=wide)
        np.tanh(pulled, out=field)
    mask: Floats = ((field + 1) / 2).astype(np.float32)
    return mask


def _ring(pixels: Floats, width: int) -> Floats:
    """The pixels of the outermost `width` rows and columns, `[N,C]`."""
    channels = pixels.shape[2]
    parts = (pixels[:width], pixels[-width:], pixels[:, :width], pixels[:, -width:])
    return np.concatenate([p.reshape(-1, channels) for p in parts])


def select_parts(mask: Mask) -> Mask:
    """Select the garment's parts: the heaviest near the middle and others of a fair size; small holes are filled."""
    opened = _filter(_filter(mask, ImageFilter.MinFilter(3)), ImageFilter.MaxFilter(3))
    labels, count = label_parts(opened)
    if count == 0:
        return mask
    y, x = (1 - np.abs(np.linspace(-1, 1, n)) for n in mask.shape)
    central = np.minimum(y[:, None], x[None]) ** 0.5
    scores = np.bincount(labels.ravel(), central.ravel(), count + 1)
    scores[0] = 0
    keep = scores >= 0.3 * scores.max()
    keep[0] = False
    selected = keep[labels]
    holes, count = label_parts(~selected)
    sizes = np.bincount(holes.ravel(), minlength=count + 1)
    edge = np.concatenate([holes[0], holes[-1], holes[:, 0], holes[:, -1]])
    fill = sizes < 0.05 * selected.sum()
    fill[edge] = False
    fill[0] = False
    filled: Mask = selected | fill[holes]
    return filled


def _filter(mask: Mask, kind: ImageFilter.RankFilter) -> Mask:
    return np.asarray(Image.fromarray(mask.astype(np.uint8) * np.uint8(255)).filter(kind)) > 127


def label_parts(mask: Mask) -> tuple[npt.NDArray[np.intp], int]:
    """Number the connected parts (4 neighbours) of a mask from 1; 0 is outside. Runs are joined, not pixels."""
    height, width = mask.shape
    padded = np.zeros((height, width + 2), np.int8)
    padded[:, 1:-1] = mask
    change = np.diff(padded, axis=1)
    rows, starts = np.nonzero(change == 1)
    ends = np.nonzero(change == -1)[1]
    parent = list(range(len(rows)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    first = np.searchsorted(rows, np.arange(height + 1)).tolist()
    begin, end = starts.tolist(), ends.tolist()
    for row in range(1, height):
        above, here = first[row - 1], first[row]
        while above < first[row] and here < first[row + 1]:
            if begin[above] < end[here] and begin[here] < end[above]:
                parent[root(here)] = root(above)
            if end[above] < end[here]:
                above += 1
            else:
                here += 1
    roots = np.array([root(i) for i in range(len(rows))], np.intp)
    _, numbers = np.unique(roots, return_inverse=True)
    steps = np.zeros((height, width + 1), np.intp)
    np.add.at(steps, (rows, starts), numbers + 1)
    np.add.at(steps, (rows, ends), -(numbers + 1))
    return np.cumsum(steps, axis=1)[:, :-1], int(numbers.max()) + 1 if len(numbers) else 0
