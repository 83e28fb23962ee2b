/* Put a whole image on the model's canvas, as `edge_fm_runtime.photos.canvas` does. */

import { resize } from "./resample.js";

/* Python's round(): halves go to the even neighbour. */
function roundHalfEven(value) {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 ? floor + 1 : floor;
}

function toChannels(image, channels) {
  if (channels === 3) return Uint8Array.from(image.data);
  const grey = new Uint8Array(image.width * image.height);
  for (let at = 0, from = 0; at < grey.length; at++, from += 3) {
    // ITU-R 601-2 luma in Pillow's fixed point.
    grey[at] = (image.data[from] * 19595 + image.data[from + 1] * 38470 + image.data[from + 2] * 7471 + 0x8000) >> 16;
  }
  return grey;
}

/* Negate a grey image whose border is light where the model knows dark backgrounds, or the reverse. */
function setPolarity(pixels, width, height, channels, background) {
  if (background === "any" || channels !== 1) return pixels;
  const border = [];
  for (let x = 0; x < width; x++) border.push(pixels[x], pixels[(height - 1) * width + x]);
  for (let y = 0; y < height; y++) border.push(pixels[y * width], pixels[y * width + width - 1]);
  border.sort((one, other) => one - other);
  const light = border[border.length >> 1] >= 128;
  return light === (background === "dark") ? pixels.map((value) => 255 - value) : pixels;
}

function place(pixels, width, height, canvasWidth, canvasHeight, channels, fill) {
  const canvas = new Uint8Array(canvasWidth * canvasHeight * channels).fill(fill);
  const top = (canvasHeight - height) >> 1, left = (canvasWidth - width) >> 1;
  for (let y = 0; y < height; y++) {
    const row = pixels.subarray(y * width * channels, (y + 1) * width * channels);
    canvas.set(row, ((top + y) * canvasWidth + left) * channels);
  }
  return canvas;
}

const MODES = {
  fit(image, width, height, channels, spec) {
    const scale = Math.min(width / image.width, height / image.height);
    const across = Math.max(1, roundHalfEven(image.width * scale));
    const down = Math.max(1, roundHalfEven(image.height * scale));
    const pixels = toChannels(resize(image, across, down), channels);
    const turned = setPolarity(pixels, across, down, channels, spec.background);
    return place(turned, across, down, width, height, channels, spec.fill);
  },
  crop(image, width, height, channels, spec) {
    const across = Math.min(image.width, (image.height * width) / height);
    const down = Math.min(image.height, (image.width * height) / width);
    const left = (image.width - across) / 2, top = (image.height - down) / 2;
    const part = resize(image, width, height, [left, top, left + across, top + down]);
    return setPolarity(toChannels(part, channels), width, height, channels, spec.background);
  },
  stretch(image, width, height, channels, spec) {
    const pixels = toChannels(resize(image, width, height), channels);
    return setPolarity(pixels, width, height, channels, spec.background);
  },
};

/** Whether the model's photos become pixels here as they do in the runtime. */
export const supports = (mode) => Object.hasOwn(MODES, mode);

/**
 * Put a decoded photo on the canvas: height, width and channels of `shape`, the metadata's `photo` as `spec`.
 * An image of exactly the canvas's size is taken as it is, in every mode and polarity.
 */
export function makeCanvas(image, shape, spec) {
  const [height, width, channels] = shape;
  if (image.width === width && image.height === height) return toChannels(image, channels);
  if (!supports(spec.mode)) {
    throw new Error(
      `This model finds the object in a photo (photo mode "${spec.mode}"), which this page cannot do with the same ` +
      `pixels as EdgeFM's runtime: it takes images of exactly ${width} x ${height} pixels. For photos of any size, ` +
      "export the model again: edgefm export --format web --photo fit",
    );
  }
  return MODES[spec.mode](image, width, height, channels, spec);
}
