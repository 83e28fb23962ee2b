/* Golden predictions: read `golden.npz`, replay its images, and compare, with the limits of `edgefm verify`. */

import { inflate, latin } from "./photo/png.js";

/* How far a device's predictions may be from the exporting machine's; integer kernels round in different places. */
const LEAST_AGREEMENT = { fp32: 0.9999, fp16: 0.999, int8: 0.95 };
const MOST_DIFFERENCE = { fp32: 1e-3, fp16: 0.05, int8: 0.25 };
const OUTPUT_DIFFERENCE = 1e-4;
const LEAST_COSINE = { fp16: 0.999, int8: 0.99 };
const TAIL = 0.025;

/* One array of NumPy's format 1.0, in C order. */
function parseArray(bytes, name) {
  const header = latin(bytes.subarray(10, 10 + bytes[8] + 256 * bytes[9]));
  const kind = /'descr': '([^']+)'/.exec(header)?.[1];
  const shape = /'shape': \(([^)]*)\)/.exec(header)?.[1].split(",").filter((part) => part.trim()).map(Number);
  const type = { "|u1": Uint8Array, "<f4": Float32Array }[kind];
  if (latin(bytes.subarray(1, 6)) !== "NUMPY" || !type || !shape || header.includes("'fortran_order': True")) {
    throw new Error(`golden.npz: ${name} is no array of bytes or 32-bit floats.`);
  }
  return { shape, data: new type(bytes.slice(10 + bytes[8] + 256 * bytes[9]).buffer) };
}

/** The arrays of an `.npz` file by their names. */
export async function readNpz(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let end = bytes.length - 22;
  while (end >= 0 && view.getUint32(end, true) !== 0x06054b50) end--;
  if (end < 0) throw new Error("golden.npz is no zip archive.");
  const arrays = {};
  let at = view.getUint32(end + 16, true);
  for (let entry = view.getUint16(end + 10, true); entry > 0; entry--) {
    const method = view.getUint16(at + 10, true), packed = view.getUint32(at + 20, true);
    const [nameLength, extraLength, commentLength] = [28, 30, 32].map((offset) => view.getUint16(at + offset, true));
    const start = view.getUint32(at + 42, true);
    const name = latin(bytes.subarray(at + 46, at + 46 + nameLength)).replace(/\.npy$/, "");
    const from = start + 30 + view.getUint16(start + 26, true) + view.getUint16(start + 28, true);
    const content = bytes.subarray(from, from + packed);
    arrays[name] = parseArray(method === 8 ? await inflate(content, "deflate-raw") : content, name);
    at += 46 + nameLength + extraLength + commentLength;
  }
  return arrays;
}

const rowsOf = ({ shape, data }) => {
  const size = data.length / shape[0];
  return [...Array(shape[0])].map((_, at) => data.subarray(at * size, (at + 1) * size));
};

function largestDifference(one, other) {
  let most = 0;
  for (let at = 0; at < one.length; at++) {
    const difference = Math.abs(one[at] - other[at]);
    if (!(difference <= most)) most = difference;
  }
  return most;
}

export const argmax = (row) => row.reduce((best, value, at) => (value > row[best] ? at : best), 0);

/* The chance of at most `hits` of `n` where each comes with chance `rate`. */
function chanceOfAtMost(n, hits, rate) {
  let chance = (1 - rate) ** n, sum = chance;
  for (let k = 1; k <= hits; k++) {
    chance *= ((n - k + 1) / k) * (rate / (1 - rate));
    sum += chance;
  }
  return sum;
}

/* Whether `agreeing` of `n` can be reconciled with a rate of `least`: the upper end of the exact binomial interval. */
const reaches = (n, agreeing, least, tail) => agreeing === n || chanceOfAtMost(n, agreeing, least) >= tail;

/* How many images agree; of a multi-label model, on the label on which the fewest do. */
function agreement(expected, found, thresholds) {
  if (!thresholds) return expected.filter((row, at) => argmax(row) === argmax(found[at])).length;
  return Math.min(...thresholds.map((threshold, label) =>
    expected.filter((row, at) => row[label] >= threshold === found[at][label] >= threshold).length));
}

function meanCosine(expected, found) {
  const cosines = expected.map((row, at) => {
    let product = 0, one = 0, other = 0, alike = true;
    row.forEach((value, index) => {
      product += value * found[at][index];
      one += value * value;
      other += found[at][index] ** 2;
      alike &&= value === found[at][index];
    });
    return alike ? 1 : product / (Math.sqrt(one) * Math.sqrt(other) || 1);
  });
  return cosines.reduce((sum, value) => sum + value, 0) / cosines.length;
}

/**
 * Replay the golden images in one batch and one by one.
 * @param run computes the outputs of images: `(pixels, count) => { name: Float32Array }`.
 * @returns the largest differences and the checks, see `Verification` in edgefm.d.ts.
 */
export async function replay(bytes, metadata, run, thresholds) {
  const golden = await readNpz(bytes);
  const images = rowsOf(golden.images), count = images.length;
  const extra = (metadata.extra_outputs ?? []).map((output) => output.name);
  const fixed = metadata.input.shape[0];
  const ways = fixed ? { batch: fixed } : { batch: count, single: 1 };
  const expected = rowsOf(golden.exported), original = rowsOf(golden.reference);
  const { precision } = metadata;
  const checks = [];
  let toExported = 0, toOriginal = 0, agreeing = count;
  for (const [way, size] of Object.entries(ways)) {
    const found = [], others = Object.fromEntries(extra.map((name) => [name, []]));
    for (let first = 0; first < count; first += size) {
      const part = images.slice(first, first + size);
      const outputs = await run(part, extra);
      found.push(...outputs.probabilities);
      for (const name of extra) others[name].push(...outputs[name]);
    }
    const difference = Math.max(...expected.map((row, at) => largestDifference(row, found[at])));
    const same = agreement(expected, found, thresholds);
    const tail = thresholds ? TAIL / thresholds.length : TAIL;
    toExported = Math.max(toExported, difference);
    toOriginal = Math.max(toOriginal, ...original.map((row, at) => largestDifference(row, found[at])));
    agreeing = Math.min(agreeing, same);
    checks.push(
      { name: `agreement_to_exported_${way}`, value: same / count, limit: LEAST_AGREEMENT[precision],
        passed: reaches(count, same, LEAST_AGREEMENT[precision], tail) },
      { name: `max_abs_diff_to_exported_${way}`, value: difference, limit: MOST_DIFFERENCE[precision],
        passed: difference <= MOST_DIFFERENCE[precision] },
    );
    if (way !== "batch") continue;
    for (const name of extra) {
      const rows = rowsOf(golden[`exported_${name}`]);
      if (precision === "fp32") {
        const value = Math.max(...rows.map((row, at) => largestDifference(row, others[name][at])));
        const largest = rows.reduce((most, row) => row.reduce((best, one) => Math.max(best, Math.abs(one)), most), 1);
        const limit = OUTPUT_DIFFERENCE * largest;
        checks.push({ name: `max_abs_diff_${name}_to_exported`, value, limit, passed: value <= limit });
      } else {
        const value = meanCosine(rows, others[name]);
        checks.push({ name: `mean_cosine_${name}_to_exported`, value, limit: LEAST_COSINE[precision], passed: value >= LEAST_COSINE[precision] });
      }
    }
  }
  return {
    passed: checks.every((check) => check.passed), n: count, agreement: agreeing / count,
    maxAbsDiff: toExported, maxAbsDiffToOriginal: toOriginal, checks,
  };
}
