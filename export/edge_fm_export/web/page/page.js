import { ACCEPT, load } from "./edgefm.js";
import { showCard } from "./card.js";
import { UNKNOWN, element, listenForPhotos, percent, predictionRow, show } from "./photo_input.js";

const TOP = 5;
let classifier = null;
let last = null;

function draw(pixels) {
  const [height, width, channels] = classifier.metadata.input.shape.slice(1);
  const canvas = element("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  for (let at = 0; at < width * height; at++) {
    for (let colour = 0; colour < 3; colour++) image.data[4 * at + colour] = pixels[at * channels + (channels === 3 ? colour : 0)];
    image.data[4 * at + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}

function summary(found) {
  if (found.labels) return found.labels.length ? found.labels.map((one) => one.label).join(", ") : "No label reaches its threshold.";
  return found.label === null ? UNKNOWN : `${found.label}, ${percent(found.score)}`;
}

async function classify(photo) {
  show(null);
  last = photo;
  element("status").textContent = "Classifying …";
  await new Promise((resolve) => setTimeout(resolve));
  try {
    const minScore = element("reject").checked ? "auto" : null;
    const found = await classifier.classify(photo, { topK: TOP, minScore });
    if (photo !== last) return;
    const applying = found.labels && new Set(found.labels.map((one) => one.index));
    draw(found.canvas);
    element("rows").replaceChildren(...found.top.map((one) => predictionRow(one, found.rejected || (applying && !applying.has(one.index)))));
    element("times").textContent = `${found.decodeMs.toFixed(1)} ms to decode, ${found.inferMs.toFixed(1)} ms to predict.`;
    element("result").hidden = false;
    element("status").textContent = summary(found);
    globalThis.firstPredictionMs ??= performance.now();
  } catch (error) {
    if (photo === last) show(error);
  }
}

function classifyCanvas(canvas) {
  classify(canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height));
}

async function verify() {
  const button = element("verify");
  button.disabled = true;
  element("verdict").textContent = "Replaying golden predictions …";
  element("verdict").className = "";
  await new Promise((resolve) => setTimeout(resolve));
  try {
    const found = await classifier.verify();
    globalThis.lastVerification = found;
    element("verdict").textContent = `${found.passed ? "Passed" : "FAILED: do not rely on this model here"}. ` +
      `${found.n} golden predictions: ${percent(found.agreement)} have the same class; the largest difference of a probability ` +
      `is ${found.maxAbsDiff.toExponential(1)} from the machine that exported it, ${found.maxAbsDiffToOriginal.toExponential(1)} from the original.`;
    element("verdict").className = found.passed ? "" : "failed";
    element("check-rows").replaceChildren(...found.checks.map((check) => {
      const line = document.createElement("tr");
      for (const text of [check.name, check.value.toPrecision(3), check.limit.toPrecision(3), check.passed ? "passed" : "FAILED"]) {
        const cell = document.createElement("td");
        // Narrow windows break names at their underscores.
        text.split(/(?<=_)/).forEach((part, at) => cell.append(...(at ? [document.createElement("wbr"), part] : [part])));
        line.append(cell);
      }
      return line;
    }));
    element("checks").hidden = false;
  } catch (error) {
    element("verdict").textContent = error.message || String(error);
    element("verdict").className = "failed";
  } finally {
    button.disabled = false;
  }
}

function listen() {
  listenForPhotos(classify, classifyCanvas);
  element("verify").addEventListener("click", verify);
  element("reject").addEventListener("change", () => { if (last) classify(last); });
}

async function keepOffline() {
  const note = element("offline");
  if (!("serviceWorker" in navigator)) {
    note.textContent = "This address cannot be used without network: a browser keeps pages of https or localhost alone.";
    return;
  }
  try {
    const registration = await navigator.serviceWorker.register("sw.js");
    registration.installing?.addEventListener("statechange", (event) => {
      if (event.target.state === "redundant" && !registration.active) {
        note.textContent = "This page is not kept for use without network: a file is missing on the host, or is not the one that was exported.";
      }
    });
    registration.addEventListener("updatefound", () => {
      if (navigator.serviceWorker.controller) note.textContent = "A newer version was found; it is used once all windows of this page are closed.";
    });
    const { active } = await navigator.serviceWorker.ready;
    active.postMessage({ used: classifier.backend });
    if (!note.textContent) note.textContent = "This page is kept in the browser and works without network.";
  } catch (error) {
    note.textContent = `This page is not kept for use without network: ${error.message}`;
  }
}

async function start() {
  element("file").accept = ACCEPT;
  try {
    classifier = await load();
  } catch (error) { show(error); return; }
  const { metadata } = classifier;
  document.title = `${metadata.name}: classify a photo`;
  element("model").textContent = metadata.name;
  element("backend").textContent = classifier.backend === "webgpu" ? "Runs on WebGPU." :
    `Runs on WebAssembly with ${classifier.threads === 1 ? "one thread" : `${classifier.threads} threads`}. ${classifier.note ?? ""}`;
  element("reject-row").hidden = typeof metadata.scores?.rejection?.threshold !== "number" || metadata.task === "multi-label";
  const [height, width] = metadata.input.shape.slice(1);
  element("status").textContent = classifier.takesPhotos ? "" :
    `This model takes images of exactly ${width} x ${height} pixels here: it finds the object in a photo, which this page cannot do as EdgeFM's runtime does. ` +
    "For photos of any size, export it again: edgefm export --format web --photo fit";
  element("camera").hidden = !classifier.takesPhotos;
  element("file").disabled = element("camera").disabled = element("verify").disabled = false;
  listen();
  document.body.dataset.ready = "1";
  fetch("README.md").then((response) => response.text()).then((text) => showCard(element("card"), text)).catch(() => {});
  keepOffline();
}

start();
