"use strict";
// The page is complete without this script, which adds search, filter, order and printing.
const plain = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
const collator = new Intl.Collator("es", { numeric: true, sensitivity: "base" });
const byId = (id) => document.getElementById(id);

const entries = [...document.querySelectorAll(".entry")].map((element, place) => ({
  element,
  place,
  reason: element.dataset.reason,
  novelty: "new" in element.dataset ? 0 : 1,
  name: element.querySelector("h3").textContent,
  id: element.querySelector(".id").textContent,
}));
for (const entry of entries) entry.text = plain(`${entry.name} ${entry.id}`);
const groups = [...document.querySelectorAll(".group")].map((element) => ({
  element,
  list: element.querySelector(".entries"),
  folded: element.querySelector("details"),
  entries: entries.filter((entry) => element.contains(entry.element)),
}));

function filter() {
  const words = plain(byId("search").value).split(/\s+/);
  const reason = byId("reason").value;
  const isAsked = (entry) =>
    (!reason || entry.reason === reason) && words.every((word) => entry.text.includes(word));
  const asked = reason !== "" || words.some(Boolean);
  let shown = 0;
  for (const group of groups) {
    let here = 0;
    for (const entry of group.entries) {
      const found = isAsked(entry);
      if (entry.element.hidden === found) entry.element.hidden = !found;
      here += found;
    }
    group.element.hidden = asked && here === 0;
    if (group.folded) unfold(group, asked, here > 0);
    shown += here;
  }
  byId("nothing").hidden = shown > 0;
  byId("shown").textContent = asked ? `Se muestran ${shown} de ${entries.length}` : "";
}

// What was asked for must not stay out of sight; afterwards the group is again as people left it.
function unfold(group, asked, found) {
  if (asked) {
    group.wasOpen ??= group.folded.open;
    group.folded.open = found;
  } else if (group.wasOpen !== undefined) {
    group.folded.open = group.wasOpen;
    group.wasOpen = undefined;
  }
}

function sort() {
  const key = byId("order").value;
  const compare = {
    place: (a, b) => a.place - b.place,
    name: (a, b) => collator.compare(a.name, b.name) || a.place - b.place,
    id: (a, b) => collator.compare(a.id, b.id),
    novelty: (a, b) => a.novelty - b.novelty || a.place - b.place,
  }[key];
  for (const group of groups) {
    if (!group.list) continue;
    const mark = document.createComment("");
    group.list.replaceWith(mark); // thousands of entries move faster outside of the page
    group.list.append(...group.entries.sort(compare).map((entry) => entry.element));
    mark.replaceWith(group.list);
  }
}

if (entries.length) {
  byId("search").addEventListener("input", filter);
  byId("reason").addEventListener("change", filter);
  byId("order").addEventListener("change", sort);
  byId("print").addEventListener("click", () => print());
  document.querySelector(".tools").hidden = false;
  filter(); // a reloaded page keeps what was typed
  if (byId("order").value !== "place") sort();
}
