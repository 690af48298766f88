// Sorts and searches the table of all classes; without it, the first rows are shown.
for (const part of document.querySelectorAll(".part.classes")) {
  const {rows, names, shown} = JSON.parse(part.querySelector(".data").textContent);
  const body = part.querySelector("tbody"), search = part.querySelector(".search"), more = part.querySelector(".more");
  const headings = [...part.querySelectorAll("th")], shots = ["many", "medium", "few"];
  const key = (row, column) => column === 0 ? row[0].toLowerCase()
    : column === headings.length - 1 ? row[row.length - 1] : row[column + 1];
  let column = null, descending = false;

  function cell(text, style) {
    const made = document.createElement("td");
    made.textContent = text;
    made.className = style;
    return made;
  }
  function line(row) {
    const made = document.createElement("tr"), other = row[row.length - 2], images = row[row.length - 1];
    made.append(cell(row[0], "shot " + shots[row[1]]));
    row.slice(2, 4).forEach(value => made.append(cell(value.toLocaleString("en"), "number")));
    row.slice(4, -2).forEach(value => made.append(cell(value === null ? "–" : value.toFixed(0) + "%", "number")));
    made.append(cell(images ? `${names[other]} (${images.toLocaleString("en")})` : "", ""));
    return made;
  }
  function sentence(found, drawn) {
    if (found === rows.length && drawn === found) return "";
    if (found === 0) return "No class has this in its name.";
    const these = found === rows.length ? "classes" : found === 1 ? "class found" : "classes found";
    return `Showing ${drawn.toLocaleString("en")} of ${found.toLocaleString("en")} ${these}. `;
  }
  function compare(one, other) {
    const [a, b] = [key(one, column), key(other, column)];
    if (a === null || b === null) return (a === null) - (b === null);  // missing values last
    return (a < b ? -1 : a > b ? 1 : 0) * (descending ? -1 : 1);
  }
  function draw(limit) {
    const wanted = search.querySelector("input").value.trim().toLowerCase();
    const found = rows.filter(row => row[0].toLowerCase().includes(wanted));
    if (column !== null) found.sort(compare);
    body.replaceChildren(...found.slice(0, limit).map(line));
    more.textContent = sentence(found.length, Math.min(limit, found.length));
    if (found.length > limit) {
      const button = document.createElement("button");
      button.textContent = "Show more";
      button.onclick = () => draw(10 * limit);
      more.append(button);
    }
    headings.forEach((heading, place) => heading.setAttribute("aria-sort",
      place !== column ? "none" : descending ? "descending" : "ascending"));
  }
  headings.forEach((heading, place) => {
    heading.tabIndex = 0;
    heading.onclick = () => {
      descending = column === place ? !descending : place > 0 && place < 3;
      column = place;
      draw(shown);
    };
    heading.onkeydown = event => { if (event.key === "Enter") heading.onclick(); };
  });
  search.hidden = false;
  search.querySelector("input").oninput = () => draw(shown);
  draw(shown);
}
