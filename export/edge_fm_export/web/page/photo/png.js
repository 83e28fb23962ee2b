/* Decode PNG without the browser's help, so that every kind (16 bits, palettes, transparency, interlacing) has the
   pixels that Pillow gives it: 16-bit values keep their high byte, transparency stands before white. */

import { PhotoError } from "./errors.js";

const CRC = new Uint32Array(256).map((_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});
const SAMPLES = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };
const DEPTHS = { 0: [1, 2, 4, 8, 16], 2: [8, 16], 3: [1, 2, 4, 8], 4: [8, 16], 6: [8, 16] };
const ADAM7 = [[0, 0, 8, 8], [4, 0, 8, 8], [0, 4, 4, 8], [2, 0, 4, 4], [0, 2, 2, 4], [1, 0, 2, 2], [0, 1, 1, 2]];

function chunksOf(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found = [];
  for (let at = 8; at + 12 <= bytes.length; ) {
    const length = view.getUint32(at), end = at + 8 + length;
    const kind = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (end + 4 > bytes.length) throw new PhotoError("The photo is cut short.");
    let crc = 0xffffffff;
    for (let byte = at + 4; byte < end; byte++) crc = CRC[(crc ^ bytes[byte]) & 255] ^ (crc >>> 8);
    if ((~crc >>> 0) !== view.getUint32(end)) throw new PhotoError(`The photo is damaged: its ${kind} chunk was changed.`);
    found.push({ kind, data: bytes.subarray(at + 8, end) });
    if (kind === "IEND") return found;
    at = end + 4;
  }
  throw new PhotoError("The photo is cut short.");
}

export async function inflate(bytes, format = "deflate") {
  try {
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream(format));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  } catch {
    throw new PhotoError("The photo is damaged: its compressed pixels cannot be read.");
  }
}

function unfilter(raw, at, rowBytes, rows, step) {
  const lines = new Uint8Array(rowBytes * rows);
  for (let row = 0; row < rows; row++) {
    const filter = raw[at++];
    const line = row * rowBytes, above = line - rowBytes;
    for (let index = 0; index < rowBytes; index++) {
      const left = index >= step ? lines[line + index - step] : 0;
      const up = row ? lines[above + index] : 0;
      let guess = 0;
      if (filter === 1) guess = left;
      else if (filter === 2) guess = up;
      else if (filter === 3) guess = (left + up) >> 1;
      else if (filter === 4) {
        const corner = row && index >= step ? lines[above + index - step] : 0;
        const sum = left + up - corner;
        const toLeft = Math.abs(sum - left), toUp = Math.abs(sum - up), toCorner = Math.abs(sum - corner);
        guess = toLeft <= toUp && toLeft <= toCorner ? left : toUp <= toCorner ? up : corner;
      } else if (filter) throw new PhotoError("The photo is damaged: a row has an unknown filter.");
      lines[line + index] = raw[at++] + guess;
    }
  }
  return [lines, at];
}

/* The eight-bit samples of one row of `width` pixels: high bytes of 16-bit ones; `scaled` spreads few bits to 0..255. */
function samplesOf(line, width, samples, depth, scaled) {
  const found = new Uint8Array(width * samples);
  if (depth >= 8) {
    const bytes = depth / 8;
    for (let at = 0; at < found.length; at++) found[at] = line[at * bytes];
    return found;
  }
  const most = (1 << depth) - 1;
  for (let at = 0; at < found.length; at++) {
    const bit = at * depth;
    const value = (line[bit >> 3] >> (8 - depth - (bit & 7))) & most;
    found[at] = scaled ? value * (255 / most) : value;
  }
  return found;
}

/** What Pillow makes of alpha before white: `(255 * (255 - alpha) + colour * alpha) / 255`, in its fixed point. */
export function beforeWhite(colour, alpha) {
  const value = 255 * (255 - alpha) + colour * alpha + 128;
  return ((value >> 8) + value) >> 8;
}

/** Read what stands before the pixels: size, kind of pixels, colour profile, orientation and text. */
export async function readPng(bytes) {
  const chunks = chunksOf(bytes);
  if (chunks[0]?.kind !== "IHDR" || chunks[0].data.length !== 13) throw new PhotoError("The photo is damaged: it has no header.");
  const header = chunks[0].data;
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength);
  const width = view.getUint32(0), height = view.getUint32(4);
  const [depth, colour, compression, filtering, interlaced] = header.subarray(8);
  if (!DEPTHS[colour]?.includes(depth) || compression || filtering || interlaced > 1) {
    throw new PhotoError("The photo is damaged: its header names no kind of PNG.");
  }
  const first = (kind) => chunks.find((chunk) => chunk.kind === kind)?.data;
  const text = (kind, key) => chunks.some((chunk) => chunk.kind === kind && latin(chunk.data.subarray(0, key.length)) === key);
  if (["tEXt", "zTXt", "iTXt"].some((kind) => text(kind, "Raw profile type exif\0"))) {
    throw new PhotoError("The photo holds its orientation in a text, which is not read here.", "Save it anew as PNG or JPEG.");
  }
  let profile = null;
  const packed = first("iCCP");
  if (packed) profile = await inflate(packed.subarray(packed.indexOf(0) + 2)).catch(() => null);
  const xmp = chunks.find((chunk) => chunk.kind === "iTXt" && latin(chunk.data.subarray(0, 18)) === "XML:com.adobe.xmp\0");
  const transparency = first("tRNS");
  if (transparency && (depth === 16 ? colour === 2 : depth < 8 && colour === 0)) {
    throw new PhotoError("The photo has a transparent colour of 16 bits, or of fewer than 8.", "Save it anew, as PNG with an alpha channel.");
  }
  return {
    width, height, depth, colour, interlaced, chunks, transparency, profile,
    grey: colour === 0 && (depth === 16 || !transparency),
    exif: first("eXIf"), xmp: xmp ? latin(xmp.data) : "",
  };
}

/** Bytes as text, one character each; the browser's own "latin1" is another encoding, windows-1252. */
export function latin(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += 4096) text += String.fromCharCode(...bytes.subarray(at, at + 4096));
  return text;
}

/** The pixels of what `readPng` read, three bytes each. */
export async function decodePng(png) {
  const { width, height, depth, colour, transparency } = png;
  const packed = png.chunks.filter((chunk) => chunk.kind === "IDAT").map((chunk) => chunk.data);
  const raw = await inflate(new Blob(packed));
  const samples = SAMPLES[colour];
  const step = Math.max(1, (samples * depth) >> 3);
  const palette = png.chunks.find((chunk) => chunk.kind === "PLTE")?.data ?? new Uint8Array(0);
  const data = new Uint8Array(width * height * 3);
  const passes = png.interlaced ? ADAM7 : [[0, 0, 1, 1]];
  const clear = transparency && colour !== 3
    ? [...Array(samples)].map((_, at) => (transparency[2 * at] << 8) | transparency[2 * at + 1]) : null;
  let at = 0;
  for (const [startX, startY, stepX, stepY] of passes) {
    const across = Math.ceil((width - startX) / stepX), down = Math.ceil((height - startY) / stepY);
    if (across <= 0 || down <= 0) continue;
    const rowBytes = (across * samples * depth + 7) >> 3;
    if (at + (rowBytes + 1) * down > raw.length) throw new PhotoError("The photo is cut short.");
    let lines;
    [lines, at] = unfilter(raw, at, rowBytes, down, step);
    for (let row = 0; row < down; row++) {
      const line = samplesOf(lines.subarray(row * rowBytes, (row + 1) * rowBytes), across, samples, depth, colour !== 3);
      let to = ((startY + row * stepY) * width + startX) * 3;
      for (let x = 0; x < across; x++, to += stepX * 3) write(data, to, line, x * samples);
    }
  }
  return { width, height, data };

  function write(target, to, line, from) {
    let red, green, blue, alpha = 255;
    if (colour === 3) {
      const index = line[from];
      [red, green, blue] = [palette[3 * index] ?? 0, palette[3 * index + 1] ?? 0, palette[3 * index + 2] ?? 0];
      alpha = transparency?.[index] ?? 255;
    } else {
      red = line[from];
      green = samples > 2 ? line[from + 1] : red;
      blue = samples > 2 ? line[from + 2] : red;
      if (colour === 4) alpha = line[from + 1];
      if (colour === 6) alpha = line[from + 3];
      if (clear && depth === 8 && clear.every((value, index) => value === line[from + index])) alpha = 0;
    }
    if (alpha !== 255) [red, green, blue] = [red, green, blue].map((value) => beforeWhite(value, alpha));
    target[to] = red;
    target[to + 1] = green;
    target[to + 2] = blue;
  }
}
