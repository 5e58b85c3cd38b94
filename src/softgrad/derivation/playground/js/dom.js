// Elements in one expression.

const SVG = "http://www.w3.org/2000/svg";

function build(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(
    ...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false),
  );
  return element;
}

/** h("p", {class: "note"}, "text", otherElement) */
export function h(tag, attributes = {}, ...children) {
  return build(document.createElement(tag), attributes, children);
}

export function s(tag, attributes = {}, ...children) {
  return build(document.createElementNS(SVG, tag), attributes, children);
}

/** A text whose subscripts (p₁₂) become elements: few fonts have those letters. */
export function withSubscripts(text) {
  return text.split(/([₀-₉]+)/).map((part, k) =>
    k % 2
      ? h(
          "sub",
          {},
          part.replace(/./g, (c) => String(c.charCodeAt(0) - 0x2080)),
        )
      : part,
  );
}

/** Replace the children, only where the text changes if it is one string. */
export function fill(element, ...children) {
  if (children.length === 1 && typeof children[0] === "string") {
    if (element.textContent !== children[0] || element.childElementCount)
      element.textContent = children[0];
    return element;
  }
  element.replaceChildren(
    ...children.flat(3).filter((child) => child !== null && child !== false && child !== undefined),
  );
  return element;
}

export function attributes(element, values) {
  for (const [name, value] of Object.entries(values)) {
    if (value === null || value === false) element.removeAttribute(name);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  return element;
}

/** A titled card; what it explains, in one sentence, below the title. */
export function card(id, title, note, ...children) {
  return h(
    "section",
    { class: "card", id, "aria-labelledby": `${id}-title` },
    h(
      "header",
      { class: "card-head" },
      h("h2", { id: `${id}-title` }, title),
      note && h("p", { class: "note" }, note),
    ),
    ...children,
  );
}

/** A group of buttons of which one is chosen. */
export function choice(label, options, onchoose) {
  const buttons = new Map();
  const group = h("div", { class: "segmented", role: "radiogroup", "aria-label": label });
  const keys = [...options.keys()];
  for (const [value, text] of options) {
    const button = h(
      "button",
      { type: "button", role: "radio", onclick: () => onchoose(value) },
      text,
    );
    button.addEventListener("keydown", (event) => {
      const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (!by) return;
      event.preventDefault();
      const next = keys[(keys.indexOf(value) + by + keys.length) % keys.length];
      onchoose(next);
      buttons.get(next).focus();
    });
    buttons.set(value, button);
    group.append(button);
  }
  return {
    element: group,
    set(value) {
      for (const [key, button] of buttons) {
        attributes(button, {
          "aria-checked": String(key === value),
          tabindex: key === value ? 0 : -1,
        });
      }
    },
  };
}

/** A number that is typed: it is taken when it is valid, and put right when the field is left. */
export function numberField(label, { get, set, accept = Number.isFinite, className = "" }) {
  const input = h("input", {
    type: "text",
    inputmode: "text",
    autocomplete: "off",
    spellcheck: "false",
    class: `number ${className}`,
    "aria-label": label,
  });
  const read = () => {
    const text = input.value.trim().replace(",", ".").replace("−", "-");
    return text === "" ? NaN : Number(text);
  };
  input.addEventListener("input", () => {
    const value = read();
    const valid = accept(value);
    attributes(input, { "aria-invalid": String(!valid) });
    if (valid) set(value);
  });
  input.addEventListener("blur", () => show(true));
  input.addEventListener("focus", () => input.select());
  function show(force = false) {
    if (!force && document.activeElement === input) return;
    const value = get();
    input.value = Number.isFinite(value) ? String(+value.toPrecision(12)) : "";
    attributes(input, { "aria-invalid": "false" });
  }
  return { element: input, show };
}
