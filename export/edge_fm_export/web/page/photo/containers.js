/* Look into JPEG, WebP, GIF and BMP files before the browser decodes them: what orientation and colour profile say is
   taken out, so that every browser gives the same stored pixels, and what would differ silently is refused. */

import { PhotoError } from "./errors.js";
import { latin } from "./png.js";

/* Pillow's fallback where EXIF has no orientation. */
const XMP_ORIENTATION = /tiff:Orientation(?:="|>)([0-9])/;
const NOT_FRAMES = [0xc4, 0xc8, 0xcc];

/** The EXIF orientation (1 to 8) in a TIFF structure, else in XMP text; 1 where neither has one. */
export function orientationOf(exif, xmp) {
  if (exif && exif.length >= 8) {
    const view = new DataView(exif.buffer, exif.byteOffset, exif.byteLength);
    const little = exif[0] === 0x49;
    const directory = view.getUint32(4, little);
    if (directory + 2 <= exif.length) {
      const entries = view.getUint16(directory, little);
      for (let entry = 0; entry < entries; entry++) {
        const at = directory + 2 + 12 * entry;
        if (at + 12 > exif.length) break;
        if (view.getUint16(at, little) !== 0x0112) continue;
        const kind = view.getUint16(at + 2, little);
        if (kind === 3) return view.getUint16(at + 8, little);
        if (kind === 4) return view.getUint32(at + 8, little);
        return kind === 1 ? exif[at + 8] : 1;
      }
    }
  }
  const found = XMP_ORIENTATION.exec(xmp);
  return found ? Number(found[1]) : 1;
}

function begins(bytes, at, text) {
  return latin(bytes.subarray(at, at + text.length)) === text;
}

/** A JPEG without its metadata, and what these said. */
export function readJpeg(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const parts = [bytes.subarray(0, 2)];
  const profile = [];
  let frame = null, exif = null, xmp = "", at = 2;
  while (true) {
    while (bytes[at] === 0xff && bytes[at + 1] === 0xff) at++;
    if (at + 4 > bytes.length || bytes[at] !== 0xff) throw new PhotoError("The photo is damaged or cut short.");
    const marker = bytes[at + 1], end = at + 2 + view.getUint16(at + 2);
    if (end > bytes.length) throw new PhotoError("The photo is cut short.");
    if (marker >= 0xc0 && marker <= 0xcf && !NOT_FRAMES.includes(marker)) {
      frame = { marker, depth: bytes[at + 4], height: view.getUint16(at + 5), width: view.getUint16(at + 7), colours: bytes[at + 9] };
    }
    const content = at + 4;
    let kept = true;
    if (marker === 0xe1) {
      kept = false;
      if (begins(bytes, content, "Exif\0\0")) exif ??= bytes.subarray(content + 6, end);
      else if (begins(bytes, content, "http://ns.adobe.com/xap/1.0/\0")) xmp ||= latin(bytes.subarray(content, end));
    } else if (marker === 0xe2) {
      kept = false;
      if (begins(bytes, content, "ICC_PROFILE\0")) profile.push(bytes.subarray(content + 12, end));
    }
    if (kept) parts.push(bytes.subarray(at, end));
    at = end;
    if (marker === 0xda) break;
  }
  if (!frame) throw new PhotoError("The photo is damaged: it has no size.");
  if (frame.marker > 0xc2) throw new PhotoError("The photo is a JPEG of a kind that browsers do not read (lossless or arithmetic coding).");
  if (frame.depth !== 8) throw new PhotoError(`The photo is a JPEG of ${frame.depth} bits a colour; 8 are read.`);
  if (frame.colours === 4) {
    throw new PhotoError("The photo is a JPEG in CMYK, which browsers turn into other colours than EdgeFM's runtime.", "Save it anew in RGB.");
  }
  let last = bytes.length - 1;
  while (last > at && !(bytes[last - 1] === 0xff && bytes[last] === 0xd9)) last--;
  if (last <= at) throw new PhotoError("The photo is cut short.");
  parts.push(bytes.subarray(at));
  return {
    width: frame.width, height: frame.height, grey: frame.colours === 1, clean: new Blob(parts, { type: "image/jpeg" }),
    orientation: orientationOf(exif, xmp), profile: joinProfile(profile),  };
}

/* The pieces of a profile in their order; null where one is missing. */
function joinProfile(pieces) {
  if (!pieces.length) return null;
  const sorted = [...pieces].sort((one, other) => one[0] - other[0]);
  if (sorted.length !== sorted[0][1]) return null;
  const joined = new Uint8Array(sorted.reduce((sum, piece) => sum + piece.length - 2, 0));
  let to = 0;
  for (const piece of sorted) {
    joined.set(piece.subarray(2), to);
    to += piece.length - 2;
  }
  return joined;
}

/** A WebP without its metadata, and what these said. */
export function readWebp(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const kept = [];
  let exif = null, xmp = "", profile = null, clear = false, size = null;
  for (let at = 12; at + 8 <= bytes.length; ) {
    const kind = latin(bytes.subarray(at, at + 4)), length = view.getUint32(at + 4, true);
    const content = at + 8, end = content + length;
    if (end > bytes.length) throw new PhotoError("The photo is cut short.");
    if (kind === "ANIM" || kind === "ANMF") throw new PhotoError("The photo is an animated WebP.");
    if (kind === "EXIF") exif = bytes.subarray(begins(bytes, content, "Exif\0\0") ? content + 6 : content, end);
    else if (kind === "XMP ") xmp = latin(bytes.subarray(content, end));
    else if (kind === "ICCP") profile = bytes.slice(content, end);
    else if (kind === "VP8X") {
      clear ||= Boolean(bytes[content] & 0x10);
      size = { width: 1 + int24(bytes, content + 4), height: 1 + int24(bytes, content + 7) };
    } else {
      if (kind === "VP8L") {
        const bits = view.getUint32(content + 1, true);
        clear ||= Boolean((bits >>> 28) & 1);
        size ??= { width: 1 + (bits & 0x3fff), height: 1 + ((bits >>> 14) & 0x3fff) };
      } else if (kind === "VP8 ") {
        size ??= { width: view.getUint16(content + 6, true) & 0x3fff, height: view.getUint16(content + 8, true) & 0x3fff };
      }
      kept.push(bytes.subarray(at, end + (length & 1)));
    }
    at = end + (length & 1);
  }
  if (!size) throw new PhotoError("The photo is damaged: it has no size.");
  if (clear) {
    throw new PhotoError(
      "The photo is a WebP with transparency, which browsers round to other colours than EdgeFM's runtime.", "Save it anew as PNG.",
    );
  }
  const length = 4 + kept.reduce((sum, chunk) => sum + chunk.length, 0);
  const riff = new Uint8Array(12);
  riff.set([82, 73, 70, 70, length & 255, (length >> 8) & 255, (length >> 16) & 255, length >>> 24, 87, 69, 66, 80]);
  return {
    ...size, grey: false, clean: new Blob([riff, ...kept], { type: "image/webp" }),
    orientation: orientationOf(exif, xmp), profile,
  };
}

const int24 = (bytes, at) => bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16);

/** A GIF whose first image fills its screen. */
export function readGif(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const width = view.getUint16(6, true), height = view.getUint16(8, true);
  let at = 13 + (bytes[10] & 0x80 ? 3 << ((bytes[10] & 7) + 1) : 0);
  while (bytes[at] === 0x21) {
    at += 2;
    while (bytes[at]) at += bytes[at] + 1;
    at++;
  }
  if (bytes[at] !== 0x2c) throw new PhotoError("The photo is damaged or cut short.");
  const frame = [1, 3, 5, 7].map((offset) => view.getUint16(at + offset, true));
  if (frame[0] || frame[1] || frame[2] !== width || frame[3] !== height) {
    throw new PhotoError("The photo is a GIF whose first image does not fill it.");
  }
  return { width, height, grey: false, clean: new Blob([bytes], { type: "image/gif" }), orientation: 1, profile: null };
}

/** A BMP of a kind whose pixels every decoder reads in one way. */
export function readBmp(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const header = view.getUint32(14, true), bits = view.getUint16(28, true), packing = view.getUint32(30, true);
  if (header < 40 || packing || ![1, 4, 8, 24].includes(bits)) {
    throw new PhotoError(`The photo is a BMP of ${bits} bits a pixel, of a kind that is not read here.`);
  }
  return {
    width: view.getInt32(18, true), height: Math.abs(view.getInt32(22, true)), grey: false,
    clean: new Blob([bytes], { type: "image/bmp" }), orientation: 1, profile: null,  };
}
