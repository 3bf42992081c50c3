// Small helpers to build the page. Everything that comes from elsewhere goes in as text.

// h("p.quiet", {title: "x", onclick: f}, "text", node, null)
export function h(selector, props, ...children) {
  const [tag, ...classes] = selector.split(".");
  const node = document.createElement(tag || "div");
  if (classes.length > 0) {
    node.className = classes.join(" ");
  }
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null) {
      continue;
    }
    if (name === "dataset") {
      Object.assign(node.dataset, value);
    } else if (name.startsWith("aria-") || name === "role") {
      node.setAttribute(name, value);
    } else {
      node[name] = value;
    }
  }
  node.append(...children.filter((c) => c !== null && c !== undefined && c !== ""));
  return node;
}

// Writes only what differs: a reader's selection and a screen reader's place survive.
export function setText(node, text) {
  const only = node.firstChild;
  if (!only || node.childNodes.length > 1 || only.nodeType !== Node.TEXT_NODE) {
    node.textContent = text;
  } else if (text.length > only.length && text.startsWith(only.data)) {
    only.appendData(text.slice(only.length));
  } else if (only.data !== text) {
    only.data = text;
  }
}

// Makes `parent` hold the nodes of these items in this order, reusing the node of a known key.
export function keyed(parent, known, items, keyOf, create, update) {
  const keys = new Set(items.map(keyOf));
  for (const [key, entry] of known) {
    if (!keys.has(key)) {
      entry.node.remove();
      known.delete(key);
    }
  }
  let place = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    let entry = known.get(key);
    if (!entry) {
      entry = { node: create(item), item: null };
      known.set(key, entry);
    }
    if (entry.item !== item) {
      update(entry.node, item, entry.item);
      entry.item = item;
    }
    if (entry.node === place) {
      place = place.nextElementSibling;
    } else {
      parent.insertBefore(entry.node, place);
    }
  }
}

export function count(n, one, many = `${one}s`) {
  return `${n} ${n === 1 ? one : many}`;
}

export function duration(ms) {
  const s = Math.max(0, ms) / 1000;
  if (s < 10) {
    return `${s.toFixed(1)} s`;
  }
  if (s < 60) {
    return `${Math.round(s)} s`;
  }
  const minutes = Math.floor(s / 60);
  return minutes < 60
    ? `${minutes} min ${Math.floor(s % 60)} s`
    : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export function clock(ts) {
  return new Date(ts).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}

export function ago(ts, now) {
  const minutes = Math.floor((now - ts) / 60_000);
  if (!Number.isFinite(minutes)) {
    return "";
  }
  if (minutes < 1) {
    return "now";
  }
  if (minutes < 60) {
    return `${minutes} min`;
  }
  if (minutes < 24 * 60) {
    return `${Math.floor(minutes / 60)} h`;
  }
  return new Date(ts).toLocaleDateString([], { day: "numeric", month: "short" });
}

export function short(n) {
  if (n >= 1e6) {
    return `${(n / 1e6).toFixed(1)}M`;
  }
  return n >= 1e4 ? `${Math.round(n / 1e3)}k` : String(n);
}

// An id of a user as the server gives it: a name, or an object with one.
export function person(by) {
  return typeof by === "string" ? by : by?.user ?? by?.name ?? "";
}
