"use strict";

const part = (id) => document.getElementById(id);
const number = (value) => (value === null ? "none" : value.toPrecision(4));
const RESULTS = new Map([[true, "defective"], [false, "normal"], [null, "no threshold"]]);

async function asked(file) {
  const form = new FormData();
  form.append("image", file);
  const query = new URLSearchParams(location.search);
  query.set("heatmap", "true");
  const token = part("token").value;
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const response = await fetch(`v1/predict?${query}`, { method: "POST", body: form, headers });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.detail);
  return answer.predictions[0];
}

function show(file, prediction) {
  part("result").textContent = RESULTS.get(prediction.alarm);
  for (const name of ["score", "p_value", "threshold"]) part(name).textContent = number(prediction[name]);
  URL.revokeObjectURL(part("image").src);
  part("image").src = URL.createObjectURL(file);
  part("heatmap").hidden = prediction.heatmap === null;
  if (prediction.heatmap !== null) part("heatmap").src = `data:image/png;base64,${prediction.heatmap}`;
  part("answer").hidden = false;
}

async function score(file) {
  if (!file) return;
  part("answer").hidden = true;
  part("message").textContent = "The image is scored.";
  try {
    show(file, await asked(file));
    part("message").textContent = "";
  } catch (error) {
    part("message").textContent = error.message;
  }
}

const drop = part("drop");
part("file").addEventListener("change", (event) => score(event.target.files[0]));
part("opacity").addEventListener("input", (event) => { part("heatmap").style.opacity = event.target.value; });
drop.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
drop.addEventListener("dragleave", () => drop.classList.remove("over"));
drop.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  score(event.dataTransfer.files[0]);
});
