// Points of the plane set with a pointer, or with a cursor that the keyboard moves.

const APART = 0.07; // a drawn line becomes separate points, not one for every pixel

/**
 * Make a canvas of [-1, 1] x [-1, 1] one to draw on.
 *
 * touch(point, erases) sets or removes; erasing() says what the pointer does; choose(c) takes another
 * class; moved() follows the cursor; placed(point) a point set by keyboard.
 */
export function makePencil(canvas, { touch, choose, erasing, moved, placed }) {
  let last = null; // where the pointer last set a point
  let cursor = null;

  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return {
      x: ((event.clientX - box.left) / box.width) * 2 - 1,
      y: 1 - ((event.clientY - box.top) / box.height) * 2,
    };
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    event.preventDefault();
    canvas.focus({ preventScroll: true });
    canvas.setPointerCapture(event.pointerId);
    cursor = null;
    last = place(event);
    touch(last, erasing());
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!last) return;
    const at = place(event);
    if (!erasing() && Math.hypot(at.x - last.x, at.y - last.y) < APART) return;
    last = at;
    touch(at, erasing());
  });
  for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) {
    canvas.addEventListener(name, () => {
      last = null;
    });
  }

  const directions = {
    ArrowLeft: [-1, 0],
    ArrowRight: [1, 0],
    ArrowUp: [0, 1],
    ArrowDown: [0, -1],
  };
  canvas.addEventListener("keydown", (event) => {
    const by = directions[event.key];
    const here = cursor ?? { x: 0, y: 0 };
    if (by) {
      const size = event.shiftKey ? 0.2 : 0.05;
      const within = (v) => Math.min(0.98, Math.max(-0.98, v));
      cursor = { x: within(here.x + size * by[0]), y: within(here.y + size * by[1]) };
    } else if (event.key === "Enter" || event.key === " ") {
      cursor = here;
      touch(here, false);
      placed(here);
    } else if (event.key === "Delete" || event.key === "Backspace") {
      touch(here, true);
    } else if (/^[0-4]$/.test(event.key)) {
      choose(Number(event.key));
    } else {
      return;
    }
    event.preventDefault();
    moved();
  });
  canvas.addEventListener("blur", () => {
    cursor = null;
    moved();
  });
  return { cursor: () => cursor };
}
