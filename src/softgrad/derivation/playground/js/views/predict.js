// Predict, then reveal: questions on the reader's own numbers.

import { card, fill, h } from "../dom.js";
import { num } from "../format.js";
import { questionsFor } from "../questions.js";

export function predictView(store, announce) {
  const score = { right: 0, asked: 0 };
  const count = h("span", { class: "tag" });
  const text = h("p", { class: "question" });
  const answers = h("div", { class: "answers" });
  const reveal = h("div", { class: "reveal", role: "status" });
  const next = h(
    "button",
    { type: "button", class: "primary", onclick: () => go(1) },
    "Next question",
  );
  const back = h("button", { type: "button", class: "quiet", onclick: () => go(-1) }, "Previous");
  const tally = h("span", { class: "muted tally" });
  const element = card(
    "predict",
    "Predict, then look",
    "The questions are about the numbers on the bench. Commit to an answer before you see it; then move the logits and ask again.",
    count,
    text,
    answers,
    reveal,
    h("div", { class: "actions" }, next, back, tally),
  );
  let list = [];
  let asked = ""; // what the shown question was about: its answer stays until that changes
  let done = false;

  function go(by) {
    const at = list.findIndex(([place]) => place === store.get().question);
    const [place] = list[(Math.max(at, 0) + by + list.length) % list.length];
    asked = "";
    store.set({ question: place });
  }

  function judge(right, words, question) {
    if (done) return;
    done = true;
    score.asked += 1;
    score.right += right ? 1 : 0;
    reveal.className = `reveal shown ${right ? "good" : "bad"}`;
    fill(reveal, h("b", {}, right ? "Right. " : "Not quite. "), words, h("p", {}, question.why));
    fill(tally, `${score.right} of ${score.asked} right`);
    announce(right ? "Right." : "Not quite.");
    for (const control of answers.querySelectorAll("button, input")) control.disabled = true;
  }

  function ask(question) {
    done = false;
    reveal.className = "reveal";
    fill(reveal);
    fill(text, question.text);
    if (question.options) {
      fill(
        answers,
        question.options.map((option, k) =>
          h(
            "button",
            {
              type: "button",
              class: "answer",
              "data-answer": String(k === question.answer),
              onclick: (event) => {
                event.currentTarget.classList.add("chosen");
                judge(
                  k === question.answer,
                  k === question.answer ? "" : `${question.options[question.answer]}.`,
                  question,
                );
                answers.querySelector('[data-answer="true"]').classList.add("correct");
              },
            },
            option,
          ),
        ),
      );
      return;
    }
    const { low, high } = question;
    const slide = h("input", {
      type: "range",
      min: low,
      max: high,
      step: (high - low) / 200,
      value: (low + high) / 2,
      "aria-label": "Your prediction",
      oninput: () => fill(shown, num(Number(slide.value), 3)),
    });
    const shown = h("output", {}, num((low + high) / 2, 3));
    const commit = h(
      "button",
      {
        type: "button",
        class: "primary",
        onclick: () => {
          const off = Math.abs(Number(slide.value) - question.answer);
          judge(
            off <= question.tolerance,
            `You said ${num(Number(slide.value), 3)}; it is ${num(question.answer, 4)}. `,
            question,
          );
        },
      },
      "Reveal",
    );
    fill(answers, h("label", { class: "field guess" }, slide, shown), commit);
  }

  function update(model) {
    list = questionsFor(model);
    const at = Math.max(
      0,
      list.findIndex(([place]) => place >= model.state.question),
    );
    const [place, question] = list[at];
    fill(count, `${at + 1} of ${list.length}`);
    const about = `${place} ${question.text}`;
    if (about !== asked) {
      asked = about;
      ask(question);
    }
  }
  return { element, update };
}
