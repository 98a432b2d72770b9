"use strict";
// Filters the claims by words, item, verdict and evidence.  The hash of the address keeps the state.
const form = document.querySelector(".filters");
const search = form.querySelector("[type=search]");
const shown = document.querySelector(".shown");
const claims = [...document.querySelectorAll(".claim")];
const filters = ["about", "verdict", "evidence"];
// "L_S", "x²" and "é" are found however they are typed.
const plain = text => text.normalize("NFKD").replace(/[_^{}\u0300-\u036f]/g, "").toLowerCase();
const words = new Map();

function text(claim) {
  if (!words.has(claim)) words.set(claim, plain(claim.textContent));
  return words.get(claim);
}

function apply() {
  const state = new FormData(form);
  const wanted = plain(state.get("q")).split(/\s+/);
  for (const claim of claims) {
    const chosen = filters.every(name => {
      const any = state.getAll(name);
      return !any.length || any.some(value => claim.dataset[name].split(" ").includes(value));
    });
    claim.hidden = !(chosen && wanted.every(word => text(claim).includes(word)));
  }
  shown.textContent = `${claims.filter(claim => !claim.hidden).length} of ${claims.length} claims shown`;
}

function changed() {
  apply();
  const state = new URLSearchParams([...new FormData(form)].filter(([, value]) => value));
  history.replaceState(null, "", `#${state.toString() || "claims"}`);
}

function restore() {
  if (!location.hash.includes("=")) return;
  const state = new URLSearchParams(location.hash.slice(1));
  search.value = state.get("q") ?? "";
  for (const box of form.querySelectorAll("[type=checkbox]")) box.checked = state.getAll(box.name).includes(box.value);
  apply();
  document.querySelector("#claims").scrollIntoView();
}

form.hidden = shown.hidden = false;
form.addEventListener("input", changed);
form.querySelector("button").addEventListener("click", () => { form.reset(); changed(); });
form.addEventListener("submit", event => event.preventDefault());
search.addEventListener("keydown", event => {
  if (event.key === "Escape" && search.value) {
    event.preventDefault();
    search.value = "";
    changed();
  }
});
document.addEventListener("keydown", event => {
  if (event.key === "/" && !event.ctrlKey && !event.metaKey && !event.altKey && !event.target.matches("input")) {
    event.preventDefault();
    search.focus();
    search.select();
  }
});
addEventListener("hashchange", restore);
apply();
restore();
