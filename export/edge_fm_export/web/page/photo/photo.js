/* From a photo to the pixels that the model takes, as `edge_fm_runtime.photos.photo.load_canvas` makes them. */

import { makeCanvas } from "./canvas.js";
import { readBmp, readGif, readJpeg, readWebp, orientationOf } from "./containers.js";
import { PhotoError } from "./errors.js";
import { beforeWhite, decodePng, latin, readPng } from "./png.js";
import { conversion } from "./profile.js";
import { orient, reduce } from "./resample.js";

const WORKING_SIDE = 256;
const MAX_PIXELS = 50_000_000;
const MAX_BYTES = 256 * 2 ** 20;
const AT_ONCE = 4_000_000;
const RIGHT_TO_LEFT = [2, 3, 7, 8];
const BOTTOM_TO_TOP = [3, 4, 6, 7];

/** The photos that are read, for an `accept` attribute: with it, phones hand over JPEG in place of HEIC. */
export const ACCEPT = "image/jpeg,image/png,image/webp,image/gif,image/bmp";

/* What files begin with that ISO's base media file format holds (ISO 14496-12); with any other brand they are videos. */
const BRANDS = { AVIF: /avi[fs]/, HEIC: /hei[cxms]|hev[cxms]|mif1|msf1/ };

function kindOf(bytes) {
  const text = latin(bytes.subarray(0, 16));
  if (bytes[0] === 0xff && bytes[1] === 0xd8 && bytes[2] === 0xff) return "JPEG";
  if (text.startsWith("\x89PNG\r\n\x1a\n")) return "PNG";
  if (text.startsWith("GIF8")) return "GIF";
  if (text.startsWith("BM")) return "BMP";
  if (text.startsWith("RIFF") && text.slice(8, 12) === "WEBP") return "WebP";
  if (text.startsWith("II*\0") || text.startsWith("MM\0*")) return "TIFF";
  if (text.slice(4, 8) === "ftyp") return Object.entries(BRANDS).find(([, brands]) => brands.test(text))?.[0] ?? "a video";
  return "";
}

/* By what whole factor a photo shrinks first: `edge_fm_runtime.photos.colour.shrink_factor`. */
function shrinkFactor(width, height, least) {
  const longest = Math.max(width, height), shortest = Math.min(width, height);
  const factor = Math.floor(longest / least);
  return Math.max(1, longest > 4 * shortest ? factor : Math.min(factor, Math.floor((2 * shortest) / least)));
}

function context(width, height) {
  const canvas = typeof OffscreenCanvas === "undefined" ? document.createElement("canvas") : new OffscreenCanvas(width, height);
  canvas.width = width;
  canvas.height = height;
  const found = canvas.getContext("2d", { willReadFrequently: true, colorSpace: "srgb" });
  if (!found) throw new PhotoError(`The browser has no memory for ${width} x ${height} pixels.`, "Make the photo smaller.");
  return found;
}

let canvasesChecked = false;

/* Browsers that hide what tells devices apart change the pixels that a page reads back. */
function checkCanvases() {
  if (canvasesChecked) return;
  const drawn = context(64, 64), pattern = drawn.createImageData(64, 64);
  for (let at = 0; at < pattern.data.length; at++) pattern.data[at] = at % 4 === 3 ? 255 : (at * 37) & 255;
  drawn.putImageData(pattern, 0, 0);
  const seen = drawn.getImageData(0, 0, 64, 64).data;
  if (pattern.data.some((value, at) => value !== seen[at])) {
    throw new PhotoError(
      "This browser changes the pixels that a page reads (protection against fingerprinting), and predictions with them.",
      "Allow this page to read canvases, or give it PNG photos.",
    );
  }
  canvasesChecked = true;
}

/* Rows of something that can be drawn, white behind transparency, as bytes of RGB. */
function drawnSource(drawable, width, height) {
  checkCanvases();
  return {
    width, height,
    read(top, bottom) {
      const lines = new Uint8Array(width * (bottom - top) * 3);
      const most = Math.max(1, Math.floor(AT_ONCE / width));
      let to = 0;
      for (let first = top; first < bottom; first += most) {
        const count = Math.min(most, bottom - first);
        const drawing = context(width, count);
        drawing.imageSmoothingEnabled = false;
        drawing.fillStyle = "#fff";
        drawing.fillRect(0, 0, width, count);
        drawing.drawImage(drawable, 0, first, width, count, 0, 0, width, count);
        const { data } = drawing.getImageData(0, 0, width, count);
        for (let from = 0; from < data.length; from += 4) {
          lines[to++] = data[from];
          lines[to++] = data[from + 1];
          lines[to++] = data[from + 2];
        }
      }
      return lines;
    },
  };
}

const arraySource = ({ width, height, data }) => ({
  width, height, read: (top, bottom) => data.subarray(top * width * 3, bottom * width * 3),
});

/* Read rows in bands: drawing a band costs the same whatever its height. */
function banded(source, step) {
  let held = null, start = 0, end = 0;
  const band = Math.max(step, Math.floor(AT_ONCE / source.width / step) * step);
  return {
    width: source.width, height: source.height,
    read(top, bottom) {
      if (!held || top < start || bottom > end) {
        start = top;
        end = Math.min(source.height, Math.max(bottom, top + band));
        held = source.read(start, end);
      }
      return held.subarray((top - start) * source.width * 3, (bottom - start) * source.width * 3);
    },
  };
}

function checkSize(width, height) {
  if (width < 1 || height < 1) throw new PhotoError("The photo has no pixels.", "");
  if (width * height > MAX_PIXELS) {
    throw new PhotoError(`The photo is ${width} x ${height}, ${(width * height / 1e6).toFixed(1)} megapixels; up to ${MAX_PIXELS / 1e6} are read.`, "Make it smaller.");
  }
}

async function drawable(read) {
  try {
    return await createImageBitmap(read.clean, { colorSpaceConversion: "none" });
  } catch {
    throw new PhotoError("The photo is damaged, or the browser cannot decode it.");
  }
}

/* Decode the bytes of a file: rows to read, how they are turned, and how their colours become sRGB. */
async function openFile(bytes) {
  if (!bytes.length) throw new PhotoError("The photo is empty (0 bytes).", "");
  if (bytes.length > MAX_BYTES) throw new PhotoError(`The photo has ${bytes.length} bytes; up to ${MAX_BYTES} are read.`, "Make it smaller.");
  const kind = kindOf(bytes);
  try {
    if (kind === "PNG") {
      const png = await readPng(bytes);
      checkSize(png.width, png.height);
      const convert = conversion(png.profile, png.grey);
      return { source: arraySource(await decodePng(png)), orientation: orientationOf(png.exif, png.xmp), convert };
    }
    const reader = { JPEG: readJpeg, WebP: readWebp, GIF: readGif, BMP: readBmp }[kind];
    if (!reader) {
      throw new PhotoError(`The file is ${kind ? `${kind}` : "of an unknown kind"}; this page reads JPEG, PNG, WebP, GIF and BMP.`);
    }
    const read = reader(bytes);
    checkSize(read.width, read.height);
    const convert = conversion(read.profile, read.grey);
    const bitmap = await drawable(read);
    if (bitmap.width !== read.width || bitmap.height !== read.height) {
      throw new PhotoError(`The browser decodes ${bitmap.width} x ${bitmap.height} pixels of a photo of ${read.width} x ${read.height}.`);
    }
    return { source: drawnSource(bitmap, read.width, read.height), orientation: read.orientation, convert, close: () => bitmap.close() };
  } catch (error) {
    if (error instanceof RangeError) throw new PhotoError("The photo is damaged or cut short.");
    throw error;
  }
}

/* Pixels that are upright sRGB already: what a camera or another canvas gives. */
function openPixels(photo) {
  if (photo instanceof ImageData) {
    const data = new Uint8Array(photo.width * photo.height * 3);
    for (let from = 0, to = 0; from < photo.data.length; from += 4) {
      for (let colour = 0; colour < 3; colour++) data[to++] = beforeWhite(photo.data[from + colour], photo.data[from + 3]);
    }
    return arraySource({ width: photo.width, height: photo.height, data });
  }
  const width = photo.videoWidth ?? photo.naturalWidth ?? photo.width;
  const height = photo.videoHeight ?? photo.naturalHeight ?? photo.height;
  return drawnSource(photo, width, height);
}

/**
 * Turn a photo into the model's pixels.
 * @param photo a file (Blob, ArrayBuffer, Uint8Array), or pixels: ImageData, a canvas, a video, an ImageBitmap.
 * @param shape height, width and channels of the model's input.
 * @param spec the metadata's `photo`: mode, background, fill.
 * @returns {Promise<Uint8Array>} height x width x channels bytes.
 */
export async function loadCanvas(photo, shape, spec) {
  if (![1, 3].includes(shape[2])) throw new PhotoError(`The model takes ${shape[2]} channels; photos give 1 (grey) or 3 (RGB).`, "");
  let opened;
  if (photo instanceof Blob) opened = await openFile(new Uint8Array(await photo.arrayBuffer()));
  else if (photo instanceof ArrayBuffer) opened = await openFile(new Uint8Array(photo));
  else if (photo instanceof Uint8Array) opened = await openFile(photo);
  else opened = { source: openPixels(photo), orientation: 1, convert: null };
  const { source, orientation, convert } = opened;
  try {
    checkSize(source.width, source.height);
    const { width, height } = source;
    const factor = shrinkFactor(width, height, Math.max(WORKING_SIDE, 2 * Math.max(shape[0], shape[1])));
    let image;
    if (factor === 1) image = { width, height, data: Uint8Array.from(source.read(0, height)) };
    else {
      // The block that is cut short is the upright photo's last one: where the stored rows run backwards, the first.
      const firstX = RIGHT_TO_LEFT.includes(orientation) ? width % Math.min(factor, width) : 0;
      const firstY = BOTTOM_TO_TOP.includes(orientation) ? height % Math.min(factor, height) : 0;
      image = reduce(banded(source, factor), factor, firstX, firstY);
    }
    convert?.(image.data);
    return makeCanvas(orient(image, orientation), shape, spec);
  } finally {
    opened.close?.();
  }
}
