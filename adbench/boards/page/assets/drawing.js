const PALETTE = [
  "var(--blue)",
  "var(--vermillion)",
  "var(--green)",
  "var(--purple)",
  "var(--orange)",
  "var(--sky)",
  "var(--ink)",
];
/** Of lines that are compared. */
const DASHES = [null, "7 5", "2 4", "10 4 2 4"];
const SYMBOLS = ["circle", "triangle", "square", "diamond", "star", "cross", "wye"];

/** What draws each drawing anew, by its box. */
const draws = new WeakMap();

/** A drawing that is as wide as its place, and drawn again when that changes. */
function drawing(label, make) {
  const box = h("div", { class: "chart" });
  let width = 0;
  const draw = () => {
    if (box.clientWidth === width || !box.clientWidth) return;
    width = box.clientWidth;
    const options = { className: "plot", ariaLabel: label, width, marginLeft: 44, marginBottom: 38, ...make(width) };
    const svg = Plot.plot(options);
    svg.setAttribute("role", "img");
    for (const part of svg.querySelectorAll("[aria-label]")) part.removeAttribute("aria-label"); // the picture has a label
    box.replaceChildren(svg);
  };
  draws.set(box, draw);
  new ResizeObserver(draw).observe(box);
  return box;
}

function figureOf(title, note, ...content) {
  return h(
    "figure",
    null,
    h("figcaption", null, h("b", null, title), note ? h("span", { class: "pale" }, ` ${note}`) : null),
    content,
  );
}

const colourAt = (index) => PALETTE[index % PALETTE.length];
const symbolAt = (index) => SYMBOLS[index % SYMBOLS.length];

/** A legend of marks, each with a colour and a shape of its own. */
function legend(names) {
  const shape = (index) => d3.symbol(d3[`symbol${symbolAt(index)[0].toUpperCase()}${symbolAt(index).slice(1)}`], 70)();
  const mark = (index) =>
    d3
      .create("svg")
      .attr("class", "mark")
      .attr("viewBox", "-7 -7 14 14")
      .attr("aria-hidden", "true")
      .call((svg) => svg.append("path").attr("d", shape(index)).attr("fill", colourAt(index)))
      .node();
  return h(
    "ul",
    { class: "legend" },
    names.map((name, index) => h("li", null, mark(index), name)),
  );
}

/** A text without its middle, where there is no room for it: names that begin alike end differently. */
function clipped(text, room) {
  const kept = (room - 1) / 2;
  return text.length > room ? `${text.slice(0, Math.ceil(kept))}…${text.slice(-Math.floor(kept))}` : text;
}

/** What a point is, shown beside it under the pointer. */
const tip = (points, options) =>
  Plot.tip(points, Plot.pointer({ fill: "var(--raised)", stroke: "var(--line)", ...options }));

const grid = () => Plot.gridY({ stroke: "var(--line)", strokeOpacity: 1 });
