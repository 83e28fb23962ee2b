/* What the page in the browser and the server's page have in common: a photo from a file, by dropping it or from the camera,
   errors, and a row of the table of predictions. */

export const element = (id) => document.getElementById(id);
export const percent = (share) => `${(100 * share).toFixed(1)} %`;
export const UNKNOWN = "Unknown: the best score is below the threshold.";

/** Shows an error in place of the last result; null removes the one that stands there. */
export function show(error) {
  element("status").textContent = "";
  element("error").textContent = error ? error.message || String(error) : "";
  if (error) element("result").hidden = true;
}

/** A row of the table: the class and its score as a bar; `below` where it is not given as a label. */
export function predictionRow({ label, score }, below = false) {
  const line = document.createElement("tr");
  const name = document.createElement("th");
  name.scope = "row";
  const text = document.createElement("bdi");
  text.textContent = label;
  name.append(text);
  const cell = document.createElement("td");
  const meter = document.createElement("meter");
  meter.max = 1;
  meter.value = score;
  meter.setAttribute("aria-hidden", "true");
  cell.append(meter, percent(score));
  line.append(name, cell);
  if (below) line.className = "below";
  return line;
}

let stream = null;

function stopCamera() {
  stream?.getTracks().forEach((track) => track.stop());
  stream = null;
  element("video").hidden = element("take").hidden = element("stop").hidden = true;
}

async function startCamera() {
  show(null);
  try {
    if (!navigator.mediaDevices) throw new Error("The browser gives no camera to this address; it needs https or localhost.");
    stopCamera();
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    element("video").srcObject = stream;
    element("video").hidden = element("take").hidden = element("stop").hidden = false;
    element("take").focus();
  } catch (error) { show(error); }
}

function takePhoto(classify) {
  const video = element("video");
  if (!video.videoWidth) { show(new Error("The camera gives no picture yet.")); return; }
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext("2d", { willReadFrequently: true }).drawImage(video, 0, 0);
  stopCamera();
  classify(canvas);
}

/** Calls `classifyFile` with each file that is chosen or dropped, and `classifyCanvas` with each photo of the camera. */
export function listenForPhotos(classifyFile, classifyCanvas) {
  const drop = element("drop");
  for (const kind of ["dragenter", "dragover"]) {
    drop.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.add("over"); });
  }
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    if (event.dataTransfer.files.length) classifyFile(event.dataTransfer.files[0]);
  });
  element("file").addEventListener("change", (event) => {
    if (event.target.files.length) classifyFile(event.target.files[0]);
  });
  element("camera").addEventListener("click", startCamera);
  element("take").addEventListener("click", () => takePhoto(classifyCanvas));
  element("stop").addEventListener("click", stopCamera);
}
