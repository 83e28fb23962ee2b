import { UNKNOWN, element, listenForPhotos, percent, predictionRow, show } from "./photo_input.js";

const TOP = 5;
let token = "";

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

async function list() {
  try {
    const { models } = await ask("v2/models");
    element("model").replaceChildren(...models.map((name) => new Option(name, name)));
    element("token-row").hidden = true;
    show(null);
  } catch (error) { show(error); }
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
    element("rows").replaceChildren(...found.top.map((one) => predictionRow(one, found.rejected)));
    element("times").textContent = `${found.decode_ms} ms to decode, ${found.infer_ms} ms to predict.`;
    element("result").hidden = false;
    element("status").textContent = found.label === null ? UNKNOWN : `${found.label}, ${percent(found.score)}`;
  } catch (error) { show(error); }
}

function classifyCanvas(canvas) {
  canvas.toBlob((photo) => photo ? classify(photo) : show(new Error("The camera gave no photo.")), "image/png");
}

listenForPhotos(classify, classifyCanvas);
element("use-token").addEventListener("click", () => { token = element("token").value; list(); });
list();
