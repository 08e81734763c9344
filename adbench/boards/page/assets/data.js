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
