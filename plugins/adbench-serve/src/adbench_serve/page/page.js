// The page: images go to the server one after the other, and what it answers is shown.
import { pictureOf, stopCamera, toggleCamera } from "./camera.js";
import { add, chosenThreshold, move, redraw, verdict } from "./history.js";

const part = (id) => document.getElementById(id);
const number = (value) => (value === null ? "none" : value.toPrecision(4));
const tell = (sentence) => { part("message").textContent = sentence; };

function request() {
  const token = part("token").value;
  return { headers: token ? { Authorization: `Bearer ${token}` } : {} };
}

async function answered(response) {
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.detail);
  return answer;
}

async function findDetectors() {
  const response = await fetch("v1/detectors", request());
  if (!response.ok) return;
  const names = (await response.json()).map((detector) => detector.name);
  const wanted = new URLSearchParams(location.search).get("detector");
  part("detector").replaceChildren(...names.map((name) => new Option(name, name, false, name === wanted)));
  part("choice").hidden = names.length < 2;
}

async function asked(file) {
  const form = new FormData();
  form.append("image", file);
  const query = new URLSearchParams({ heatmap: "true", explain: "true" });
  const detector = part("detector").value || new URLSearchParams(location.search).get("detector");
  if (detector) query.set("detector", detector);
  const answer = await answered(await fetch(`v1/predict?${query}`, { method: "POST", body: form, ...request() }));
  return { ...answer.predictions[0], detector: answer.detector };
}

function picture(image, box, content) {
  part(box).hidden = content === null;
  if (content !== null) part(image).src = `data:image/png;base64,${content}`;
}

function show(entry) {
  const { prediction } = entry;
  const [word, kind] = verdict(entry);
  part("result").textContent = word;
  part("result").className = kind;
  part("name").textContent = prediction.file;
  for (const name of ["score", "p_value", "threshold"]) part(name).textContent = number(prediction[name]);
  part("notes").replaceChildren(...prediction.notes.map((note) => Object.assign(document.createElement("li"), { textContent: note })));
  part("image").src = entry.url;
  picture("heatmap", "heatmap", prediction.heatmap);
  picture("nearest", "explanation", prediction.explanation?.picture ?? null);
  part("answer").hidden = part("past").hidden = false;
}

async function score(files) {
  const failed = [];
  for (const [index, file] of files.entries()) {
    tell(files.length > 1 ? `Image ${index + 1} of ${files.length} is scored.` : "The image is scored.");
    try {
      add(file, await asked(file));
      redraw(show);
    } catch (error) {
      failed.push(error.message);
    }
  }
  tell(failed.join(" "));
}

async function camera() {
  const [on, sentence] = await toggleCamera(part("video"));
  part("take").hidden = part("video").hidden = !on;
  part("camera").setAttribute("aria-pressed", String(on));
  tell(sentence);
}

async function take() {
  if (!part("take").hidden) score([await pictureOf(part("video"))]);
}

function toggleHeatmap() {
  part("opacity").value = Number(part("opacity").value) ? 0 : 0.7;
  part("opacity").dispatchEvent(new Event("input"));
}

const KEYS = {
  o: () => part("file").click(),
  c: camera,
  t: take,
  h: toggleHeatmap,
  ArrowLeft: () => move(-1, show),
  ArrowRight: () => move(1, show),
};

document.addEventListener("keydown", (event) => {
  const typing = event.target.matches("input:not([type=file]), select");
  if (typing || event.ctrlKey || event.metaKey || event.altKey || !(event.key in KEYS)) return;
  event.preventDefault();
  KEYS[event.key]();
});

const drop = part("drop");
part("file").addEventListener("change", (event) => score([...event.target.files]).then(() => { part("file").value = ""; }));
part("token").addEventListener("change", findDetectors);
part("camera").addEventListener("click", camera);
part("take").addEventListener("click", take);
part("opacity").addEventListener("input", (event) => { part("heatmap").style.opacity = event.target.value; });
part("slider").addEventListener("input", (event) => { chosenThreshold(Number(event.target.value)); redraw(show); });
part("own").addEventListener("click", () => { chosenThreshold(null); redraw(show); });
drop.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
drop.addEventListener("dragleave", () => drop.classList.remove("over"));
drop.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  score([...event.dataTransfer.files]);
});
addEventListener("pagehide", () => stopCamera(part("video")));
findDetectors();
