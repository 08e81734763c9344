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
