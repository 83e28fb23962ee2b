/* Convert RGB with a colour profile of three curves and a matrix (Display P3, Adobe RGB and the like) to sRGB, in the
   fixed point of LittleCMS's matrix shaper, which the runtime's Pillow uses. */

import { PhotoError } from "./errors.js";
import { latin } from "./png.js";

const ONE = 16384;
/* sRGB's colorants in the profile connection space, adapted from D65 (0.3127, 0.3290) to D50 by Bradford. */
const SRGB = { white: [0.3127, 0.329], red: [0.64, 0.33], green: [0.3, 0.6], blue: [0.15, 0.06] };
const BRADFORD = [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]];
const D50 = [0.9642, 1, 0.8249];

const multiply = (one, other) => one.map((row) => other[0].map((_, at) => row.reduce((sum, value, k) => sum + value * other[k][at], 0)));
const apply = (matrix, vector) => matrix.map((row) => row.reduce((sum, value, k) => sum + value * vector[k], 0));

function invert([[a, b, c], [d, e, f], [g, h, i]]) {
  const det = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g);
  return [
    [(e * i - f * h) / det, (c * h - b * i) / det, (b * f - c * e) / det],
    [(f * g - d * i) / det, (a * i - c * g) / det, (c * d - a * f) / det],
    [(d * h - e * g) / det, (b * g - a * h) / det, (a * e - b * d) / det],
  ];
}

function srgbColorants() {
  const xyz = ([x, y]) => [x / y, 1, (1 - x - y) / y];
  const points = [SRGB.red, SRGB.green, SRGB.blue].map(([x, y]) => [x, y, 1 - x - y]);
  const primaries = [0, 1, 2].map((row) => points.map((point) => point[row]));
  const white = xyz(SRGB.white);
  const strength = apply(invert(primaries), white);
  const native = primaries.map((row) => row.map((value, at) => value * strength[at]));
  const from = apply(BRADFORD, white), to = apply(BRADFORD, D50);
  const scaling = [0, 1, 2].map((row) => [0, 1, 2].map((at) => (row === at ? to[at] / from[at] : 0)));
  return multiply(multiply(multiply(invert(BRADFORD), scaling), BRADFORD), native);
}

const fixed = (view, at) => view.getInt32(at) / 65536;

/* A tone curve as a function of 0..1; null for a kind that is not known here. */
function curveOf(bytes, at) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const kind = latin(bytes.subarray(at, at + 4));
  if (kind === "curv") {
    const count = view.getUint32(at + 8);
    if (count === 0) return (x) => x;
    if (count === 1) {
      const gamma = view.getUint16(at + 12) / 256;
      return (x) => x ** gamma;
    }
    return (x) => {
      const place = Math.min(Math.max(x, 0), 1) * (count - 1);
      const low = Math.min(Math.floor(place), count - 2);
      const [one, other] = [view.getUint16(at + 12 + 2 * low), view.getUint16(at + 14 + 2 * low)];
      return (one + (other - one) * (place - low)) / 65535;
    };
  }
  if (kind !== "para") return null;
  const type = view.getUint16(at + 8);
  if (type > 4) return null;
  const [g, a = 1, b = 0, c = 0, d = 0, e = 0, f = 0] = [...Array([1, 3, 4, 5, 7][type])].map((_, i) => fixed(view, at + 12 + 4 * i));
  const power = (x) => Math.max(a * x + b, 0) ** g;
  switch (type) {
    case 0: return (x) => x ** g;
    case 1: return (x) => (x >= -b / a ? power(x) : 0);
    case 2: return (x) => (x >= -b / a ? power(x) + c : c);
    case 3: return (x) => (x >= d ? power(x) : c * x);
    default: return (x) => (x >= d ? power(x) + e : c * x + f);
  }
}

const encode = (x) => (x <= 0.0031308 ? 12.92 * x : 1.055 * x ** (1 / 2.4) - 0.055);

/**
 * What a photo's colour profile asks for.
 * @returns {((data: Uint8Array) => void) | null} converts pixels in place; null where there is nothing to convert, as
 *   for sRGB, or a profile that is broken or of another colour space, which the runtime leaves out, too.
 */
export function conversion(profile, grey) {
  if (!profile || profile.length < 132) return null;
  const text = latin(profile);
  if (text.includes("sRGB") || text.includes("\0s\0R\0G\0B")) return null;
  const space = text.slice(16, 20);
  if (text.slice(36, 40) !== "acsp" || space !== (grey ? "GRAY" : "RGB ")) return null;
  const refused = new PhotoError("The photo has a colour profile that is not read here.", "Save it anew in sRGB.");
  if (grey || text.slice(20, 24) !== "XYZ ") throw refused;
  const view = new DataView(profile.buffer, profile.byteOffset, profile.byteLength);
  const tags = new Map();
  for (let tag = 0; tag < view.getUint32(128); tag++) {
    const at = 132 + 12 * tag;
    if (at + 12 > profile.length) return null;
    tags.set(text.slice(at, at + 4), view.getUint32(at + 4));
  }
  if (["A2B0", "A2B1", "D2B0", "D2B1"].some((name) => tags.has(name))) throw refused;
  const places = ["rXYZ", "gXYZ", "bXYZ", "rTRC", "gTRC", "bTRC"].map((name) => tags.get(name));
  if (places.some((at) => at === undefined || at + 20 > profile.length)) throw refused;
  const columns = places.slice(0, 3).map((at) => [8, 12, 16].map((offset) => fixed(view, at + offset)));
  const colorants = [0, 1, 2].map((row) => columns.map((column) => column[row]));
  const curves = places.slice(3).map((at) => curveOf(profile, at));
  if (curves.some((curve) => curve === null)) throw refused;
  return shaper(curves, multiply(invert(srgbColorants()), colorants));
}

function shaper(curves, matrix) {
  const linear = curves.map((curve) => Int32Array.from({ length: 256 }, (_, at) => Math.floor(curve(Math.fround(at / 255)) * ONE + 0.5)));
  const coded = Uint8Array.from({ length: ONE + 1 }, (_, at) => {
    const word = Math.floor(Math.min(Math.max(encode(at / ONE), 0), 1) * 65535 + 0.5);
    return Math.floor((word * 65281 + 8388608) / 16777216);
  });
  const parts = matrix.map((row) => row.map((value) => Math.floor(value * ONE + 0.5)));
  return (data) => {
    for (let at = 0; at < data.length; at += 3) {
      const red = linear[0][data[at]], green = linear[1][data[at + 1]], blue = linear[2][data[at + 2]];
      for (let colour = 0; colour < 3; colour++) {
        const [a, b, c] = parts[colour];
        const value = (a * red + b * green + c * blue + 0x2000) >> 14;
        data[at + colour] = coded[value < 0 ? 0 : value > ONE ? ONE : value];
      }
    }
  };
}
