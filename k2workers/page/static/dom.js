// Owns how the page is changed: only what differs is touched, so that focus, selection and screen readers are left alone. Text is only ever set as text.

const SVG = "http://www.w3.org/2000/svg";

export const at = (id) => document.getElementById(id);

export function text(node, words) {
  if (node.textContent !== words) node.textContent = words;
}

export function attributes(node, wanted) {
  for (const [name, value] of Object.entries(wanted)) if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

/** As many children of this tag as there are items; `show(child, item)` fills each. */
export function each(parent, tag, items, show) {
  while (parent.children.length > items.length) parent.lastElementChild.remove();
  const inSvg = parent.namespaceURI === SVG;
  items.forEach((item, index) => {
    let child = parent.children[index];
    if (!child) child = parent.appendChild(inSvg ? document.createElementNS(SVG, tag) : document.createElement(tag));
    show(child, item, index);
  });
}

/** Rows of cells: a cell is words, or [words, class], or [words, class, title]. */
export function rows(body, wanted) {
  each(body, "tr", wanted, (row, cells) =>
    each(row, "td", cells, (cell, what) => {
      const [words, kind = "", title = ""] = Array.isArray(what) ? what : [what];
      text(cell, words);
      if (cell.className !== kind) cell.className = kind;
      if (cell.title !== title) cell.title = title;
    }),
  );
}

/** Names with values. */
export function pairs(list, wanted) {
  each(list, "div", wanted, (row, [name, value, kind = ""]) => {
    if (!row.firstChild) row.append(document.createElement("dt"), document.createElement("dd"));
    text(row.firstChild, name);
    text(row.lastChild, value);
    if (row.lastChild.className !== kind) row.lastChild.className = kind;
  });
}

/** Shapes of an SVG, of any sort: [tag, attributes, words, title]. They are few; all are made anew when their number or sorts change. */
export function shapes(svg, wanted) {
  const same = svg.children.length === wanted.length && wanted.every(([tag], index) => svg.children[index].tagName === tag);
  if (!same) svg.replaceChildren(...wanted.map(([tag]) => document.createElementNS(SVG, tag)));
  wanted.forEach(([, its, words = "", title = ""], index) => {
    const node = svg.children[index];
    for (const { name } of [...node.attributes]) if (!(name in its)) node.removeAttribute(name);
    attributes(node, its);
    if (title) {
      if (!node.firstElementChild) node.appendChild(document.createElementNS(SVG, "title"));
      text(node.firstElementChild, title);
    } else text(node, words);
  });
}
