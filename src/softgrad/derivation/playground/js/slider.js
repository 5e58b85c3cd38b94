// An element that is dragged, or moved with the keyboard, as a slider.

import { attributes } from "./dom.js";

/**
 * Make `element` a slider.
 *
 * range() gives {min, max}; it is read when a drag begins and stays for that drag, so that a scale
 * which follows the value does not run away under the pointer.
 */
export function makeSlider(
  element,
  { label, range, get, set, step, bigStep, text, ondrag = () => {} },
) {
  attributes(element, {
    role: "slider",
    tabindex: 0,
    "aria-label": label,
    "aria-orientation": "horizontal",
  });
  let held = null;

  function valueAt(event) {
    const box = element.getBoundingClientRect();
    const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    return held.min + share * (held.max - held.min);
  }
  element.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    event.preventDefault();
    element.focus({ preventScroll: true });
    element.setPointerCapture(event.pointerId);
    held = range();
    ondrag(held);
    set(valueAt(event), true);
  });
  element.addEventListener("pointermove", (event) => {
    if (held) set(valueAt(event), true);
  });
  const release = () => {
    if (!held) return;
    held = null;
    ondrag(null);
  };
  element.addEventListener("pointerup", release);
  element.addEventListener("pointercancel", release);
  element.addEventListener("lostpointercapture", release);

  element.addEventListener("keydown", (event) => {
    const { min, max } = range();
    const small = event.shiftKey ? bigStep : step;
    const moves = {
      ArrowRight: get() + small,
      ArrowUp: get() + small,
      ArrowLeft: get() - small,
      ArrowDown: get() - small,
      PageUp: get() + bigStep,
      PageDown: get() - bigStep,
      Home: min,
      End: max,
    };
    if (!(event.key in moves)) return;
    event.preventDefault();
    set(moves[event.key], false);
  });

  return {
    show() {
      const { min, max } = held ?? range();
      attributes(element, {
        "aria-valuemin": min,
        "aria-valuemax": max,
        "aria-valuenow": get(),
        "aria-valuetext": text(),
      });
    },
  };
}
