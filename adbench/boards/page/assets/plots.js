const PALETTE = ["var(--blue)", "var(--vermillion)", "var(--green)", "var(--purple)", "var(--orange)", "var(--sky)", "var(--ink)"];
const SYMBOLS = ["circle", "triangle", "square", "diamond", "star", "cross", "wye"];

/** A drawing that is as wide as its place, and drawn again when that changes. */
function drawing(label, make) {
  const box = h("div", { class: "chart" });
  let width = 0;
  new ResizeObserver(() => {
    if (box.clientWidth === width || !box.clientWidth) return;
    width = box.clientWidth;
    const options = { className: "plot", ariaLabel: label, width, marginLeft: 44, marginBottom: 38, ...make(width) };
    const svg = Plot.plot(options);
    svg.setAttribute("role", "img");
    box.replaceChildren(svg);
  }).observe(box);
  return box;
}

function figureOf(title, note, ...content) {
  return h("figure", null, h("figcaption", null, h("b", null, title), note ? h("span", { class: "pale" }, ` ${note}`) : null), content);
}

const colourAt = (index) => PALETTE[index % PALETTE.length];
const symbolAt = (index) => SYMBOLS[index % SYMBOLS.length];

/** A legend of marks, each with a colour and a shape of its own. */
function legend(names) {
  const shape = (index) => d3.symbol(d3[`symbol${symbolAt(index)[0].toUpperCase()}${symbolAt(index).slice(1)}`], 70)();
  const mark = (index) => d3.create("svg").attr("class", "mark").attr("viewBox", "-7 -7 14 14").attr("aria-hidden", "true").call((svg) => svg.append("path").attr("d", shape(index)).attr("fill", colourAt(index))).node();
  return h("ul", { class: "legend" }, names.map((name, index) => h("li", null, mark(index), name)));
}

/** Methods that no other one of the same series beats in both: dearer ones have to be better. */
function paretoFront(points) {
  const front = [];
  for (const point of d3.sort(points, (p) => p.cost, (p) => -p.value)) {
    if (!front.length || point.value > front.at(-1).value) front.push(point);
  }
  return front;
}

/** Quality against cost. Times are compared within one device only: each device is a series with a front of its own. */
function pareto(members, metric, cost) {
  const points = members
    .map((method) => ({ method, name: titleOf(method), cost: method.cost[cost.key], value: numberIn(method.figures[metric]), device: deviceOf(method) }))
    .filter((point) => point.cost > 0 && point.value !== null)
    .map((point) => (cost.more ? { ...point, cost: 1000 / point.cost } : point));
  if (!points.length) return h("p", { class: "pale" }, "No method has both figures.");
  const devices = d3.sort(new Set(points.map((point) => point.device)));
  const series = cost.timed ? d3.group(points, (point) => point.device) : new Map([["all", points]]);
  const fronts = [...series.values()].map(paretoFront);
  const label = cost.more ? "ms/image" : cost.title;
  const draw = (width) => ({
    height: Math.max(280, Math.min(400, width * 0.62)),
    marginRight: 24,
    marginTop: 30,
    x: { type: "log", label: `${label} (logarithmic, less is better) →`, ticks: 5, tickFormat: "~s", inset: 24 },
    y: { label: `↑ ${board.metrics[metric]}, %`, nice: true, inset: 16, ticks: 6 },
    color: { domain: devices, range: PALETTE },
    symbol: { domain: devices, range: SYMBOLS },
    marks: [
      Plot.gridY({ stroke: "var(--line)", strokeOpacity: 1 }),
      fronts.map((front) => Plot.line(front, { x: "cost", y: "value", stroke: "device", curve: "step-after", strokeOpacity: 0.55 })),
      Plot.dot(points, { x: "cost", y: "value", stroke: "device", fill: "device", symbol: "device", fillOpacity: 0.75, r: points.length > 60 ? 3 : 5 }),
      d3.groups(apart(fronts.flat(), points, width), (p) => anchor(p, points)).map(([textAnchor, named]) =>
        Plot.text(named, { x: "cost", y: "value", text: (p) => clipped(p.name, 28), dy: -12, textAnchor, fill: "var(--ink)", stroke: "var(--ground)", strokeWidth: 4 }),
      ),
      Plot.tip(points, Plot.pointer({ x: "cost", y: "value", title: (p) => `${p.name}\n${p.value.toFixed(1)} %, ${amount(p.cost)} ${label}\n${p.device}`, fill: "var(--raised)", stroke: "var(--line)", strokeOpacity: 1 })),
    ],
  });
  return h("div", null, drawing(`Quality against ${label}`, draw), legend(devices));
}

/** The points whose names have room, the best first. */
function apart(candidates, points, width) {
  const x = d3.scaleLog(d3.extent(points, (p) => p.cost), [0, width]);
  const y = d3.scaleLinear(d3.extent(points, (p) => p.value), [300, 0]);
  const kept = [];
  for (const point of d3.sort(candidates, (p) => -p.value)) {
    if (kept.every((other) => Math.abs(x(point.cost) - x(other.cost)) > 190 || Math.abs(y(point.value) - y(other.value)) > 24)) kept.push(point);
  }
  return kept;
}

const clipped = (text, room) => (text.length > room ? `${text.slice(0, room - 1)}…` : text);

/** On which side of its point a label has room. */
function anchor(point, points) {
  const [low, high] = d3.extent(points, (p) => Math.log(p.cost));
  const at = high > low ? (Math.log(point.cost) - low) / (high - low) : 0.5;
  return at < 0.25 ? "start" : at > 0.75 ? "end" : "middle";
}

/** Scores of normal and of defective images. */
function histogram(images, title = "Image scores") {
  const bins = d3.bin().domain(d3.extent(images, (image) => image.score)).thresholds(24)(images.map((image) => image.score));
  const edges = [bins[0].x0, ...bins.map((bin) => bin.x1)];
  const classes = [false, true].map((bad) => images.filter((image) => image.bad === bad));
  const counts = classes.map((members, bad) => d3.bin().domain([edges[0], edges.at(-1)]).thresholds(edges.slice(1, -1))(members.map((image) => image.score)).map((bin) => ({ x1: bin.x0, x2: bin.x1, count: bin.length, bad })));
  const draw = () => ({
    height: 220,
    x: { label: "score →", nice: true },
    y: { label: "↑ images", ticks: 4, tickFormat: "d" },
    marks: [
      Plot.gridY({ stroke: "var(--line)", strokeOpacity: 1 }),
      counts.map((bars, bad) => Plot.rectY(bars, { x1: "x1", x2: "x2", y: "count", fill: bad ? "var(--vermillion)" : "var(--blue)", fillOpacity: 0.55, stroke: bad ? "var(--vermillion)" : "var(--blue)", strokeWidth: 0.6, inset: 0 })),
      Plot.ruleY([0], { stroke: "var(--pale)" }),
    ],
  });
  const names = classes.map((members, bad) => `${bad ? "defective" : "normal"} (${members.length})`);
  return figureOf(title, null, drawing(title, draw), legend(names));
}

/** Curves of one kind, one a method. */
function curves(title, x, y, limit, lines) {
  const points = lines.flatMap((line, index) => line.corners[0].map((rate, at) => ({ x: rate / 1000, y: line.corners[1][at] / 1000, index })));
  if (!points.length) return figureOf(title, null, h("p", { class: "pale" }, "Not there: the method gives no such curve."));
  const draw = () => ({
    height: 260,
    x: { label: `${x} →`, domain: [0, limit], ticks: 4 },
    y: { label: `↑ ${y}`, domain: [0, 1], ticks: 4 },
    marks: [
      Plot.gridY({ stroke: "var(--line)", strokeOpacity: 1 }),
      limit === 1 ? Plot.line([[0, 0], [1, 1]], { stroke: "var(--pale)", strokeDasharray: "2 4" }) : null,
      lines.map((_, index) => Plot.line(points.filter((point) => point.index === index), { x: "x", y: "y", stroke: colourAt(index), strokeWidth: 2, strokeDasharray: index ? "7 5" : null, clip: true })),
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
      Plot.dot(images, { x: "x", y: "y", symbol: (i) => symbolAt(kinds.indexOf(i.defect)), fill: (i) => colourAt(kinds.indexOf(i.defect)), fillOpacity: 0.8, r: 4 }),
      Plot.tip(images, Plot.pointer({ x: "x", y: "y", title: (i) => `${i.id}\n${i.defect}, score ${i.score}`, fill: "var(--raised)", stroke: "var(--line)", strokeOpacity: 1 })),
    ],
  });
  return figureOf("Images as the backbone sees them", "t-SNE: neighbours look alike, distances mean little", drawing("t-SNE of the test images", draw), legend(kinds));
}

/** A metric by category, one mark a method. */
function categoryDots(chosenMethods, metric) {
  const points = chosenMethods.flatMap((method, index) =>
    board.categories.map((category, at) => ({ category, value: numberIn(method.by[metric][at]), index })).filter((point) => point.value !== null),
  );
  if (!points.length) return null;
  const longest = d3.max(board.categories, (category) => category.length);
  const spans = d3.groups(points, (point) => point.category).map(([category, own]) => ({ category, low: d3.min(own, (p) => p.value), high: d3.max(own, (p) => p.value) }));
  const draw = () => ({
    height: 46 + 24 * board.categories.length,
    marginLeft: Math.min(150, 14 + 6.2 * longest),
    x: { label: `${board.metrics[metric]}, % →`, nice: true, inset: 8, grid: false },
    y: { domain: board.categories, label: null, tickFormat: (name) => clipped(name, 22) },
    marks: [
      Plot.gridY({ stroke: "var(--line)", strokeOpacity: 1 }),
      Plot.ruleY(spans, { x1: "low", x2: "high", y: "category", stroke: "var(--pale)", strokeWidth: 2 }),
      Plot.dot(points, { x: "value", y: "category", fill: (p) => colourAt(p.index), symbol: (p) => symbolAt(p.index), r: 5 }),
      Plot.tip(points, Plot.pointer({ x: "value", y: "category", title: (p) => `${titleOf(chosenMethods[p.index])}\n${p.category}: ${p.value.toFixed(1)} %`, fill: "var(--raised)", stroke: "var(--line)", strokeOpacity: 1 })),
    ],
  });
  return figureOf(`${board.metrics[metric]} by category`, null, drawing("By category", draw), chosenMethods.length > 1 ? legend(chosenMethods.map(titleOf)) : null);
}

const NOT_RANKED = "need three methods and three categories with all figures, and at most forty methods";

/** Average ranks over categories; a bar at the right joins methods that the categories cannot tell apart. */
function criticalDifference(group) {
  const ranking = groups[group].rankings?.[state.metric];
  if (!ranking) return figureOf("Critical differences", NOT_RANKED);
  const nameOf = new Map(membersOf(group).map((method) => [method.key, titleOf(method)]));
  const ordered = d3.sort(Object.entries(ranking.ranks).map(([key, rank]) => ({ key, rank })), (point) => point.rank);
  const [least, most] = d3.extent(ordered, (point) => point.rank);
  const step = Math.max(0.12, 0.05 * (most - least));
  const bars = ranking.groups.filter((keys) => keys.length > 1).map((keys, index) => ({ x: most + step * (index + 1.5), from: keys[0], to: keys.at(-1) }));
  const longest = d3.max(ordered, (point) => nameOf.get(point.key).length);
  const draw = (width) => ({
    height: 60 + 24 * ordered.length,
    marginLeft: Math.min(width * 0.42, 14 + 6.4 * longest),
    marginRight: 16,
    x: { label: "average rank (1 is best) →", domain: [Math.min(1, least), most + step * (bars.length + 2)], ticks: 5 },
    y: { domain: ordered.map((point) => point.key), label: null, tickFormat: (key) => clipped(nameOf.get(key), width < 500 ? 20 : 34), tickSize: 0 },
    marks: [
      Plot.gridY({ stroke: "var(--line)", strokeOpacity: 1 }),
      Plot.link(bars, { x1: "x", x2: "x", y1: "from", y2: "to", stroke: "var(--ink)", strokeWidth: 4, strokeLinecap: "round" }),
      Plot.dot(ordered, { x: "rank", y: "key", fill: "var(--blue)", r: 5.5 }),
      Plot.text(ordered, { x: "rank", y: "key", text: (point) => point.rank.toFixed(2), dx: 10, textAnchor: "start", fill: "var(--pale)" }),
    ],
  });
  const sure = ranking.friedman < 0.05 ? `methods whose ranks differ by ${ranking.difference.toFixed(2)} or more differ` : "no method is told apart from the others";
  const note = `${board.metrics[state.metric]} over ${board.categories.length} categories; ${sure} (Friedman p = ${ranking.friedman.toPrecision(2)}, Nemenyi, 5 %); a bar joins those that do not`;
  return figureOf("Critical differences", note, drawing("Average ranks and critical differences", draw));
}
