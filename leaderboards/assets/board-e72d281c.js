"use strict";
(() => {
/** An element. Children that are no elements become text, never markup; attributes that are null or false are left out. */
function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** A name that breaks behind its separators, so that no word in it is torn. */
const breakable = (name) => name.split(/(?<=[-+_/:,(])/).flatMap((piece, index) => (index ? [h("wbr"), piece] : [piece]));

const byId = (id) => document.getElementById(id);

/** The value of the chosen radio button of a name. */
const chosen = (name) => document.querySelector(`input[name="${name}"]:checked`).value;

/** A table: `head` holds texts, `rows` texts or elements; the first cell of a row is its heading. */
function simpleTable(caption, head, rows) {
  const heading = (text, index) => h("th", { scope: "col", class: index ? "number wrapped" : null }, breakable(text));
  const cell = (content, index) =>
    content instanceof HTMLTableCellElement
      ? content
      : h(index ? "td" : "th", index ? { class: "number" } : { scope: "row" }, content);
  return h(
    "div",
    { class: "scroll", role: "region", "aria-label": caption, tabindex: "0" },
    h(
      "table",
      null,
      h("caption", { class: "unseen" }, caption),
      h("thead", null, h("tr", null, head.map(heading))),
      h(
        "tbody",
        null,
        rows.map((row) => h("tr", null, row.map(cell))),
      ),
    ),
  );
}

/** A button that copies a text and says so. */
function copyButton(text, label) {
  const button = h("button", { type: "button", class: "quiet" }, label);
  const said = h("span", { class: "pale", role: "status" });
  button.addEventListener("click", async () => {
    said.textContent = (await copied(text)) ? "Copied" : "Not copied: select the text and copy it yourself";
  });
  return h("span", { class: "copy" }, button, said);
}

/** Whether the clipboard took the text: pages opened from disk have the old way only. */
async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = h("textarea", { class: "unseen", "aria-hidden": "true", tabindex: "-1" }, text);
    (document.querySelector("dialog[open]") ?? document.body).append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

const { board, groups, methods, recipes, shared } = JSON.parse(byId("data").textContent);
const NONE = "—";

const COSTS = [
  { key: "p50", title: "ms/image p50", timed: true },
  { key: "p95", title: "ms/image p95", timed: true },
  { key: "speed", title: "images/s", timed: true, more: true },
  { key: "fit", title: "fit s", timed: true },
  { key: "memory", title: "peak MB" },
  { key: "gpu", title: "peak GPU MB" },
  { key: "bank", title: "bank MB" },
];

/** What each metric measures; a metric that is not here has no tooltip. */
const MEANINGS = {
  "image-auroc": "The chance that a defective image scores higher than a normal one; 50 is chance.",
  "image-ap": "Average precision of the image scores: precision, averaged over recall.",
  "image-f1-max": "The best F1 of any image threshold, chosen with the test's labels.",
  "pixel-auroc": "The chance that a defective pixel scores higher than a normal one; large defects count most.",
  "pixel-ap": "Average precision of the pixels: strict where defects are small.",
  "pixel-f1-max": "The best F1 of any pixel threshold, chosen with the test's masks.",
  "pixel-aupro-30": "Mean overlap with each defect's region, over pixel false alarms up to 30 %; all regions count alike.",
  "pixel-aupro-05": "Mean overlap with each defect's region, over pixel false alarms up to 5 %; stricter than 30 %.",
  "class-accuracy": "The share of images whose most probable class is right: normal, or their type of defect.",
  "class-balanced-accuracy": "The mean over the classes of the share that is right: rare types count as much as normal images.",
  "class-f1-macro": "The mean F1 of the classes, each as important as the others.",
};

/** Whether a test compared the rows of a group: there may be too few categories for it. */
const isTested = (group) => Object.keys(groups[group].tests?.p ?? {}).length > 0;

/** Whether the test over images tells a method from the first of its group, by the metric that ranks the board. */
const alike = (method) => {
  const tests = groups[method.group].tests;
  return isTested(method.group) && (method.key === tests.first || tests.p[method.key] >= 0.05);
};

/** The interval of a figure in brackets, or nothing. */
const bracketed = (interval) => (interval ? `[${interval.map((end) => end.toFixed(1)).join(", ")}]` : "");

/** What the controls of the page say. */
const state = { metric: board.metrics.indexOf(board.rank_by), view: "metrics", sort: { key: "rank", down: false } };

const titleOf = (method) => (method.random ? `${method.label} †` : method.label);
const deviceOf = (method) => (method.cost.devices.length === 1 ? method.cost.devices[0] : "several devices");
const membersOf = (group) => methods.filter((method) => method.group === group);

/** The number in a cell of the data, or null where a mark stands in its place. */
const numberIn = (cell) => (Array.isArray(cell) ? cell[0] : typeof cell === "number" ? cell : null);

/** A cell as it is shown: `91.0 ± 0.9`, `91.0 det.`, `91.0`, or its mark. */
function shown(cell) {
  if (Array.isArray(cell) && typeof cell[1] === "string") return `${cell[0].toFixed(1)} ${cell[1]}`;
  if (Array.isArray(cell)) return cell.map((value) => value.toFixed(1)).join(" ± ");
  return typeof cell === "number" ? cell.toFixed(1) : (cell ?? NONE);
}

/** An amount with three digits or so. */
function amount(value) {
  if (value === null || value === undefined) return NONE;
  if (value >= 100) return Math.round(value).toLocaleString("en-US");
  return value.toFixed(value >= 10 ? 1 : 2);
}

/** A difference with its sign. */
const signed = (value) => (value === null ? NONE : `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(1)}`);

/** Whether all words are somewhere in what is known of a method. */
function matches(method, words) {
  const texts = [
    titleOf(method),
    ...method.parts.map((line) => shared.lines[line]),
    ...method.cost.devices,
    ...method.cost.runtimes,
  ];
  const known = texts.join(" ").toLowerCase();
  return words.every((word) => known.includes(word));
}

/** The recipe's file and the command that runs it, for a shell. */
function scriptOf(method) {
  if (!method.recipe.length) return null;
  const lines = method.recipe.map((line) => shared.lines[line]);
  return [`cat > ${method.file} <<'END'`, ...lines, "END", method.command].join("\n");
}

/** Places of scores from 1 for the highest; equal scores share the middle of theirs. */
function places(scores) {
  const order = d3.sort(d3.range(scores.length), (index) => -scores[index]);
  const result = new Array(scores.length);
  for (let start = 0, end = 0; start < order.length; start = end) {
    while (end < order.length && scores[order[end]] === scores[order[start]]) end += 1;
    for (let at = start; at < end; at += 1) result[order[at]] = (start + end + 1) / 2;
  }
  return result;
}

/** The test images of a unit: id, kind of defect, score and place. */
function imagesOf(detail) {
  const { ids, defects } = shared.tests[detail.test];
  const ranks = places(detail.scores);
  return ids.map((id, index) => ({
    id,
    defect: defects[index],
    bad: defects[index] !== "good",
    score: detail.scores[index],
    place: ranks[index],
  }));
}

/** An image's name without what all images of a category share. */
const shortId = (id) => id.split("/").slice(-2).join("/");

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

/** The photograph of a test image beside its heatmap; null where there is none. Older boards have both in one picture. */
function pictureOf(pictures, id) {
  const picture = pictures[id];
  const text = `${id}: photograph and heatmap`;
  if (!picture) return null;
  if (typeof picture === "string") return h("img", { src: picture, alt: text, loading: "lazy" });
  const [place, heat, outline] = picture;
  const layer = (source, kind) => h("img", { src: source, alt: "", class: kind, loading: "lazy" });
  const photograph = shared.photographs[place];
  const layers = h("span", { class: "layers" }, layer(photograph, "gray"), layer(heat, "heat"), outlineOf(outline));
  return h("span", { class: "picture", role: "img", "aria-label": text }, layer(photograph, null), layers);
}

/** The line around a defect, from a path on a square of 1000; null where there is no defect. */
function outlineOf(path) {
  if (!path) return null;
  const drawn = (tag, attributes) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  };
  const svg = drawn("svg", { viewBox: "0 0 1000 1000", preserveAspectRatio: "none", class: "outline" });
  svg.append(drawn("path", { d: path, "vector-effect": "non-scaling-stroke" }));
  return svg;
}

/** Scores of normal and of defective images. */
function histogram(images, title = "Image scores") {
  const bins = d3
    .bin()
    .domain(d3.extent(images, (image) => image.score))
    .thresholds(24)(images.map((image) => image.score));
  const edges = [bins[0].x0, ...bins.map((bin) => bin.x1)];
  const classes = [false, true].map((bad) => images.filter((image) => image.bad === bad));
  const counts = classes.map((members, bad) =>
    d3
      .bin()
      .domain([edges[0], edges.at(-1)])
      .thresholds(edges.slice(1, -1))(members.map((image) => image.score))
      .map((bin) => ({ x1: bin.x0, x2: bin.x1, count: bin.length, bad })),
  );
  const draw = () => ({
    height: 220,
    x: { label: "score →", nice: true },
    y: { label: "↑ images", ticks: 4, tickFormat: "d" },
    marks: [
      grid(),
      counts.map((bars, bad) =>
        Plot.rectY(bars, {
          x1: "x1",
          x2: "x2",
          y: "count",
          fill: bad ? "var(--vermillion)" : "var(--blue)",
          fillOpacity: 0.55,
          stroke: bad ? "var(--vermillion)" : "var(--blue)",
          strokeWidth: 0.6,
          inset: 0,
        }),
      ),
      Plot.ruleY([0], { stroke: "var(--pale)" }),
    ],
  });
  const names = classes.map((members, bad) => `${bad ? "defective" : "normal"} (${members.length})`);
  return figureOf(title, null, drawing(title, draw), legend(names));
}

/** Curves of one kind, one a method. */
function curves(title, x, y, limit, lines) {
  const points = lines.flatMap((line, index) =>
    line.corners[0].map((rate, at) => ({ x: rate / 1000, y: line.corners[1][at] / 1000, index })),
  );
  if (!points.length)
    return figureOf(title, null, h("p", { class: "pale" }, "Not there: the method gives no such curve."));
  const draw = () => ({
    height: 260,
    x: { label: `${x} →`, domain: [0, limit], ticks: 4 },
    y: { label: `↑ ${y}`, domain: [0, 1], ticks: 4 },
    marks: [
      grid(),
      limit === 1
        ? Plot.line(
            [
              [0, 0],
              [1, 1],
            ],
            { stroke: "var(--pale)", strokeDasharray: "2 4" },
          )
        : null,
      lines.map((_, index) =>
        Plot.line(
          points.filter((point) => point.index === index),
          {
            x: "x",
            y: "y",
            stroke: colourAt(index),
            strokeWidth: 2,
            strokeDasharray: DASHES[index],
            clip: true,
          },
        ),
      ),
    ],
  });
  return figureOf(title, null, drawing(title, draw), lines.length > 1 ? legend(lines.map((line) => line.name)) : null);
}

/** Images as points that lie close where a backbone sees them alike. */
function embedding(detail) {
  if (detail.points === null) return null;
  const [xs, ys] = shared.points[detail.points];
  const images = imagesOf(detail).map((image, index) => ({ ...image, x: xs[index], y: ys[index] }));
  const kinds = ["good", ...d3.sort(new Set(images.filter((image) => image.bad).map((image) => image.defect)))];
  const draw = () => ({
    height: 300,
    margin: 12,
    axis: null,
    inset: 8,
    marks: [
      Plot.frame({ stroke: "var(--line)", strokeOpacity: 1 }),
      Plot.dot(images, {
        x: "x",
        y: "y",
        symbol: (i) => symbolAt(kinds.indexOf(i.defect)),
        fill: (i) => colourAt(kinds.indexOf(i.defect)),
        fillOpacity: 0.8,
        r: 4,
      }),
      tip(images, {
        x: "x",
        y: "y",
        title: (i) => `${i.id}\n${i.defect}, score ${i.score}`,
      }),
    ],
  });
  return figureOf(
    "Images as the backbone sees them",
    "t-SNE: neighbours look alike, distances mean little",
    drawing("t-SNE of the test images", draw),
    legend(kinds),
  );
}

/** A metric by category, one mark a method. */
function categoryDots(chosenMethods, metric) {
  const points = chosenMethods.flatMap((method, index) =>
    board.categories
      .map((category, at) => ({ category, value: numberIn(method.by[metric][at]), index }))
      .filter((point) => point.value !== null),
  );
  if (!points.length) return null;
  const longest = d3.max(board.categories, (category) => category.length);
  const spans = d3
    .groups(points, (point) => point.category)
    .map(([category, own]) => ({ category, low: d3.min(own, (p) => p.value), high: d3.max(own, (p) => p.value) }));
  const draw = () => ({
    height: 46 + 24 * board.categories.length,
    marginLeft: Math.min(150, 14 + 6.2 * longest),
    x: { label: `${board.metrics[metric]}, % →`, nice: true, inset: 8, grid: false },
    y: { domain: board.categories, label: null, tickFormat: (name) => clipped(name, 22) },
    marks: [
      grid(),
      Plot.ruleY(spans, { x1: "low", x2: "high", y: "category", stroke: "var(--pale)", strokeWidth: 2 }),
      Plot.dot(points, {
        x: "value",
        y: "category",
        fill: (p) => colourAt(p.index),
        symbol: (p) => symbolAt(p.index),
        r: 5,
      }),
      tip(points, {
        x: "value",
        y: "category",
        title: (p) => `${titleOf(chosenMethods[p.index])}\n${p.category}: ${p.value.toFixed(1)} %`,
      }),
    ],
  });
  return figureOf(
    `${board.metrics[metric]} by category`,
    null,
    drawing("By category", draw),
    chosenMethods.length > 1 ? legend(chosenMethods.map(titleOf)) : null,
  );
}

/** Methods that no other one of the same series beats in both: dearer ones have to be better. */
function paretoFront(points) {
  const front = [];
  for (const point of d3.sort(
    points,
    (p) => p.cost,
    (p) => -p.value,
  )) {
    if (!front.length || point.value > front.at(-1).value) front.push(point);
  }
  return front;
}

/** Quality against cost. Times are compared within one device only: each device is a series with a front of its own. */
function pareto(members, metric, cost) {
  const points = members
    .map((method) => ({
      method,
      name: titleOf(method),
      cost: method.cost[cost.key],
      value: numberIn(method.figures[metric]),
      device: deviceOf(method),
    }))
    .filter((point) => point.cost > 0 && point.value !== null)
    .map((point) => (cost.more ? { ...point, cost: 1000 / point.cost } : point));
  if (!points.length) return h("p", { class: "pale" }, "No method that is shown has both figures.");
  const devices = d3.sort(new Set(points.map((point) => point.device)));
  const series = cost.timed ? d3.group(points, (point) => point.device) : new Map([["all", points]]);
  const fronts = [...series.values()].map(paretoFront);
  const label = cost.more ? "ms/image" : cost.title;
  const [type, told] = isNarrow(points) ? ["linear", ""] : ["log", "logarithmic, "];
  const heightOf = (width) => Math.max(280, Math.min(400, width * 0.62));
  const draw = (width) => ({
    height: heightOf(width),
    ...MARGINS,
    x: { type, label: `${label} (${told}less is better) →`, ticks: 5, tickFormat: "~s", inset: INSET.x },
    y: { label: `↑ ${board.metrics[metric]}, %`, nice: true, inset: INSET.y, ticks: 6 },
    color: { domain: devices, range: PALETTE },
    symbol: { domain: devices, range: SYMBOLS },
    marks: [
      grid(),
      fronts.map((front) =>
        Plot.line(front, {
          x: "cost",
          y: "value",
          stroke: cost.timed ? "device" : "var(--pale)",
          curve: "step-after",
          strokeOpacity: 0.55,
        }),
      ),
      Plot.dot(points, {
        x: "cost",
        y: "value",
        stroke: "device",
        fill: "device",
        symbol: "device",
        fillOpacity: 0.75,
        r: points.length > 60 ? 3 : 5,
      }),
      labelled(fronts.flat(), points, width, heightOf(width)).map(({ point, text, textAnchor, dy }) =>
        Plot.text([point], {
          x: "cost",
          y: "value",
          text: () => text,
          dy,
          textAnchor,
          fill: "var(--ink)",
          stroke: "var(--ground)",
          strokeWidth: 4,
        }),
      ),
      tip(points, {
        x: "cost",
        y: "value",
        title: (p) => `${p.name}\n${p.value.toFixed(1)} %, ${amount(p.cost)} ${label}\n${p.device}`,
      }),
    ],
  });
  return h("div", null, drawing(`Quality against ${label}`, draw), legend(devices));
}

const MARGINS = { marginTop: 30, marginRight: 24, marginBottom: 38, marginLeft: 44 };
const INSET = { x: 24, y: 16 };
const LETTER = 6.4;
/** Half a point's size, with a little room around it. */
const DOT = 7;
/** Where a name may stand beside its point: above it or below it, to the right, centred or to the left. */
const PLACES = [-12, 14].flatMap((dy) => ["start", "middle", "end"].map((textAnchor) => ({ textAnchor, dy })));

/** Names of points in places where they cover neither a point nor another name, the best first; others are left out. */
function labelled(candidates, points, width, height) {
  const [x, y] = scales(points, width, height);
  const taken = points.map((p) => ({ point: p, ...around(x(p.cost), y(p.value), DOT, DOT) }));
  const kept = [];
  for (const point of d3.sort(candidates, (p) => -p.value)) {
    const text = clipped(point.name, 28);
    const at = [x(point.cost), y(point.value)];
    const boxes = PLACES.map((place) => ({ ...place, point, text, ...boxOf(place, text, ...at) }));
    const inside = (box) => box.left >= MARGINS.marginLeft && box.right <= width;
    const covers = (box) => taken.some((other) => other.point !== point && meet(box, other));
    const free = boxes.find((box) => inside(box) && !covers(box));
    if (free) {
      kept.push(free);
      taken.push({ ...free, point: null });
    }
  }
  return kept;
}

/** Whether all costs are of about one size: between two powers of ten, a logarithmic axis may have no number. */
function isNarrow(points) {
  const [least, most] = d3.extent(points, (point) => point.cost);
  return most / least < 4;
}

/** The scales of the plot, in pixels, as Plot makes them of the same options. */
function scales(points, width, height) {
  const { marginTop, marginRight, marginBottom, marginLeft } = MARGINS;
  const costs = d3.extent(points, (p) => p.cost);
  const values = d3.extent(points, (p) => p.value);
  return [
    (isNarrow(points) ? d3.scaleLinear : d3.scaleLog)(costs, [marginLeft + INSET.x, width - marginRight - INSET.x]),
    d3.scaleLinear(values, [height - marginBottom - INSET.y, marginTop + INSET.y]).nice(),
  ];
}

/** The box of a name in a place beside its point. */
function boxOf({ textAnchor, dy }, text, x, y) {
  const long = LETTER * text.length;
  const middle = { start: x + long / 2, middle: x, end: x - long / 2 }[textAnchor];
  return around(middle, y + dy, long / 2, 7);
}

function around(x, y, wide, high) {
  return { left: x - wide, right: x + wide, top: y - high, bottom: y + high };
}

function meet(one, other) {
  return one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom;
}

/** Average ranks over categories; a bar at the right joins methods that the categories cannot tell apart.
 *  Nothing for fewer than three methods or categories with all figures, or more than forty methods. */
function criticalDifference(group) {
  const ranking = groups[group].rankings?.[state.metric];
  if (!ranking) return null;
  const nameOf = new Map(membersOf(group).map((method) => [method.key, titleOf(method)]));
  const ordered = d3.sort(
    Object.entries(ranking.ranks).map(([key, rank]) => ({ key, rank })),
    (point) => point.rank,
  );
  const [least, most] = d3.extent(ordered, (point) => point.rank);
  const step = Math.max(0.12, 0.05 * (most - least));
  const bars = ranking.groups
    .filter((keys) => keys.length > 1)
    .map((keys, index) => ({ x: most + step * (index + 4), from: keys[0], to: keys.at(-1) }));
  const longest = d3.max(ordered, (point) => nameOf.get(point.key).length);
  const draw = (width) => ({
    height: 60 + 24 * ordered.length,
    marginLeft: Math.min(width * 0.42, 14 + 6.4 * longest),
    marginRight: 16,
    x: { label: "average rank (1 is best) →", domain: [Math.min(1, least), most + step * (bars.length + 4)], ticks: 5 },
    y: {
      domain: ordered.map((point) => point.key),
      label: null,
      tickFormat: (key) => clipped(nameOf.get(key), width < 500 ? 20 : 34),
      tickSize: 0,
    },
    marks: [
      grid(),
      Plot.link(bars, {
        x1: "x",
        x2: "x",
        y1: "from",
        y2: "to",
        stroke: "var(--ink)",
        strokeWidth: 4,
        strokeLinecap: "round",
      }),
      Plot.dot(ordered, { x: "rank", y: "key", fill: "var(--blue)", r: 5.5 }),
      Plot.text(ordered, {
        x: "rank",
        y: "key",
        text: (point) => point.rank.toFixed(2),
        dx: 10,
        textAnchor: "start",
        fill: "var(--pale)",
      }),
    ],
  });
  const sure =
    ranking.friedman < 0.05
      ? `methods whose ranks differ by ${ranking.difference.toFixed(2)} or more differ`
      : "no method is told apart from the others";
  const note = `${board.metrics[state.metric]} over ${board.categories.length} categories; ${sure} (Friedman p = ${ranking.friedman.toPrecision(2)}, Nemenyi, 5 %); a bar joins those that do not`;
  return figureOf("Critical differences", note, drawing("Average ranks and critical differences", draw));
}

/** Filters, sort and the open method in the address: `#view=cost&sort=p50&method=KEY`; what is as at first is left out. */
function addressOf(method) {
  const said = {
    metric: state.metric === board.metrics.indexOf(board.rank_by) ? "" : board.metrics[state.metric],
    view: state.view === "metrics" ? "" : state.view,
    sort: state.sort.key === "rank" && !state.sort.down ? "" : `${state.sort.key}${state.sort.down ? "-down" : ""}`,
    search: byId("search").value,
    device: byId("device").value,
    trained: byId("trained").checked ? "1" : "",
    method: method?.key ?? "",
  };
  return new URLSearchParams(Object.entries(said).filter(([, value]) => value)).toString();
}

/** The address after a change of the controls, without a new entry in the history. */
function writeAddress(method) {
  const hash = addressOf(method);
  history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
}

/** The controls as the address says; a method's key alone opens the method, as in older links. */
function readAddress() {
  const hash = location.hash.slice(1);
  const said = new URLSearchParams(hash.includes("=") ? hash : { method: hash });
  const metric = board.metrics.indexOf(said.get("metric") ?? board.rank_by);
  state.metric = metric < 0 ? board.metrics.indexOf(board.rank_by) : metric;
  byId("metric").value = String(state.metric);
  const view = ["metrics", "categories", "cost"].find((each) => each === said.get("view")) ?? "metrics";
  document.querySelector(`input[name="view"][value="${view}"]`).checked = true;
  state.view = view;
  const sort = said.get("sort") ?? "rank";
  state.sort = { key: sort.replace(/-down$/, ""), down: sort.endsWith("-down") };
  byId("search").value = said.get("search") ?? "";
  byId("device").value = said.get("device") ?? "";
  if (byId("device").selectedIndex < 0) byId("device").value = "";
  byId("trained").checked = said.get("trained") === "1";
  render();
  const method = methods.find((each) => each.key === said.get("method"));
  if (method) openMethod(method);
}

/** The columns of the chosen view. `value` sorts, `text` is shown, `heat` is from 0 to 1; `more` says that more is better. */
function columnsOf(view) {
  const rank = {
    key: "rank",
    title: "rank",
    meaning: "By the mean. a: cannot be told apart from the first row.",
    value: (m) => m.ranks[state.metric],
    text: rankText,
    mark: ranksAreTested() ? alikeMark : null,
  };
  const name = { key: "method", title: "method", value: (m) => m.label.toLowerCase(), heading: true };
  const metric = (index) => ({
    key: `metric-${index}`,
    title: `${board.metrics[index]}, %`,
    meaning: MEANINGS[board.metrics[index]],
    more: true,
    mark: (m) => intervalMark(m.intervals[index]),
    chosen: index === state.metric,
    value: (m) => numberIn(m.figures[index]),
    text: (m) => shown(m.figures[index]),
  });
  const views = {
    metrics: () => board.metrics.map((_, index) => metric(index)),
    categories: () => [metric(state.metric), ...board.categories.map(categoryColumn)],
    cost: () => [metric(state.metric), ...COSTS.map(costColumn), ...wordColumns()],
  };
  return [rank, name, ...views[view]()];
}

const costColumn = (cost) => ({ ...cost, value: (m) => m.cost[cost.key], text: (m) => amount(m.cost[cost.key]) });

const wordColumns = () =>
  [
    ["devices", "device"],
    ["runtimes", "runtime"],
  ].map(([key, title]) => {
    const text = (m) => m.cost[key].join("; ") || NONE;
    return { key, title, words: true, value: (m) => text(m).toLowerCase(), text };
  });

function categoryColumn(category, index) {
  const cell = (m) => m.by[state.metric][index];
  const [low] = d3.extent(
    methods.flatMap((m) => m.by[state.metric]),
    numberIn,
  );
  const heat = (m) => (numberIn(cell(m)) === null ? null : low === 100 ? 1 : (numberIn(cell(m)) - low) / (100 - low));
  return {
    key: `category-${index}`,
    title: category,
    meaning: `${board.metrics[state.metric]} on ${category}, percent`,
    more: true,
    value: (m) => numberIn(cell(m)),
    text: (m) => shown(cell(m)),
    heat,
  };
}

/** The test compares by the metric that ranks the board, and says nothing about others. */
const ranksAreTested = () => board.metrics[state.metric] === board.rank_by;

function alikeMark(method) {
  if (!alike(method)) return null;
  const tests = groups[method.group].tests;
  const p = tests.p[method.key];
  const said = p === undefined ? "the first row" : `cannot be told apart from the first: ${tests.test}, p = ${p}`;
  return h("span", { class: "alike", title: said }, "a");
}

const intervalMark = (interval) => (interval ? h("small", { class: "interval" }, bracketed(interval)) : null);

/** `2=` where several methods of a group share a place. */
function rankText(method) {
  const rank = method.ranks[state.metric];
  if (rank === null) return NONE;
  return membersOf(method.group).filter((other) => other.ranks[state.metric] === rank).length > 1
    ? `${rank}=`
    : `${rank}`;
}

/** In the chosen order; what has no value comes last, whichever way. */
function sorted(members, column) {
  const { down } = state.sort;
  const order = down ? d3.descending : d3.ascending;
  const missing = (m) => column.value(m) === null || column.value(m) === undefined;
  return members
    .slice()
    .sort(
      (a, b) => missing(a) - missing(b) || order(column.value(a), column.value(b)) || d3.ascending(a.label, b.label),
    );
}

function sortBy(column) {
  const down = state.sort.key === column.key ? !state.sort.down : Boolean(column.more);
  state.sort = { key: column.key, down };
  renderTables();
  writeAddress();
  document.querySelector(`.standings th[aria-sort] button`)?.focus();
}

function headCell(column) {
  const now = state.sort.key === column.key;
  const arrow = h("span", { class: "arrow", "aria-hidden": "true" }, now ? (state.sort.down ? "▼" : "▲") : "");
  const told = { type: "button", title: column.meaning, onclick: () => sortBy(column) };
  const button = h("button", told, column.title, arrow);
  const kinds = [
    column.heading || column.words ? null : "number",
    column.chosen ? "chosen" : null,
    column.heading ? "name" : null,
  ];
  return h(
    "th",
    {
      scope: "col",
      class: kinds.filter(Boolean).join(" ") || null,
      "aria-sort": now ? (state.sort.down ? "descending" : "ascending") : null,
    },
    button,
  );
}

function bodyCell(column, method, best) {
  if (column.heading) {
    return h(
      "th",
      { scope: "row", class: "name" },
      h("button", { type: "button", class: "link", onclick: () => openMethod(method) }, breakable(titleOf(method))),
    );
  }
  const value = column.value(method);
  const kinds = [
    column.words ? null : "number",
    column.chosen ? "chosen" : null,
    value === null ? "missing" : null,
    value !== null && value === best ? "best" : null,
  ];
  const cell = h("td", { class: kinds.filter(Boolean).join(" ") || null }, column.text(method), column.mark?.(method));
  return warmed(cell, column.heat?.(method));
}

/** A cell with a ground of the given strength, from 0 to 1. */
function warmed(cell, heat) {
  if (heat === null || heat === undefined) return cell;
  cell.classList.add("heat");
  cell.style.setProperty("--heat", `${Math.round(100 * Math.max(0, Math.min(1, heat)))}%`);
  return cell;
}

/** The best figure of a column among the methods shown, to be set in bold. */
const bestOf = (column, members) =>
  column.more && column.key !== "speed" && members.length > 1 ? d3.max(members, column.value) : undefined;

/** The methods that search and filters leave. */
function visible(group) {
  const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const device = byId("device").value;
  const trained = byId("trained").checked;
  return membersOf(group).filter(
    (m) => matches(m, words) && (!device || deviceOf(m) === device) && !(trained && m.random),
  );
}

function renderTable(group, members) {
  const columns = columnsOf(state.view);
  const column = columns.find((each) => each.key === state.sort.key) ?? columns[0];
  if (column.key !== state.sort.key) state.sort = { key: column.key, down: false };
  const best = columns.map((each) => bestOf(each, members));
  const rows = sorted(members, column).map((m) =>
    h(
      "tr",
      null,
      columns.map((each, index) => bodyCell(each, m, best[index])),
    ),
  );
  return h(
    "div",
    { class: "scroll standings", role: "region", "aria-label": `Standings: ${groups[group].name}`, tabindex: "0" },
    h(
      "table",
      null,
      h("caption", { class: "unseen" }, `Standings: ${groups[group].name}. A click on a heading sorts.`),
      h("thead", null, h("tr", null, columns.map(headCell))),
      h(
        "tbody",
        null,
        rows.length
          ? rows
          : h("tr", null, h("td", { colspan: columns.length, class: "pale" }, "No method fits the filters.")),
      ),
    ),
  );
}

/** All groups anew: the tables and, where the methods shown or the metric changed, the drawings. */
function renderTables() {
  let count = 0;
  groups.forEach((group, index) => {
    const members = visible(index);
    count += members.length;
    byId(`table-${index}`).replaceChildren(renderTable(index, members));
  });
  const all = `${methods.length} method${methods.length === 1 ? "" : "s"}`;
  byId("count").textContent = count === methods.length ? all : `${count} of ${all}`;
}

/** The number at the start of a cell's text, such as `91.0 ± 0.9` or `−1.2`; null where there is none. */
function leadingNumber(text) {
  const number = Number.parseFloat(text.replace("−", "-").replace(/,/g, ""));
  return Number.isNaN(number) ? null : number;
}

/** Sort a table that is in the page as it is by a column: cells without a number come last, whichever way. */
function sortTold(table, heading, column) {
  const down = heading.getAttribute("aria-sort") === "ascending";
  const rows = [...table.tBodies[0].rows];
  const text = (row) => row.cells[column].textContent.trim();
  const numbers = rows.some((row) => leadingNumber(text(row)) !== null);
  const value = (row) => (numbers ? leadingNumber(text(row)) : text(row).toLowerCase());
  const order = down ? d3.descending : d3.ascending;
  rows.sort((a, b) => (value(a) === null) - (value(b) === null) || order(value(a), value(b)));
  for (const other of table.tHead.rows[0].cells) {
    other.removeAttribute("aria-sort");
    other.querySelector(".arrow").textContent = "";
  }
  heading.setAttribute("aria-sort", down ? "descending" : "ascending");
  heading.querySelector(".arrow").textContent = down ? "▼" : "▲";
  table.tBodies[0].append(...rows);
}

/** Give every heading of such a table a button that sorts, and its metric's meaning. */
function makeSortable(table) {
  [...table.tHead.rows[0].cells].forEach((heading, column) => {
    const title = heading.textContent;
    const arrow = h("span", { class: "arrow", "aria-hidden": "true" });
    const sort = { type: "button", title: MEANINGS[title], onclick: () => sortTold(table, heading, column) };
    heading.replaceChildren(h("button", sort, title, arrow));
  });
}

document.querySelectorAll("table.told").forEach(makeSortable);

const dialog = byId("method");

/** Everything about one method. */
function openMethod(method) {
  const close = h("button", { type: "button", class: "quiet", onclick: () => dialog.close() }, "Close");
  const head = h(
    "div",
    { class: "dialog-head" },
    h(
      "div",
      null,
      h("h2", { id: "method-title" }, titleOf(method)),
      h("p", { class: "pale" }, groups[method.group].name),
    ),
    h(
      "div",
      { class: "actions" },
      h("button", { type: "button", onclick: () => compareWith(method) }, "Compare with …"),
      close,
    ),
  );
  dialog.replaceChildren(
    head,
    h("div", { class: "dialog-body" }, figuresOf(method), recipeOf(method), notesOf(method), evidenceOf(method)),
  );
  if (!dialog.open) dialog.showModal();
  writeAddress(method);
  dialog.scrollTop = 0;
  close.focus();
}

function figuresOf(method) {
  const figures = board.metrics.map((metric, index) => [
    h("span", { title: MEANINGS[metric] }, metric),
    h("span", null, shown(method.figures[index]), intervalMark(method.intervals[index])),
    rankIn(method, index),
  ]);
  const costs = COSTS.map((cost) => [cost.title, amount(method.cost[cost.key])]);
  const where = [
    ["device", method.cost.devices.join("; ") || NONE],
    ["runtime", method.cost.runtimes.join("; ") || NONE],
  ];
  return h(
    "div",
    { class: "columns" },
    h(
      "section",
      null,
      h("h3", null, "Figures"),
      simpleTable("Figures", ["metric", "percent", "rank"], figures),
      testOf(method),
    ),
    h("section", null, h("h3", null, "Cost"), simpleTable("Cost", ["what it took", "amount"], [...costs, ...where])),
    board.categories.length > 1 ? categoryDots([method], state.metric) : null,
  );
}

/** How sure it is that the first of the group is better, by the metric that the board ranks by. */
function testOf(method) {
  const tests = groups[method.group].tests;
  const p = tests?.p[method.key];
  if (p === undefined) return null;
  const first = titleOf(methods.find((other) => other.key === tests.first));
  return h(
    "p",
    { class: "pale" },
    `Against ${first} by ${board.rank_by}: p ${p < 0.001 ? "below 0.001" : `= ${p.toFixed(3)}`} (${tests.test}, corrected for their number by Holm).`,
  );
}

function rankIn(method, metric) {
  const rank = method.ranks[metric];
  return rank === null
    ? NONE
    : `${rank} of ${membersOf(method.group).filter((other) => other.ranks[metric] !== null).length}`;
}

/** `68.9 million`, `1.1 billion`: a number of parameters in three digits. */
function millions(count) {
  const [of, word] = count < 1e9 ? [1e6, "million"] : [1e9, "billion"];
  return `${Number((count / of).toPrecision(3))} ${word}`;
}

/** The recipe that a row is named after: its card, paper, year, licence and parameters; null where none is known. */
function sourceOf(method) {
  const known = recipes[method.source];
  if (!known) return null;
  const altered = method.label.replace(/[ ,(].*/, "").slice(method.source.length + 1);
  const paper = known.year ? `paper (${known.year})` : "paper";
  const texts = [
    altered ? "Altered from " : null,
    known.card ? h("a", { href: known.card }, known.title) : known.title,
    altered ? `, with ${altered.replaceAll("+", ", ")}` : null,
    known.paper ? [" · ", h("a", { href: known.paper }, paper)] : null,
    known.licence ? ` · ${known.licence}` : null,
    known.parameters && !altered ? ` · backbone of ${millions(known.parameters)} parameters` : null,
  ];
  return h("p", { id: "source" }, texts.flat());
}

function recipeOf(method) {
  const script = scriptOf(method);
  const parts = method.parts.map((line) => h("li", null, shared.lines[line]));
  const body = script
    ? [
        h(
          "p",
          null,
          "These lines write the recipe into a file and run it; --data takes the data set's name, or its folder. ",
          copyButton(script, "Copy the command"),
        ),
        h("pre", { tabindex: "0", "aria-label": "Recipe and command" }, h("code", { id: "command" }, script)),
      ]
    : h("p", null, "The record's recipe cannot be written as a file.");
  return h(
    "section",
    null,
    h("h3", null, "Recipe"),
    sourceOf(method),
    body,
    parts.length ? h("details", null, h("summary", null, "Parts and who published them"), h("ul", null, parts)) : null,
  );
}

function notesOf(method) {
  return method.notes.length
    ? h(
        "section",
        null,
        h("h3", null, "Notes"),
        h(
          "ul",
          null,
          method.notes.map((note) => h("li", null, note)),
        ),
      )
    : null;
}

/** What single images say, a category at a time. */
function evidenceOf(method) {
  if (!method.details) {
    return h(
      "section",
      null,
      h("h3", null, "Single images"),
      h(
        "p",
        { class: "pale" },
        "Not on this page: its runs were made without details, or there was no room; see the details folder beside this file.",
      ),
    );
  }
  const place = h("div");
  const categories = Object.keys(method.details);
  const show = (category) => place.replaceChildren(...unitOf(method, category));
  const choice = h(
    "select",
    { id: "category", onchange: () => show(choice.value) },
    categories.map((category) => h("option", { value: category }, category)),
  );
  show(categories[0]);
  return h("section", null, h("h3", null, "Single images"), h("label", { class: "field" }, "Category", choice), place);
}

function unitOf(method, category) {
  const detail = method.details[category];
  const images = imagesOf(detail);
  const pictures = method.pictures?.[category] ?? {};
  const line = (corners) => [{ corners, name: titleOf(method) }];
  return [
    h("p", { class: "pale" }, `Seed ${detail.seed}, ${images.length} test images.`),
    h(
      "div",
      { class: "columns" },
      histogram(images),
      curves("ROC of images", "false positive rate", "true positive rate", 1, line(detail.roc)),
      curves("Per-region overlap (PRO)", "false positive rate of pixels", "mean overlap", 0.3, line(detail.pro)),
      embedding(detail),
    ),
    measuredOf(detail),
    kindsOf(detail),
    thresholdOf(detail),
    h(
      "div",
      { class: "columns" },
      gallery(
        "False alarms",
        "normal images with the highest scores",
        images.filter((image) => !image.bad),
        true,
        pictures,
      ),
      gallery(
        "Misses",
        "defective images with the lowest scores",
        images.filter((image) => image.bad),
        false,
        pictures,
      ),
    ),
  ].filter(Boolean);
}

/** What the unit's record says, with 95 % confidence where it was computed. */
function measuredOf(detail) {
  const interval = (range) => (range ? `${range[0].toFixed(1)} to ${range[1].toFixed(1)}` : NONE);
  const rows = board.metrics.map((metric, index) => [
    metric,
    shown(detail.figures[index]),
    interval(detail.intervals[index]),
  ]);
  return detail.intervals.some(Boolean)
    ? h(
        "section",
        null,
        h("h4", null, "Figures of this category and seed"),
        simpleTable("Figures of this category and seed", ["metric", "percent", "95 % interval"], rows),
      )
    : null;
}

/** Each kind of defect against all good images. */
function kindsOf(detail) {
  const rows = Object.entries(detail.defects).map(([kind, values]) => [
    kind,
    ...values.map((value) => warmed(h("td", { class: "number" }, shown(value)), value === null ? null : value / 100)),
  ]);
  return rows.length
    ? h(
        "section",
        null,
        h("h4", null, "Kinds of defects, each against all good images"),
        simpleTable("Kinds of defects", ["kind", ...board.metrics], rows),
      )
    : null;
}

/** The threshold that normal images gave, and what it does on the test images. */
function thresholdOf(detail) {
  const found = detail.threshold;
  if (!found) return null;
  const percent = (share) => (typeof share === "number" ? `${(100 * share).toFixed(1)} %` : "n/a");
  const rule =
    found.method === "sigma" ? `mean + ${found.k} sigma` : `${found.method}, ${percent(found.alpha)} false alarms`;
  const achieved = {
    precision: found.precision,
    recall: found.recall,
    F1: found.f1,
    "false alarms": found.fpr,
    "F1-max, by the test's labels": found.oracle_f1,
    "oracle gap": found.oracle_gap,
  };
  const rows = [
    ["rule", rule],
    ["normal images that the bank had not seen", `${found.normals}, ${found.source}`],
    ...(typeof found.value === "number"
      ? [["threshold", found.value.toPrecision(6)], ...Object.entries(achieved).map(([name, x]) => [name, percent(x)])]
      : [["no threshold", found.reason]]),
  ];
  return h("section", null, h("h4", null, "Threshold"), simpleTable("Threshold", ["property", "as deployed"], rows));
}

const IN_GALLERY = 4;

function gallery(title, note, images, highest, pictures) {
  const chosenImages = d3.sort(images, (image) => (highest ? -image.score : image.score)).slice(0, IN_GALLERY);
  const items = chosenImages.map((image) => imageItem(image, pictures, `score ${image.score}, place ${image.place}`));
  return figureOf(
    title,
    note,
    items.length ? h("ol", { class: "gallery" }, items) : h("p", { class: "pale" }, "There is none."),
  );
}

function imageItem(image, pictures, text) {
  return h(
    "li",
    null,
    pictureOf(pictures, image.id),
    h("span", { class: "image-id", title: image.id }, shortId(image.id)),
    h("span", { class: "pale" }, ` ${image.bad ? image.defect : "normal"}, ${text}`),
  );
}

dialog.addEventListener("close", () => history.replaceState(null, "", "#"));
dialog.addEventListener("click", (event) => {
  if (event.target === dialog) dialog.close();
});

const COMPARED = ["first", "second", "third", "fourth"];

/** From the drill-down to the comparison, with this method first. */
function compareWith(method) {
  dialog.close();
  const others = COMPARED.slice(1).map((id) => byId(id).value);
  byId("first").value = method.key;
  COMPARED.slice(1).forEach((id, index) => {
    if (others[index] === method.key) byId(id).value = index ? "" : secondTo(method).key;
  });
  renderComparison();
  byId("compare").scrollIntoView();
  byId("second").focus();
}

const secondTo = (method) => methods.find((other) => other !== method) ?? method;

/** The methods that are chosen, each once, in the order of their boxes. */
function comparedMethods() {
  const keys = new Set(COMPARED.map((id) => byId(id).value));
  return [...keys].map((key) => methods.find((method) => method.key === key)).filter(Boolean);
}

function renderComparison() {
  const compared = comparedMethods();
  byId("comparison").replaceChildren(
    ...(compared.length > 1
      ? comparison(compared)
      : [h("p", { class: "pale" }, "Choose at least two different methods.")]),
  );
}

function comparison(compared) {
  const [first] = compared;
  const apart = compared
    .filter((method) => method.group !== first.group)
    .map((method) =>
      h(
        "p",
        { class: "warning" },
        `${titleOf(first)} was given “${groups[first.group].name}”, ${titleOf(method)} “${groups[method.group].name}”: a difference between them is no ranking.`,
      ),
    );
  return [
    ...apart,
    h(
      "div",
      { class: "columns" },
      differences(compared),
      costRatios(compared),
      board.categories.length > 1 ? categoryDots(compared, state.metric) : null,
    ),
    disagreements(compared),
  ];
}

/** A cell with what sets it apart from the first method's below it. */
const withDifference = (text, apart) => h("span", null, text, apart && h("small", { class: "interval" }, apart));

function differences([first, ...others]) {
  const ours = (index) => numberIn(first.figures[index]);
  const apart = (method, index) => {
    const theirs = numberIn(method.figures[index]);
    return ours(index) === null || theirs === null ? null : signed(theirs - ours(index));
  };
  const rows = board.metrics.map((metric, index) => [
    h("span", { title: MEANINGS[metric] }, metric),
    shown(first.figures[index]),
    ...others.map((method) => withDifference(shown(method.figures[index]), apart(method, index))),
  ]);
  return h(
    "section",
    null,
    simpleTable("Differences of figures", ["metric", ...[first, ...others].map(titleOf)], rows),
    h("p", { class: "pale note" }, `Percent; below, the difference from ${titleOf(first)} in points.`),
  );
}

function costRatios([first, ...others]) {
  const comparable = (method) => deviceOf(method) === deviceOf(first);
  const cell = (method, cost) =>
    comparable(method) || !cost.timed
      ? withDifference(amount(method.cost[cost.key]), ratio(method.cost[cost.key], first.cost[cost.key]))
      : NONE;
  const rows = COSTS.map((cost) => [
    cost.title,
    amount(first.cost[cost.key]),
    ...others.map((method) => cell(method, cost)),
  ]);
  const elsewhere = others.filter((method) => !comparable(method)).map(titleOf);
  return h(
    "section",
    null,
    simpleTable("Ratios of cost", ["cost", ...[first, ...others].map(titleOf)], rows),
    h("p", { class: "pale note" }, `Below, the ratio to ${titleOf(first)}.`),
    elsewhere.length
      ? h("p", { class: "pale" }, `Times of ${elsewhere.join(", ")} are left out: the methods ran on different devices.`)
      : null,
  );
}

const ratio = (left, right) => (left && right ? `${(left / right).toFixed(2)} ×` : null);

/** The images whose places two methods see most differently, and the curves of all that are compared. */
function disagreements(compared) {
  const [first] = compared;
  const categories = board.categories.filter((category) => first.details?.[category]);
  const besides = (category) =>
    compared.slice(1).filter((method) => method.details?.[category]?.test === first.details[category].test);
  const known = categories.filter((category) => besides(category).length);
  if (!known.length) return h("p", { class: "pale" }, "The page has no scores of single images for two of them.");
  const place = h("div");
  const options = (values, text) => values.map((value) => h("option", { value }, text(value)));
  const category = h("select", { onchange: () => choose() }, options(known, String));
  const other = h("select", { onchange: () => show() });
  const show = () => {
    const others = besides(category.value);
    const against = others.find((method) => method.key === other.value);
    place.replaceChildren(...unitPair(first, against, [first, ...others], category.value));
  };
  const choose = () => {
    const keys = besides(category.value).map((method) => method.key);
    other.replaceChildren(...options(keys, (key) => titleOf(methods.find((method) => method.key === key))));
    show();
  };
  choose();
  return h(
    "section",
    null,
    h("h3", null, "Where they disagree"),
    h(
      "div",
      { class: "pair" },
      h("label", { class: "field" }, "Category", category),
      h("label", { class: "field" }, `Against ${titleOf(first)}`, other),
    ),
    place,
  );
}

function unitPair(a, b, all, category) {
  const [ours, theirs] = [a, b].map((method) => imagesOf(method.details[category]));
  const images = ours.map((image, index) => ({ ...image, other: theirs[index].place }));
  const lines = (kind) => all.map((method) => ({ corners: method.details[category][kind], name: titleOf(method) }));
  return [
    h(
      "div",
      { class: "columns" },
      curves("ROC of images", "false positive rate", "true positive rate", 1, lines("roc")),
      curves("Per-region overlap (PRO)", "false positive rate of pixels", "mean overlap", 0.3, lines("pro")),
      placesPlot(a, b, images),
    ),
    disputed(
      a,
      b,
      images,
      [a, b].map((method) => method.pictures?.[category] ?? {}),
    ),
  ];
}

/** Every image at its places: on the diagonal the methods agree. */
function placesPlot(a, b, images) {
  const count = images.length;
  const draw = () => ({
    height: 300,
    x: { label: `place by ${clipped(titleOf(a), 24)} (1 is the most anomalous) →`, domain: [1, count] },
    y: { label: `↓ place by ${clipped(titleOf(b), 24)}`, domain: [count, 1], reverse: false },
    marks: [
      Plot.line(
        [
          [1, 1],
          [count, count],
        ],
        { stroke: "var(--pale)", strokeDasharray: "2 4" },
      ),
      Plot.dot(images, {
        x: "place",
        y: "other",
        fill: (i) => (i.bad ? "var(--vermillion)" : "var(--blue)"),
        symbol: (i) => (i.bad ? "triangle" : "circle"),
        fillOpacity: 0.75,
        r: 4,
      }),
      tip(images, {
        x: "place",
        y: "other",
        title: (i) => `${i.id}\n${i.defect}: place ${i.place} and ${i.other}`,
      }),
    ],
  });
  return figureOf("Places of the images", null, drawing("Places of the images", draw), legend(["normal", "defective"]));
}

function disputed(a, b, images, pictures) {
  const most = d3
    .sort(images, (image) => -Math.abs(image.place - image.other))
    .slice(0, 2 * IN_GALLERY)
    .filter((image) => image.place !== image.other);
  const rows = most.map((image) => [
    h("span", { class: "image-id", title: image.id }, shortId(image.id)),
    image.bad ? image.defect : "normal",
    String(image.place),
    String(image.other),
    rightOne(a, b, image),
    pictureCell(image, pictures),
  ]);
  const head = [
    "image",
    "shows",
    `place by ${titleOf(a)}`,
    `place by ${titleOf(b)}`,
    "nearer the truth",
    "heatmaps on this page",
  ];
  const shownPictures = most.some((image) => pictures.some((known) => known[image.id]));
  const cut = (row) => (shownPictures ? row : row.slice(0, -1));
  return rows.length
    ? simpleTable("Images that they disagree on most", cut(head), rows.map(cut))
    : h("p", null, "They put all images into the same order.");
}

function rightOne(a, b, image) {
  return titleOf(image.place < image.other === image.bad ? a : b);
}

const pictureCell = (image, pictures) =>
  h(
    "span",
    { class: "thumbs" },
    pictures.map((known) => pictureOf(known, image.id)),
  );

/** The groups whose drawings somebody came near to. Those of the others would make the page slower to open. */
const drawnGroups = new Set();

/** The drawings of a group follow the metric and the filters. */
function renderDrawings(index) {
  drawnGroups.add(index);
  const members = visible(index);
  const place = byId(`drawings-${index}`);
  const figure = isTimed(members) ? costFigure(members, place.querySelector("select")?.value ?? "p50") : null;
  place.replaceChildren(...[figure, criticalDifference(index)].filter(Boolean));
  place.classList.remove("coming");
}

const isTimed = (members) =>
  members.filter((method) => COSTS.some((cost) => method.cost[cost.key] > 0)).length > 1;

function costFigure(members, chosenCost) {
  const choice = h(
    "select",
    { "aria-label": "Cost", onchange: () => draw() },
    COSTS.map((cost) => h("option", { value: cost.key, selected: cost.key === chosenCost }, cost.title)),
  );
  const box = h("div");
  const draw = () =>
    box.replaceChildren(
      pareto(
        members,
        state.metric,
        COSTS.find((cost) => cost.key === choice.value),
      ),
    );
  draw();
  return h(
    "figure",
    null,
    h("figcaption", null, h("b", null, "Quality against cost"), h("label", { class: "field inline" }, "Cost", choice)),
    box,
  );
}

/** Drawings are made when somebody comes near to them, and all of them before the page is printed. */
function awaitDrawings() {
  groups.forEach((_, index) => {
    const place = byId(`drawings-${index}`);
    if (isTimed(membersOf(index))) place.classList.add("coming");
    whenNear(place, () => renderDrawings(index), "100px");
  });
  window.addEventListener("beforeprint", () => {
    groups.forEach((_, index) => drawnGroups.has(index) || renderDrawings(index));
    document.querySelectorAll(".chart").forEach((box) => draws.get(box)());
  });
}

function render() {
  renderTables();
  drawnGroups.forEach(renderDrawings);
  writeAddress();
}

function section(group, index) {
  const title = `group-${index}`;
  return h(
    "section",
    { "aria-labelledby": title },
    h("h2", { id: title }, group.name[0].toUpperCase() + group.name.slice(1)),
    h(
      "p",
      { class: "pale under" },
      `Fingerprint ${group.fingerprint}: rows of another one are never ranked with these.`,
    ),
    h("div", { id: `table-${index}` }),
    group.tests
      ? h(
          "p",
          { class: "pale note" },
          isTested(index)
            ? `a: cannot be told apart from the first row (${group.tests.test}, corrected for the number of rows, 5 %).`
            : `Test of the rows against the first: ${group.tests.test}.`,
        )
      : null,
    h("div", { class: "columns", id: `drawings-${index}` }),
  );
}

/** Options for methods, group by group. */
const methodOptions = (selected) =>
  groups.map((group, index) =>
    h(
      "optgroup",
      { label: group.name },
      membersOf(index).map((method) =>
        h("option", { value: method.key, selected: method === selected }, titleOf(method)),
      ),
    ),
  );

/** First the tables; then, when the browser had time to show them, what needs a hand to be seen. */
function start() {
  byId("metric").append(
    ...board.metrics.map((metric, index) => h("option", { value: index, selected: index === state.metric }, metric)),
  );
  const devices = d3.sort(new Set(methods.map(deviceOf)));
  byId("device").append(
    h("option", { value: "" }, "all"),
    ...devices.map((device) => h("option", { value: device }, device)),
  );
  byId("standings").append(
    ...(groups.length ? groups.map(section) : [h("p", { class: "lead" }, "No method has records on this board yet.")]),
  );
  byId("filters").open = !matchMedia("(max-width: 600px)").matches;
  readAddress();
  setTimeout(finish);
}

function finish() {
  COMPARED.forEach((id, index) => {
    const none = index > 1 ? [h("option", { value: "", selected: true }, "none")] : [];
    byId(id).append(...none, ...methodOptions(index > 1 ? null : methods[index]));
  });
  byId("compare").hidden = methods.length < 2;
  listen();
  awaitDrawings();
  byId("standings").classList.remove("waiting");
  whenNear(byId("compare"), () => byId("comparison").childElementCount || renderComparison(), "400px");
}

/** Do something once when an element comes near the window: what nobody scrolls to costs nothing. */
function whenNear(element, action, margin) {
  const look = (entries, observer) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    observer.disconnect();
    action();
  };
  new IntersectionObserver(look, { rootMargin: margin }).observe(element);
}

function listen() {
  byId("tools").addEventListener("submit", (event) => event.preventDefault());
  for (const id of ["search", "device", "trained"]) byId(id).addEventListener("input", render);
  byId("metric").addEventListener("change", () => {
    state.metric = Number(byId("metric").value);
    state.sort = { key: "rank", down: false };
    render();
    renderComparison();
  });
  byId("view").addEventListener("change", () => {
    state.view = chosen("view");
    renderTables();
    writeAddress();
  });
  window.addEventListener("hashchange", readAddress);
  for (const id of COMPARED) byId(id).addEventListener("change", renderComparison);
}

start();
})();
