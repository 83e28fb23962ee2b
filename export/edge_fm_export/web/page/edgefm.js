/* Classify photos in a browser with the model of this folder; see edgefm.d.ts for the types.

     import { load } from "./edgefm.js";
     const classifier = await load();
     const { label, score } = await classifier.classify(file);
*/

import { replay } from "./golden.js";
import { supports } from "./photo/canvas.js";
import { PhotoError } from "./photo/errors.js";
import { ACCEPT, loadCanvas } from "./photo/photo.js";

export { ACCEPT, PhotoError };

const SCHEMA_VERSION = 1;
const DEFAULT_THRESHOLD = 0.5;
const WASM = { module: "ort/ort.wasm.min.js", loader: "ort/ort-wasm-simd-threaded.js", binary: "ort/ort-wasm-simd-threaded.wasm" };
const WEBGPU = {
  module: "ort/ort.webgpu.min.js", loader: "ort/ort-wasm-simd-threaded.asyncify.js", binary: "ort/ort-wasm-simd-threaded.asyncify.wasm",
};

/* SHA-256 in hexadecimal digits as an integrity attribute has it. */
const integrityOf = (hex) => `sha256-${btoa(String.fromCharCode(...hex.match(/../g).map((pair) => parseInt(pair, 16))))}`;

class Folder {
  constructor(address, metadata) {
    this.address = address;
    this.metadata = metadata;
  }

  url(name) {
    return new URL(name, this.address).href;
  }

  /* The bytes of a file, if they are those that edgefm.json lists. */
  async bytes(name) {
    const entry = this.metadata.files[name];
    if (!entry) throw new Error(`edgefm.json lists no file ${name}. Export the model again: edgefm export --format web`);
    let response;
    try {
      response = await fetch(this.url(name), { integrity: integrityOf(entry.sha256) });
    } catch (error) {
      const there = await fetch(this.url(name)).catch(() => null);
      if (!there?.ok) throw new Error(`${name} cannot be fetched (${there ? `status ${there.status}` : error.message}).`);
      throw new Error(`${name} is not the file that edgefm.json lists: it was changed, or is of another version. Copy the folder again.`);
    }
    if (!response.ok) throw new Error(`${name} cannot be fetched (status ${response.status}).`);
    return new Uint8Array(await response.arrayBuffer());
  }
}

async function readMetadata(address) {
  const response = await fetch(new URL("edgefm.json", address), { cache: "no-cache" }).catch((error) => {
    throw new Error(`edgefm.json cannot be fetched from ${address} (${error.message}).`);
  });
  if (!response.ok) throw new Error(`edgefm.json cannot be fetched from ${address} (status ${response.status}).`);
  const metadata = await response.json();
  if (metadata.schema_version > SCHEMA_VERSION || metadata.format !== "web") {
    throw new Error(`edgefm.json is of format ${metadata.format}, version ${metadata.schema_version}; this module reads web, version ${SCHEMA_VERSION}.`);
  }
  return metadata;
}

/* Threads need memory that they share, which a browser gives to pages with certain headers alone, and workers, which it
   starts from the page's own origin alone. */
function threadsFor(wanted, address) {
  const possible = globalThis.crossOriginIsolated && new URL(address).origin === location.origin;
  if (wanted !== undefined && (!Number.isInteger(wanted) || wanted < 1)) throw new RangeError(`threads is ${wanted}; it is a whole number from 1 on.`);
  if (!possible) {
    if (wanted > 1) throw new Error(`${wanted} threads were asked for, but this page is not cross-origin isolated: it has one.`);
    return 1;
  }
  return wanted ?? Math.max(1, Math.min(4, Math.ceil((navigator.hardwareConcurrency || 2) / 2)));
}

async function openSession(folder, files, provider, threads, model) {
  const ort = await import(folder.url(files.module));
  ort.env.wasm.numThreads = threads;
  ort.env.wasm.wasmPaths = { mjs: folder.url(files.loader), wasm: folder.url(files.binary) };
  ort.env.wasm.wasmBinary = await folder.bytes(files.binary);
  ort.env.logLevel = "error";
  const session = await ort.InferenceSession.create(model, { executionProviders: [provider] });
  return { ort, session };
}

class Classifier {
  #folder;
  #ort;
  #session;
  #queue = Promise.resolve();
  #closed = false;

  constructor(folder, opened, facts) {
    this.#folder = folder;
    this.#ort = opened.ort;
    this.#session = opened.session;
    Object.assign(this, facts);
    this.metadata = folder.metadata;
    this.labels = folder.metadata.labels;
  }

  get takesPhotos() {
    return supports(this.metadata.photo.mode);
  }

  /* Runs of one session go one after another: ONNX Runtime Web takes one at a time. */
  #run(images, outputs) {
    if (this.#closed) throw new Error("The classifier was closed.");
    const { shape, name } = this.metadata.input;
    const batch = shape[0] ?? images.length;
    const size = images[0].length;
    const pixels = new Uint8Array(batch * size);
    for (let at = 0; at < batch; at++) pixels.set(images[Math.min(at, images.length - 1)], at * size);
    const turn = this.#queue.then(async () => {
      const input = new this.#ort.Tensor("uint8", pixels, [batch, ...shape.slice(1)]);
      const found = await this.#session.run({ [name]: input }, ["probabilities", ...outputs]);
      const rows = {};
      for (const output of ["probabilities", ...outputs]) {
        const values = await found[output].getData();
        const length = values.length / batch;
        rows[output] = images.map((_, at) => values.slice(at * length, (at + 1) * length));
      }
      input.dispose();
      for (const value of Object.values(found)) value.dispose();
      return rows;
    });
    this.#queue = turn.catch(() => {});
    return turn;
  }

  #thresholds() {
    if (this.metadata.task !== "multi-label") return null;
    return this.metadata.scores?.label_thresholds?.values ?? this.labels.map(() => DEFAULT_THRESHOLD);
  }

  canvas(photo) {
    return loadCanvas(photo, this.metadata.input.shape.slice(1), this.metadata.photo);
  }

  async run(pixels, outputs = []) {
    const size = this.metadata.input.shape.slice(1).reduce((product, side) => product * side, 1);
    const count = pixels.length / size;
    const fixed = this.metadata.input.shape[0];
    if (!(pixels instanceof Uint8Array) || count < 1 || !Number.isInteger(count) || (fixed && count > fixed)) {
      throw new TypeError(`The model takes a Uint8Array of ${fixed ? `up to ${fixed}` : "any number of"} images of ${size} bytes each.`);
    }
    const images = [...Array(count)].map((_, at) => pixels.subarray(at * size, (at + 1) * size));
    const rows = await this.#run(images, outputs);
    return Object.fromEntries(Object.entries(rows).map(([name, parts]) => {
      const joined = new Float32Array(parts.length * parts[0].length);
      parts.forEach((part, at) => joined.set(part, at * part.length));
      return [name, joined];
    }));
  }

  async predict(pixels) {
    return (await this.run(pixels)).probabilities;
  }

  async classify(photo, { topK = 1, minScore = null, outputs = [] } = {}) {
    if (!Number.isInteger(topK) || topK < 1) throw new RangeError(`topK is ${topK}; a photo gets at least one class.`);
    const known = (this.metadata.extra_outputs ?? []).map((output) => output.name);
    const unknown = outputs.filter((name) => !known.includes(name));
    if (unknown.length) throw new Error(`The model has no output ${unknown.join(", ")}; it has ${known.join(", ") || "probabilities alone"}.`);
    const least = this.#leastScore(minScore);
    const start = performance.now();
    const canvas = await this.canvas(photo);
    const decoded = performance.now();
    const found = await this.#run([canvas], outputs);
    const inferred = performance.now();
    const row = found.probabilities[0];
    if (row.some((value) => !Number.isFinite(value))) throw new Error("The model computes no probabilities here (NaN).");
    const order = [...row.keys()].sort((one, other) => row[other] - row[one] || one - other);
    const predictions = order.map((index) => ({ label: this.labels[index], index, score: row[index] }));
    const thresholds = this.#thresholds();
    const labels = thresholds ? predictions.filter(({ index, score }) => score >= thresholds[index]) : null;
    const rejected = least === null ? null : predictions[0].score < least;
    const label = labels ? labels[0]?.label ?? null : rejected ? null : predictions[0].label;
    return {
      label, index: predictions[0].index, score: predictions[0].score, top: predictions.slice(0, topK), labels, rejected,
      outputs: Object.fromEntries(outputs.map((name) => [name, found[name][0]])), canvas,
      decodeMs: decoded - start, inferMs: inferred - decoded,
    };
  }

  #leastScore(wanted) {
    if (wanted === null) return null;
    if (this.metadata.task === "multi-label") throw new Error("This is a multi-label model: each label has a threshold of its own. Leave minScore out.");
    if (wanted !== "auto") {
      if (!(wanted >= 0 && wanted <= 1)) throw new RangeError(`minScore is ${wanted}; it is a number from 0 to 1, or "auto".`);
      return wanted;
    }
    const recorded = this.metadata.scores?.rejection?.threshold;
    if (typeof recorded !== "number") throw new Error('The model records no threshold for scores, which "auto" needs. Give a number from 0 to 1.');
    return recorded;
  }

  async verify() {
    const bytes = await this.#folder.bytes("golden.npz");
    return replay(bytes, this.metadata, (images, outputs) => this.#run(images, outputs), this.#thresholds());
  }

  async close() {
    if (this.#closed) return;
    this.#closed = true;
    await this.#queue;
    await this.#session.release();
  }
}

async function onWebGpu(folder, model) {
  if (folder.metadata.precision === "int8") throw new Error("int8 is computed on WebAssembly alone");
  if (!folder.metadata.files[WEBGPU.binary]) throw new Error("this folder holds no files for WebGPU");
  const adapter = await navigator.gpu?.requestAdapter();
  if (!adapter) throw new Error("the browser offers no WebGPU adapter");
  const opened = await openSession(folder, WEBGPU, "webgpu", 1, model);
  const classifier = new Classifier(folder, opened, { backend: "webgpu", threads: 1, note: null });
  const verification = await classifier.verify().catch((error) => ({ passed: false, checks: [], message: error.message }));
  if (verification.passed) return classifier;
  await classifier.close();
  const failed = verification.checks.find((check) => !check.passed);
  throw new Error(failed ? `its predictions are others there: ${failed.name} is ${failed.value}, the limit ${failed.limit}` : verification.message);
}

/** Open the model of a folder that `edgefm export --format web` wrote. */
export async function load({ folder: place = "./", backend = "auto", threads } = {}) {
  if (!["auto", "wasm", "webgpu"].includes(backend)) throw new RangeError(`backend is ${backend}; it is "auto", "wasm" or "webgpu".`);
  const address = new URL(place, import.meta.url).href.replace(/[^/]*$/, "");
  const folder = new Folder(address, await readMetadata(address));
  const model = await folder.bytes(folder.metadata.payload);
  let note = null;
  if (backend !== "wasm") {
    try {
      return await onWebGpu(folder, model);
    } catch (error) {
      if (backend === "webgpu") throw new Error(`The model does not run on WebGPU: ${error.message}.`);
      note = `Not on WebGPU: ${error.message}.`;
    }
  }
  const count = threadsFor(threads, address);
  const opened = await openSession(folder, WASM, "wasm", count, model);
  return new Classifier(folder, opened, { backend: "wasm", threads: count, note });
}

let shared = null;

/** Classify one photo with the model of this folder, which is opened once. */
export async function classify(photo, options) {
  shared ??= load().catch((error) => {
    shared = null;
    throw error;
  });
  return (await shared).classify(photo, options);
}

