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
