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
