/** The photograph of a test image beside its heatmap; null where there is none. Older boards have both in one picture. */
function pictureOf(pictures, id) {
  const picture = pictures[id];
  const text = `${id}: photograph and heatmap`;
  if (!picture) return null;
  if (typeof picture === "string") return h("img", { src: picture, alt: text, loading: "lazy" });
  const [place, heat, outline] = picture;
  const layer = (source, kind) => h("img", { src: source, alt: "", class: kind, loading: "lazy" });
  const photograph = shared.photographs[place];
  const layers = h("span", { class: "layers" }, layer(photograph, "gray"), layer(heat, "heat"), outlineOf(outline));
  return h("span", { class: "picture", role: "img", "aria-label": text }, layer(photograph, null), layers);
}

/** The line around a defect, from a path on a square of 1000; null where there is no defect. */
function outlineOf(path) {
  if (!path) return null;
  const drawn = (tag, attributes) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  };
  const svg = drawn("svg", { viewBox: "0 0 1000 1000", preserveAspectRatio: "none", class: "outline" });
  svg.append(drawn("path", { d: path, "vector-effect": "non-scaling-stroke" }));
  return svg;
}
