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
