/* Put first what was asked for by the name of a figure, a table or a printed number; put entries of the API last.
   ALS_ANSWERS (als-answers.js) is made by the build: typed words -> [page, anchor, words of the link]. */
(() => {
  "use strict";

  // the same as `normalised` in als_core/book/finder.py
  const normalised = (words) =>
    words
      .toLowerCase()
      .replace(/±/g, " ")
      .replace(/\bfigs?(?:ure)?s?\b\.?/g, "fig")
      .replace(/[%,;:()"']/g, " ")
      .split(/\s+/)
      .filter(Boolean)
      .join(" ")
      .replace(/\.+$/, "");

  const isApi = ([page]) => /^book\/api(_|$)/.test(page);
  const search = Search._performSearch;

  // Sphinx shows the last element of what it found first
  Search._performSearch = (query, ...terms) => {
    const found = search(query, ...terms);
    const answers = (ALS_ANSWERS[normalised(query)] || []).map(([page, anchor, words]) => [
      page, words, anchor ? `#${anchor}` : "", null, 1000, `${page}.html`,
    ]);
    const rest = found.filter((one) => !answers.some((answer) => answer[0] === one[0] && answer[2] === one[2]));
    return [...rest.filter(isApi), ...rest.filter((one) => !isApi(one)), ...answers.reverse()];
  };
})();
