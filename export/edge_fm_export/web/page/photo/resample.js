/* Pillow's resampling of 8-bit images, bit for bit: fixed-point bicubic resizing (`Image.resize`) and averaging of
   blocks (`Image.reduce`). An image is { width, height, data }, three bytes a pixel. */

const PRECISION = 22;
const CHANNELS = 3;

function bicubic(x) {
  const far = Math.abs(x);
  if (far < 1) return (1.5 * far - 2.5) * far * far + 1;
  if (far < 2) return (((far - 5) * far + 8) * far - 4) * -0.5;
  return 0;
}

/* For each output position: the first input that counts, how many do, and their weights in fixed point. Pillow takes
   the ends of the box as 32-bit floats and computes in doubles from there. */
function weightsOf(inSize, start, end, outSize) {
  const from = Math.fround(start);
  const scale = Math.fround(Math.fround(end) - from) / outSize;
  const stretch = Math.max(scale, 1);
  const support = 2 * stretch;
  const inverse = 1 / stretch;
  const size = Math.ceil(support) * 2 + 1;
  const first = new Int32Array(outSize);
  const count = new Int32Array(outSize);
  const weights = new Int32Array(outSize * size);
  const exact = new Float64Array(size);
  for (let out = 0; out < outSize; out++) {
    const centre = from + (out + 0.5) * scale;
    const low = Math.max(0, Math.trunc(centre - support + 0.5));
    const high = Math.min(inSize, Math.trunc(centre + support + 0.5));
    let sum = 0;
    for (let at = low; at < high; at++) {
      exact[at - low] = bicubic((at - centre + 0.5) * inverse);
      sum += exact[at - low];
    }
    for (let at = 0; at < high - low; at++) {
      const weight = (sum === 0 ? exact[at] : exact[at] / sum) * (1 << PRECISION);
      weights[out * size + at] = Math.trunc(weight < 0 ? weight - 0.5 : weight + 0.5);
    }
    first[out] = low;
    count[out] = high - low;
  }
  return { first, count, weights, size };
}

/* One pass along rows (`along` 1) or columns. Sums of products fit into 32 bits, as Pillow's do. */
function pass(image, outSize, weighing, along) {
  const { first, count, weights, size } = weighing;
  const width = along ? outSize : image.width;
  const height = along ? image.height : outSize;
  const data = new Uint8ClampedArray(width * height * CHANNELS);
  const step = along ? CHANNELS : image.width * CHANNELS;
  let to = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const out = along ? x : y;
      let from = along ? (y * image.width + first[out]) * CHANNELS : (first[out] * image.width + x) * CHANNELS;
      let red = 1 << (PRECISION - 1), green = red, blue = red;
      for (let at = out * size, last = at + count[out]; at < last; at++, from += step) {
        const weight = weights[at];
        red += image.data[from] * weight;
        green += image.data[from + 1] * weight;
        blue += image.data[from + 2] * weight;
      }
      data[to++] = red >> PRECISION;
      data[to++] = green >> PRECISION;
      data[to++] = blue >> PRECISION;
    }
  }
  return { width, height, data };
}

/**
 * `Image.resize((width, height), BICUBIC, box)` of Pillow 13: rows first, or columns where the height loses more than
 * twice as many pixels as the width. Each pass rounds to bytes, so the order shows.
 */
export function resize(image, width, height, box = [0, 0, image.width, image.height]) {
  const [left, top, right, bottom] = box.map(Math.fround);
  const across = width !== image.width || left !== 0 || right !== width;
  const down = height !== image.height || top !== 0 || bottom !== height;
  const lost = image.height - height;
  const columnsFirst = lost > 0 && lost > 2 * (image.width - width);
  let result = image;
  for (const along of columnsFirst ? [0, 1] : [1, 0]) {
    if (along && across) result = pass(result, width, weightsOf(image.width, left, right, width), 1);
    if (!along && down) result = pass(result, height, weightsOf(image.height, top, bottom, height), 0);
  }
  return result;
}

/* What a sum of `count` bytes is multiplied by before its upper eight bits are the average: a division in 32-bit
   floats, as Pillow does it. */
const reciprocal = (count) => Math.trunc(Math.fround(4294967296 / Math.fround(256 * count)));

/* Cut 0..length into a first part of `first` (none where that is 0) and parts of `step`. */
function spans(length, first, step) {
  const found = first ? [[0, first]] : [];
  for (let start = first; start < length; start += step) found.push([start, Math.min(start + step, length)]);
  return found;
}

/**
 * Average blocks of `factor` x `factor` pixels; those cut short are the first ones where `first` says how long.
 * @param source { width, height, read(top, bottom) } whose rows are read once, from the top, as bytes of RGB.
 */
export function reduce(source, factor, firstX = 0, firstY = 0) {
  const stepX = Math.min(factor, source.width), stepY = Math.min(factor, source.height);
  const columns = spans(source.width, firstX, stepX), rows = spans(source.height, firstY, stepY);
  const data = new Uint8Array(columns.length * rows.length * CHANNELS);
  let to = 0;
  for (const [top, bottom] of rows) {
    const lines = source.read(top, bottom);
    for (const [left, right] of columns) {
      const count = (bottom - top) * (right - left);
      const multiplier = reciprocal(count);
      let red = count >> 1, green = red, blue = red;
      for (let y = 0; y < bottom - top; y++) {
        let from = (y * source.width + left) * CHANNELS;
        for (let x = left; x < right; x++) {
          red += lines[from++];
          green += lines[from++];
          blue += lines[from++];
        }
      }
      data[to++] = (red * multiplier) / 16777216;
      data[to++] = (green * multiplier) / 16777216;
      data[to++] = (blue * multiplier) / 16777216;
    }
  }
  return { width: columns.length, height: rows.length, data };
}

/* Where the upright pixel (x, y) of a stored image of `width` x `height` stands, by the EXIF orientation. */
const TURNS = {
  2: (x, y, w) => [w - 1 - x, y],
  3: (x, y, w, h) => [w - 1 - x, h - 1 - y],
  4: (x, y, w, h) => [x, h - 1 - y],
  5: (x, y) => [y, x],
  6: (x, y, w, h) => [y, h - 1 - x],
  7: (x, y, w, h) => [w - 1 - y, h - 1 - x],
  8: (x, y, w) => [w - 1 - y, x],
};

/** Turn an image upright, as its EXIF orientation (1 to 8) says; anything else leaves it as it is. */
export function orient(image, orientation) {
  const turn = TURNS[orientation];
  if (!turn) return image;
  const swapped = orientation > 4;
  const width = swapped ? image.height : image.width, height = swapped ? image.width : image.height;
  const data = new Uint8Array(image.data.length);
  let to = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [fromX, fromY] = turn(x, y, image.width, image.height);
      const from = (fromY * image.width + fromX) * CHANNELS;
      data[to++] = image.data[from];
      data[to++] = image.data[from + 1];
      data[to++] = image.data[from + 2];
    }
  }
  return { width, height, data };
}
