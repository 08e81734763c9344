/** From the drill-down to the comparison, with this method first. */
function compareWith(method) {
  dialog.close();
  byId("first").value = method.key;
  if (byId("second").value === method.key)
    byId("second").value = methods.find((other) => other !== method)?.key ?? method.key;
  renderComparison();
  byId("compare").scrollIntoView();
  byId("second").focus();
}

function renderComparison() {
  const [a, b] = ["first", "second"].map((id) => methods.find((method) => method.key === byId(id).value));
  byId("comparison").replaceChildren(
    ...(a && b && a !== b ? comparison(a, b) : [h("p", { class: "pale" }, "Choose two different methods.")]),
  );
}

function comparison(a, b) {
  const apart =
    a.group === b.group
      ? null
      : h(
          "p",
          { class: "warning" },
          `${titleOf(a)} was given “${groups[a.group].name}”, ${titleOf(b)} “${groups[b.group].name}”: a difference between them is no ranking.`,
        );
  return [
    apart,
    h(
      "div",
      { class: "columns" },
      differences(a, b),
      board.categories.length > 1 ? categoryDots([a, b], state.metric) : null,
    ),
    disagreements(a, b),
  ].filter(Boolean);
}

function differences(a, b) {
  const difference = (left, right) => (left === null || right === null ? null : left - right);
  const rows = board.metrics.map((metric, index) => [
    metric,
    shown(a.figures[index]),
    shown(b.figures[index]),
    signed(difference(numberIn(a.figures[index]), numberIn(b.figures[index]))),
  ]);
  const comparable = deviceOf(a) === deviceOf(b);
  const costs = COSTS.filter((cost) => comparable || !cost.timed).map((cost) => [
    cost.title,
    amount(a.cost[cost.key]),
    amount(b.cost[cost.key]),
    ratio(a.cost[cost.key], b.cost[cost.key]),
  ]);
  const head = ["", titleOf(a), titleOf(b), "difference"];
  return h(
    "section",
    null,
    simpleTable("Differences of figures", head, rows),
    simpleTable("Ratios of cost", ["", titleOf(a), titleOf(b), "ratio"], costs),
    comparable ? null : h("p", { class: "pale" }, "Times are left out: the methods ran on different devices."),
  );
}

const ratio = (left, right) => (left && right ? `${(left / right).toFixed(2)} ×` : NONE);

/** The images whose places the two methods see most differently, and both curves. */
function disagreements(a, b) {
  const categories = board.categories.filter(
    (category) =>
      a.details?.[category] && b.details?.[category] && a.details[category].test === b.details[category].test,
  );
  if (!categories.length) return h("p", { class: "pale" }, "The page has no scores of single images for both.");
  const place = h("div");
  const show = (category) => place.replaceChildren(...unitPair(a, b, category));
  const choice = h(
    "select",
    { onchange: () => show(choice.value) },
    categories.map((category) => h("option", { value: category }, category)),
  );
  show(categories[0]);
  return h(
    "section",
    null,
    h("h3", null, "Where they disagree"),
    h("label", { class: "field" }, "Category", choice),
    place,
  );
}

function unitPair(a, b, category) {
  const pair = [a, b].map((method) => ({
    method,
    detail: method.details[category],
    images: imagesOf(method.details[category]),
  }));
  const images = pair[0].images.map((image, index) => ({ ...image, other: pair[1].images[index].place }));
  const lines = (kind) => pair.map(({ method, detail }) => ({ corners: detail[kind], name: titleOf(method) }));
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
      pair.map(({ method }) => method.pictures?.[category] ?? {}),
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
