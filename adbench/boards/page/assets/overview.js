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
