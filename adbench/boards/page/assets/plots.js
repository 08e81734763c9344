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
