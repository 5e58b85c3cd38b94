// The problem on the bench as code to copy.

import { card, choice, fill, h } from "../dom.js";
import { LANGUAGES, codeFor } from "../code.js";

/** Put a text on the clipboard; also where the page was opened from a disk. */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const box = h("textarea", { class: "off-screen", "aria-hidden": "true" });
    box.value = text;
    document.body.append(box);
    box.select();
    const done = document.execCommand("copy");
    box.remove();
    return done;
  }
}

export function copyView(store, announce) {
  const language = choice("Language", LANGUAGES, (value) => store.set({ language: value }));
  const code = h("code", {});
  const button = h(
    "button",
    {
      type: "button",
      class: "primary",
      onclick: async () => {
        const done = await copyText(code.textContent);
        fill(button, done ? "Copied" : "Select and copy");
        announce(
          done ? "Copied." : "The clipboard is closed to this page; select the text and copy it.",
        );
        setTimeout(() => fill(button, "Copy"), 1600);
      },
    },
    "Copy",
  );
  const element = card(
    "copy",
    "Copy as code",
    "The numbers on the bench, with temperature, mask and weights, ready to run. The mean over the batch is taken as the library takes it.",
    h("div", { class: "controls wrap" }, language.element, button),
    h("pre", { class: "code", tabindex: 0, "aria-label": "Code" }, code),
  );

  function update(model) {
    language.set(model.state.language);
    fill(code, codeFor(model.state.language, model));
  }
  return { element, update };
}
