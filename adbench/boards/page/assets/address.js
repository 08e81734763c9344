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
