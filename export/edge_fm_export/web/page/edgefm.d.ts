/** A photo: a file, or pixels that are upright sRGB. */
export type Photo =
  | Blob | ArrayBuffer | Uint8Array
  | ImageData | ImageBitmap | HTMLCanvasElement | OffscreenCanvas | HTMLVideoElement;

/** One class and its probability, 0 to 1. */
export interface Prediction { label: string; index: number; score: number }

/** The result for one photo. */
export interface Classification {
  /** Of the most probable class; null where the photo is rejected, or no label of a multi-label model applies. */
  label: string | null;
  index: number;
  score: number;
  /** The most probable classes, best first. */
  top: Prediction[];
  /** Of a multi-label model, the labels whose score reaches their threshold, best first; else null. */
  labels: Prediction[] | null;
  /** Whether the best score is below `minScore`; null where none was asked for. */
  rejected: boolean | null;
  /** What was asked for beside the probabilities, such as "embedding". */
  outputs: Record<string, Float32Array>;
  /** What the model saw: height x width x channels bytes. */
  canvas: Uint8Array;
  decodeMs: number;
  inferMs: number;
}

export interface ClassifyOptions {
  /** How many classes to return; 1 by default. */
  topK?: number;
  /** A photo whose best score is below this gets no label; "auto" for the threshold that the model records. */
  minScore?: number | "auto" | null;
  /** Names of outputs beside the probabilities; the model was exported with `--outputs`. */
  outputs?: string[];
}

export interface Check { name: string; value: number; limit: number; passed: boolean }

/** Golden predictions, replayed in this browser. */
export interface Verification {
  passed: boolean;
  /** Images. */
  n: number;
  /** Share of images with the predicted class of the machine that exported the model. */
  agreement: number;
  /** Largest difference of a probability from that machine's. */
  maxAbsDiff: number;
  /** Largest difference of a probability from the original model's. */
  maxAbsDiffToOriginal: number;
  checks: Check[];
}

export interface Classifier {
  /** edgefm.json, as it is. */
  readonly metadata: any;
  readonly labels: string[];
  readonly backend: "wasm" | "webgpu";
  readonly threads: number;
  /** Why WebGPU was not used; null where it was, or was not asked for. */
  readonly note: string | null;
  /** Whether photos of any size are taken; else images of exactly the model's size. */
  readonly takesPhotos: boolean;
  classify(photo: Photo, options?: ClassifyOptions): Promise<Classification>;
  /** What the model sees of a photo: height x width x channels bytes. */
  canvas(photo: Photo): Promise<Uint8Array>;
  /** The probabilities of pixels that are of the model's size already: one image, or several in one batch. */
  predict(pixels: Uint8Array): Promise<Float32Array>;
  /** The same with outputs beside the probabilities, by their names. */
  run(pixels: Uint8Array, outputs?: string[]): Promise<Record<string, Float32Array>>;
  /** Replay the golden predictions. */
  verify(): Promise<Verification>;
  /** Release the model. */
  close(): Promise<void>;
}

export interface LoadOptions {
  /** Address of the folder, relative to this module; its own by default. */
  folder?: string | URL;
  /** "auto" takes WebGPU where there is an adapter and the golden predictions pass on it, else WebAssembly. */
  backend?: "auto" | "wasm" | "webgpu";
  /** Threads of WebAssembly; more than one where the page is cross-origin isolated. */
  threads?: number;
}

/** A photo that cannot be read here; its message says what to do. */
export class PhotoError extends Error {}

/** The media types that `classify` reads, for the `accept` attribute of a file input. */
export const ACCEPT: string;

/** Open the model of a folder that `edgefm export --format web` wrote. */
export function load(options?: LoadOptions): Promise<Classifier>;

/** Classify one photo with the model of this folder, which is opened once. */
export function classify(photo: Photo, options?: ClassifyOptions): Promise<Classification>;
