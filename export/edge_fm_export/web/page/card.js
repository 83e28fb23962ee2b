/* The model card as elements of the page: the part of Markdown that EdgeFM writes, text alone, never markup. */

const plain = (text) => text.replace(/\\([\\`*_{}[\]<>()#+\-.!|&~$])/g, "$1");

function inline(parent, text) {
  text.split(/(`[^`]*`)/).forEach((part) => {
    if (part.length > 1 && part.startsWith("`")) {
      const code = document.createElement("code");
      code.textContent = part.slice(1, -1);
      parent.append(code);
    } else parent.append(plain(part));
  });
  return parent;
}

const make = (name, text) => inline(document.createElement(name), text);
const cells = (line) => line.replace(/^\||\|$/g, "").split(/(?<!\\)\|/).map((cell) => cell.trim());

/** Put the card into `parent`. */
export function showCard(parent, markdown) {
  const lines = markdown.replace(/^---\n[\s\S]*?\n---\n/, "").split("\n");
  const found = [];
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at];
    const heading = /^(#+) (.*)/.exec(line);
    if (heading) found.push(make(`h${Math.min(6, heading[1].length + 2)}`, heading[2]));
    else if (line.startsWith("```")) {
      const code = document.createElement("pre");
      while (++at < lines.length && !lines[at].startsWith("```")) code.append(`${lines[at]}\n`);
      found.push(code);
    } else if (line.startsWith("|")) {
      const table = document.createElement("table");
      for (; lines[at]?.startsWith("|"); at++) {
        if (/^[|\s:-]+$/.test(lines[at])) continue;
        const row = document.createElement("tr");
        row.append(...cells(lines[at]).map((cell, column) => make(column ? "td" : "th", cell)));
        table.append(row);
      }
      at--;
      const frame = document.createElement("div");
      frame.className = "wide";
      frame.append(table);
      found.push(frame);
    } else if (/^(\d+\.|-) /.test(line)) {
      const list = document.createElement(line.startsWith("-") ? "ul" : "ol");
      list.start = parseInt(line, 10) || 0;
      for (; /^(\d+\.|-) /.test(lines[at] ?? ""); at++) list.append(make("li", lines[at].replace(/^(\d+\.|-) /, "")));
      at--;
      found.push(list);
    } else if (line.trim()) found.push(make("p", line));
  }
  parent.replaceChildren(...found);
}
