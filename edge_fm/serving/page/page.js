"use strict";
const element = (id) => document.getElementById(id);
const TOP = 5;
let token = "";
let stream = null;

async function ask(address, options = {}) {
  const headers = { ...(options.headers || {}) };
  if (token) headers.Authorization = `Bearer ${token}`;
  const response = await fetch(address, { ...options, headers });
  let answer = {};
  try { answer = await response.json(); } catch { /* an error without a body */ }
  if (response.status === 401) element("token-row").hidden = false;
  if (!response.ok) throw new Error(answer.error || `The server answered with status ${response.status}.`);
  return answer;
}

function show(error) {
  element("status").textContent = "";
  element("error").textContent = error ? error.message || String(error) : "";
  if (error) element("result").hidden = true;
}

async function list() {
  try {
    const { models } = await ask("v2/models");
    element("model").replaceChildren(...models.map((name) => new Option(name, name)));
    element("token-row").hidden = true;
    show(null);
  } catch (error) { show(error); }
}

function row(prediction) {
  const line = document.createElement("tr");
  const name = document.createElement("th");
  name.scope = "row";
  name.textContent = prediction.label;
  const cell = document.createElement("td");
  const meter = document.createElement("meter");
  meter.max = 1;
  meter.value = prediction.score;
  meter.setAttribute("aria-hidden", "true");
  cell.append(meter, `${(100 * prediction.score).toFixed(1)} %`);
  line.append(name, cell);
  return line;
}

async function classify(photo) {
  show(null);
  element("status").textContent = "Classifying …";
  try {
    const model = encodeURIComponent(element("model").value);
    const answer = await ask(`v2/models/${model}/classify?top_k=${TOP}&canvas=1`, {
      method: "POST", body: photo, headers: { "Content-Type": photo.type || "application/octet-stream" },
    });
    const found = answer.predictions[0];
    element("canvas").src = found.canvas;
    element("rows").replaceChildren(...found.top.map(row));
    element("times").textContent = `${found.decode_ms} ms to decode, ${found.infer_ms} ms to predict.`;
    element("result").hidden = false;
    element("status").textContent = found.label === null
      ? "Unknown: the best score is below the threshold." : `${found.label}, ${(100 * found.score).toFixed(1)} %`;
  } catch (error) { show(error); }
}

async function camera() {
  show(null);
  try {
    if (!navigator.mediaDevices) throw new Error("The browser gives no camera to this address; it needs https or localhost.");
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    element("video").srcObject = stream;
    element("video").hidden = element("take").hidden = false;
    element("take").focus();
  } catch (error) { show(error); }
}

async function take() {
  const video = element("video");
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext("2d").drawImage(video, 0, 0);
  stream.getTracks().forEach((track) => track.stop());
  video.hidden = element("take").hidden = true;
  canvas.toBlob((photo) => photo ? classify(photo) : show(new Error("The camera gave no photo.")), "image/png");
}

const drop = element("drop");
for (const kind of ["dragenter", "dragover"]) {
  drop.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.add("over"); });
}
drop.addEventListener("dragleave", () => drop.classList.remove("over"));
drop.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  if (event.dataTransfer.files.length) classify(event.dataTransfer.files[0]);
});
element("file").addEventListener("change", (event) => {
  if (event.target.files.length) classify(event.target.files[0]);
});
element("camera").addEventListener("click", camera);
element("take").addEventListener("click", take);
element("use-token").addEventListener("click", () => { token = element("token").value; list(); });
list();
