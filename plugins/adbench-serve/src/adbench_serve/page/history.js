// The images scored so far, and the threshold that this page judges them by.
const MOST = 40;
const entries = [];
const chosen = new Map();
let current = null;

const part = (id) => document.getElementById(id);

// Remember an image with its prediction; it becomes the current one.
export function add(file, prediction) {
  current = { url: URL.createObjectURL(file), prediction };
  entries.unshift(current);
  for (const old of entries.splice(MOST)) URL.revokeObjectURL(old.url);
}

function threshold({ prediction }) {
  return chosen.has(prediction.detector) ? chosen.get(prediction.detector) : prediction.threshold;
}

// The verdict on an image, as a word and as a class.
export function verdict(entry) {
  const limit = threshold(entry);
  if (limit === null) return ["no threshold", ""];
  return entry.prediction.score > limit ? ["defective", "defective"] : ["normal", "normal"];
}

// Judge the images of the current detector by another threshold; null for the detector's own.
export function chosenThreshold(limit) {
  if (limit === null) chosen.delete(current.prediction.detector);
  else chosen.set(current.prediction.detector, limit);
}

// Show the image that lies so many places further.
export function move(step, show) {
  const place = entries.indexOf(current) + step;
  if (place < 0 || place >= entries.length) return;
  current = entries[place];
  redraw(show);
}

// Draw everything that depends on the threshold.
export function redraw(show) {
  show(current);
  drawSlider();
  const judged = entries.map((entry) => [entry, ...verdict(entry)]);
  const defective = judged.filter(([, word]) => word === "defective").length;
  part("count").textContent = `${entries.length} images, ${defective} defective`;
  part("history").replaceChildren(...judged.map(([entry, word, kind]) => item(entry, word, kind, show)));
}

function drawSlider() {
  const { detector } = current.prediction;
  const same = entries.filter((entry) => entry.prediction.detector === detector);
  const limit = threshold(current);
  const values = same.flatMap(({ prediction }) => [prediction.score, prediction.threshold]).filter((one) => one !== null);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const room = (high - low || Math.abs(high) || 1) / 4;
  const slider = part("slider");
  slider.min = Math.min(low - room, limit ?? low);
  slider.max = Math.max(high + room, limit ?? high);
  slider.value = limit ?? high + room;
  part("limit").textContent = limit === null ? "none" : limit.toPrecision(4);
  part("own").disabled = !chosen.has(detector);
}

function item(entry, word, kind, show) {
  const button = Object.assign(document.createElement("button"), { type: "button", className: kind });
  button.setAttribute("aria-current", String(entry === current));
  button.append(
    Object.assign(document.createElement("img"), { src: entry.url, alt: "" }),
    line(`verdict ${kind}`, word),
    line("", `score ${entry.prediction.score.toPrecision(4)}`),
    line("file", entry.prediction.file),
  );
  button.addEventListener("click", () => choose(entry, show));
  const made = document.createElement("li");
  made.append(button);
  return made;
}

function choose(entry, show) {
  current = entry;
  redraw(show);
  part("history").children[entries.indexOf(entry)].firstChild.focus();
}

function line(className, textContent) {
  return Object.assign(document.createElement("span"), { className, textContent });
}
